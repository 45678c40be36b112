"""Endless hazy batches from clean scenes with depth: crop, flip, scale and haze on the device."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kddn.research.data.nyu import NyuScenes
from kddn.research.data.pairs import Pair
from kddn.research.haze import its_haze, scatter, sots_haze, transmission


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How a training batch is drawn."""

    batch_size: int = 8
    """Images a batch."""
    crop: int = 256
    """Longest side of what the network sees, in pixels; scenes smaller than this stay whole."""
    scales: tuple[float, float] = (1.0, 1.0)
    """Range that each batch's scale is drawn from, log-uniformly; 1 is the original size."""
    full_turns: bool = True
    """Whether to rotate by multiples of 90 degrees; without, only left-right flips."""
    white: float = 0.0
    """Share of images whose airlight is 1, as SOTS's and many photographs' is; 0 is ITS's rule."""

    def __post_init__(self) -> None:
        low, high = self.scales
        if not 0 < low <= high <= 1:
            raise ValueError(f"scales must satisfy 0 < low <= high <= 1, not {low}, {high}")
        if not 0 <= self.white <= 1:
            raise ValueError(f"white must lie in [0, 1], not {self.white}")
        if self.batch_size < 1 or self.crop < 1:
            raise ValueError(
                f"batch_size and crop must be 1 or more, not {self.batch_size}, {self.crop}"
            )


class SyntheticHaze:
    """Batches whose haze is drawn anew each time by ITS's rule.

    Batch `i` depends only on the seed and on `i`, so that a resumed run goes on exactly.

    Args:
        scenes: Clean images with depth, on the device where the batches are to be made.
        config: How to draw.
        seed: Seeds every draw.
        length: Batches an epoch.
    """

    def __init__(
        self, scenes: NyuScenes, config: SynthesisConfig, *, seed: int, length: int
    ) -> None:
        self.scenes = scenes
        self.config = config
        self.seed = seed
        self.length = length
        self.first = 0
        """Number of the next epoch's first batch."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Pair]:
        for number in range(self.first, self.first + self.length):
            yield self.batch(number)

    def batch(self, number: int) -> Pair:
        """Batch `number`, always the same for the same seed."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        config = self.config
        low, high = config.scales
        scale = low * (high / low) ** _uniform(generator)
        height, width = self.scenes.clean.shape[-2:]
        source = math.ceil(config.crop / scale)
        size = min(source, height), min(source, width)
        chosen = torch.randint(len(self.scenes), (config.batch_size,), generator=generator)
        crops = [self._crop(int(index), size, generator) for index in chosen]
        scenes = _resize(torch.stack(crops), scale).float()  # b 4 h w
        scenes = orient(scenes, generator, full_turns=config.full_turns)
        clean, depth = scenes[:, :3] / 255, scenes[:, 3:] / self._farthest(chosen)
        draws = torch.rand(3, config.batch_size, 1, 1, 1, generator=generator).to(clean.device)
        airlight, beta = its_haze(draws[0], draws[1])
        airlight = airlight.where(draws[2] >= config.white, 1.0)
        t = transmission(depth, beta)
        clean = clean.contiguous(memory_format=torch.channels_last)
        return Pair(scatter(clean, t, airlight), clean, t)

    def _crop(self, index: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        height, width = self.scenes.clean.shape[-2:]
        top = int(_uniform(generator) * (height - size[0] + 1))
        left = int(_uniform(generator) * (width - size[1] + 1))
        window = (index, slice(None), slice(top, top + size[0]), slice(left, left + size[1]))
        return torch.cat([self.scenes.clean[window], self.scenes.depth[window]])

    def _farthest(self, chosen: Tensor) -> Tensor:
        return self.scenes.farthest[chosen.to(self.scenes.farthest.device)].view(-1, 1, 1, 1)


def sots_pair(scenes: NyuScenes, index: int, haze_index: int, *, scale: float = 1.0) -> Pair:
    """A scene hazed by SOTS's rule and rounded to 8 bit as SOTS is stored.

    Args:
        scenes: Clean images with depth.
        index: Which scene.
        haze_index: SOTS's haze, 1 to 10.
        scale: What both images are then resized by.

    Returns:
        A batch of one.
    """
    clean = scenes.clean[index : index + 1].float() / 255
    haze = sots_haze(haze_index)
    t = transmission(scenes.depth[index : index + 1] / scenes.farthest[index], haze.beta)
    hazy = (scatter(clean, t, haze.airlight) * 255).round() / 255
    return Pair(_resize(hazy, scale), _resize(clean, scale), _resize(t, scale))


def _resize(x: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return x
    size = [max(1, round(side * scale)) for side in x.shape[-2:]]
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def orient(images: Tensor, generator: torch.Generator, *, full_turns: bool) -> Tensor:
    """Flip each image left to right or not, and turn the whole batch, `b c h w`."""
    flip = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    images = torch.where(flip.view(-1, 1, 1, 1), images.flip(-1), images)
    return images.rot90(int(_uniform(generator) * 4), (-2, -1)) if full_turns else images


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()
