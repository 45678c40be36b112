"""How training batches are drawn: by their number, cropped, scaled, turned."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kddn.research.data.pair import Pair

_log = logging.getLogger(__name__)

Window = tuple[slice, slice]
"""Rows and columns of an image."""


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Number, size and orientation of a batch's images."""

    size: int = 8
    """Images a batch."""
    crop: int = 256
    """Longest side of what the network sees, in pixels, within one or half a multiple; smaller
    images stay whole."""
    scales: tuple[float, float] = (1.0, 1.0)
    """Range that each batch's scale is drawn from, log-uniformly; 1 is the original size."""
    multiple: int = 1
    """What the sides of scaled images are multiples of, for networks that would pad them."""
    full_turns: bool = True
    """Whether to rotate by multiples of 90 degrees; without, only left-right flips."""

    def __post_init__(self) -> None:
        low, high = self.scales
        if not 0 < low <= high <= 1:
            raise ValueError(f"scales must satisfy 0 < low <= high <= 1, not {low}, {high}")
        if min(self.size, self.crop, self.multiple) < 1:
            raise ValueError(
                "size, crop and multiple must be 1 or more, "
                f"not {self.size}, {self.crop}, {self.multiple}"
            )


class Batches(ABC):
    """Epochs of batches, each of which depends only on the seed and on its number.

    So a resumed run goes on exactly, and each device of several has batches of its own.

    Args:
        config: Number, size and orientation of the images.
        seed: Seeds every draw.
        length: Batches an epoch, on each device.
    """

    def __init__(self, config: BatchConfig, *, seed: int, length: int) -> None:
        self.config = config
        self.seed = seed
        self.length = length
        self.first = 0
        """How many batches all devices together have had before this epoch."""
        self.device_number = 0
        """Which device this is."""
        self.devices = 1
        """How many there are."""

    def __len__(self) -> int:
        return self.length

    def share(self, device_number: int, devices: int) -> None:
        """Give only every so many-th batch: those of one device of several."""
        self.device_number, self.devices = device_number, devices

    def __iter__(self) -> Iterator[Pair]:
        for number in self.numbers():
            yield self.batch(number)

    def numbers(self) -> list[int]:
        """Numbers of this epoch's batches on this device."""
        return [self.first + step * self.devices + self.device_number for step in range(len(self))]

    @abstractmethod
    def batch(self, number: int) -> Pair:
        """Batch `number`, always the same for the same seed."""

    def generator(self, number: int) -> torch.Generator:
        """Randomness of batch `number`."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + number)


class Mixed(Batches):
    """Batches of several sources, each a fraction of all.

    Args:
        sources: Where batches come from, with the weight of each.
        config: See `Batches`.
        seed: See `Batches`.
        length: See `Batches`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Batches, float]],
        config: BatchConfig,
        *,
        seed: int,
        length: int,
    ) -> None:
        super().__init__(config, seed=seed, length=length)
        self.sources = [source for source, _ in sources]
        self.weights = torch.tensor([weight for _, weight in sources])

    def batch(self, number: int) -> Pair:
        """The batch of a number, of a source drawn by its weight."""
        # No batch has a number below 0, so what a source draws does not follow from the choice.
        chosen = torch.multinomial(self.weights, 1, generator=self.generator(-1 - number))
        return self.sources[int(chosen)].batch(number)


def part_of(length: int, fraction: float) -> int:
    """A fraction of an epoch's batches, at least one; a word where that is a good deal more."""
    part = max(1, round(length * fraction))
    if part > 1.5 * length * fraction:
        _log.warning("an epoch has %d batches: the least is one, not %g of them", length, fraction)
    return part


def draw_windows(
    config: BatchConfig, sizes: Sequence[Sequence[int]], generator: torch.Generator
) -> tuple[float, list[Window]]:
    """Where to crop images, all to one size, and by what to scale them then.

    Args:
        config: How large the crops are to be.
        sizes: Height and width of each image.
        generator: Randomness.

    Returns:
        The scale, and a window for each image.
    """
    low, high = config.scales
    scale = low * (high / low) ** uniform(generator)
    source = math.ceil(config.crop / scale)
    height = min(source, *(size[0] for size in sizes))
    width = min(source, *(size[1] for size in sizes))
    windows = []
    for size in sizes:
        top = int(uniform(generator) * (size[0] - height + 1))
        left = int(uniform(generator) * (size[1] - width + 1))
        windows.append((slice(top, top + height), slice(left, left + width)))
    return scale, windows


def arrange(crops: Tensor, scale: float, config: BatchConfig, generator: torch.Generator) -> Tensor:
    """Scale crops `b c h w`, flip each left to right or not, and turn the whole batch."""
    images = resize(crops, scale, config.multiple)
    flip = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    images = torch.where(flip.view(-1, 1, 1, 1), images.flip(-1), images)
    return images.rot90(int(uniform(generator) * 4), (-2, -1)) if config.full_turns else images


def resize(x: Tensor, scale: float, multiple: int = 1) -> Tensor:
    """Images `b c h w` at another scale, their sides multiples of a number, antialiased.

    The type is kept.
    """
    size = [max(1, round(side * scale / multiple)) * multiple for side in x.shape[-2:]]
    if size == list(x.shape[-2:]):
        return x
    if x.is_floating_point() or x.device.type == "cpu":
        return F.interpolate(x, size, mode="bilinear", antialias=True)
    # Elsewhere only floating numbers can be antialiased.
    small = F.interpolate(x.float(), size, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(x.dtype)


def uniform(generator: torch.Generator) -> float:
    """One number of [0, 1)."""
    return torch.rand((), generator=generator).item()


def between(low: float, high: float, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Numbers drawn uniformly from `[low, high)`."""
    return low + (high - low) * torch.rand(tuple(shape), generator=generator)
