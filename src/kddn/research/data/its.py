"""RESIDE's indoor training set (ITS) as it is published: fixed hazy images in files.

root/hazy/{id}_{index}_{airlight}.png    620x460
root/clear/{id}.png                      640x480 or 620x460
root/trans/{id}_{index}.png              620x460, grey, where at hand
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kddn.errors import DataError
from kddn.research.data.files import read_pixels
from kddn.research.data.pairs import Pair
from kddn.research.data.synthesis import SynthesisConfig, orient

_HAZY = re.compile(r"(?P<id>\d+)_(?P<index>\d+)_(?P<airlight>[\d.]+)\.(png|jpg)")


@dataclass(frozen=True)
class ItsImage:
    """One hazy image and where its clean one and its transmission are."""

    hazy: Path
    clear: Path
    transmission: Path | None
    airlight: float


def find_its(root: Path) -> list[ItsImage]:
    """List ITS's images in the order of their ids and indices.

    Raises:
        DataError: If the folder holds none, a name is not ITS's, or a clean image is missing.
    """
    hazy = sorted(path for path in (root / "hazy").glob("*") if path.is_file())
    if not hazy:
        raise DataError(f"{root / 'hazy'} holds no images; unpack RESIDE's ITS into {root}")
    found = []
    for path in hazy:
        match = _HAZY.fullmatch(path.name)
        if match is None:
            raise DataError(f"{path} is not named as ITS's images are, like 1_1_0.90179.png")
        clear = root / "clear" / f"{match['id']}.png"
        if not clear.is_file():
            raise DataError(f"{clear} is missing, the clean image of {path}")
        t = root / "trans" / f"{match['id']}_{match['index']}.png"
        image = ItsImage(path, clear, t if t.is_file() else None, float(match["airlight"]))
        found.append(((int(match["id"]), int(match["index"])), image))
    return [image for _, image in sorted(found, key=lambda item: item[0])]


class ItsBatches(Dataset[Pair]):
    """Batches of ITS's fixed images, in an order of their own each epoch.

    Batch `i` depends only on the seed and on `i`, so that a resumed run goes on exactly, whatever
    the number of worker processes.

    Args:
        images: What `find_its` found.
        config: How to crop and turn; `scales` must be 1 and `white` 0, since the haze is fixed.
        seed: Seeds order, crops and turns.

    Raises:
        DataError: If there are fewer images than a batch has, or the draws ask for other haze.
    """

    def __init__(self, images: Sequence[ItsImage], config: SynthesisConfig, *, seed: int) -> None:
        if len(images) < config.batch_size:
            raise DataError(f"ITS has {len(images)} images here, a batch {config.batch_size}")
        if config.scales != (1, 1) or config.white != 0:
            raise DataError(
                "ITS's files have their haze and size: leave scales at 1 and white at 0"
            )
        self.images = images
        self.config = config
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images) // self.config.batch_size

    def __getitem__(self, number: int) -> Pair:
        epoch, place = divmod(number, len(self))
        order = torch.randperm(
            len(self.images), generator=torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        )
        size = self.config.batch_size
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        crops = [
            _crop(read_its(self.images[index]), self.config.crop, generator)
            for index in order[place * size : (place + 1) * size].tolist()
        ]
        stacked = torch.stack(crops)  # b 7 h w
        turned = orient(stacked, generator, full_turns=self.config.full_turns)
        turned = turned.contiguous(memory_format=torch.channels_last)
        return Pair(turned[:, :3], turned[:, 3:6], turned[:, 6:])


def read_its(image: ItsImage) -> Tensor:
    """Hazy image, clean image and transmission in one, float32 `7 h w` in [0, 1].

    A clean image of 640x480 beside a hazy one of 620x460 loses 10 pixels a side, as RESIDE's crop.
    Where there is no transmission file, the scattering model gives it, by least squares over the
    three channels.

    Raises:
        DataError: If a file cannot be read or the sizes do not fit.
    """
    hazy, clear = _read(image.hazy, "RGB"), _read(image.clear, "RGB")
    if clear.shape[1] == hazy.shape[1] + 20 and clear.shape[2] == hazy.shape[2] + 20:
        clear = clear[:, 10:-10, 10:-10]
    if image.transmission is None:
        light, seen = clear - image.airlight, hazy - image.airlight
        t = (light * seen).sum(0, keepdim=True) / (light * light).sum(0, keepdim=True).clamp(1e-4)
        t = t.clamp(0, 1)
    else:
        t = _read(image.transmission, "L")
    if not hazy.shape[1:] == clear.shape[1:] == t.shape[1:]:
        raise DataError(
            f"{image.hazy} is {hazy.shape[2]}x{hazy.shape[1]}, but {image.clear} is "
            f"{clear.shape[2]}x{clear.shape[1]}; fetch RESIDE's ITS again"
        )
    return torch.cat([hazy, clear, t])


def _crop(image: Tensor, side: int, generator: torch.Generator) -> Tensor:
    height, width = (min(side, size) for size in image.shape[-2:])
    top = int(torch.randint(image.shape[-2] - height + 1, (), generator=generator))
    left = int(torch.randint(image.shape[-1] - width + 1, (), generator=generator))
    return image[:, top : top + height, left : left + width]


def _read(path: Path, mode: str) -> Tensor:
    pixels = read_pixels(path, mode)
    return torch.from_numpy(pixels).view(*pixels.shape[:2], -1).permute(2, 0, 1).float() / 255
