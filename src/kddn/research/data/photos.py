"""Clean photographs of any kind, kept in memory, and haze over them without known depth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from kddn.errors import DataError
from kddn.research.data.batches import BatchConfig, Batches, arrange, draw_windows
from kddn.research.data.depth import draw_depth
from kddn.research.data.hazing import HazeConfig, add_haze
from kddn.research.data.pair import Pair
from kddn.research.data.pixels import list_pictures, read_pixels
from kddn.research.haze import fade

LONG, SHORT = 480, 320
"""Size of a photograph in memory, portrait or landscape."""


@dataclass(frozen=True)
class Photos:
    """Photographs in memory, uint8, those that lie and those that stand."""

    landscape: Tensor
    """`n 3 320 480`."""
    portrait: Tensor
    """`m 3 480 320`."""

    def __len__(self) -> int:
        return len(self.landscape) + len(self.portrait)

    def to(self, device: torch.device) -> "Photos":
        """The same photographs on another device."""
        return Photos(self.landscape.to(device), self.portrait.to(device))


def find_photos(root: Path, part: Literal["train", "validation"]) -> list[Path]:
    """List the photographs of a folder and its subfolders, in the order of their names.

    Every fifth is held back to validate on.

    Raises:
        DataError: If there are fewer than five.
    """
    found = list_pictures(root)
    if len(found) < 5:
        raise DataError(f"{root} holds {len(found)} photographs; give a folder of five or more")
    return [path for index, path in enumerate(found) if (index % 5 == 0) == (part == "validation")]


def load_photos(paths: Sequence[Path]) -> Photos:
    """Read photographs, each resized to cover 480x320, or 320x480 if it stands, and cut to that.

    Raises:
        DataError: If one cannot be read.
    """
    landscape: list[Tensor] = []
    portrait: list[Tensor] = []
    for path in paths:
        image = Image.fromarray(read_pixels(path, "RGB"))
        size, group = (
            ((LONG, SHORT), landscape) if image.width >= image.height else ((SHORT, LONG), portrait)
        )
        fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        pixels = torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8)
        group.append(pixels.view(size[1], size[0], 3).permute(2, 0, 1))
    return Photos(
        torch.stack(landscape) if landscape else torch.zeros(0, 3, SHORT, LONG, dtype=torch.uint8),
        torch.stack(portrait) if portrait else torch.zeros(0, 3, LONG, SHORT, dtype=torch.uint8),
    )


def without_hazy(photos: Photos, most: float) -> Photos:
    """Those whose FADE, at half their size in memory, is `most` or less.

    Many photographs that pass for clear have haze of their own far away. As targets they teach to
    leave it.

    Raises:
        DataError: Without `kddn[fade]`, or if none is left.
    """
    try:
        kept = [
            [not _density(image) > most for image in stack]  # which of a flat one is no number
            for stack in (photos.landscape, photos.portrait)
        ]
    except ImportError as error:
        raise DataError("telling hazy photographs needs FADE: pip install 'kddn[fade]'") from error
    if not any(map(any, kept)):
        raise DataError(f"all photographs have a FADE above {most:g}; raise data.photos.max_fade")
    return Photos(photos.landscape[kept[0]], photos.portrait[kept[1]])


def _density(image: Tensor) -> float:
    half = F.avg_pool2d(image.float(), 2).round().to(torch.uint8)
    return fade(half.permute(1, 2, 0).cpu().numpy())


class HazedPhotos(Batches):
    """Endless batches of photographs, hazed by depths that are drawn.

    Args:
        photos: Clean photographs.
        config: Number and size of the images. A batch lies or stands as a whole, and is never
            turned: the depths that are drawn know up from down.
        haze: What haze to draw.
        seed: See `Batches`.
        length: See `Batches`.
    """

    def __init__(
        self, photos: Photos, config: BatchConfig, haze: HazeConfig, *, seed: int, length: int
    ) -> None:
        super().__init__(replace(config, full_turns=False), seed=seed, length=length)
        self.photos = photos
        self.haze = haze

    def batch(self, number: int) -> Pair:
        """The batch of a number: photographs under haze over depth that is drawn."""
        generator = self.generator(number)
        photos = self.photos
        is_landscape = int(torch.randint(len(photos), (), generator=generator)) < len(
            photos.landscape
        )
        stack = photos.landscape if is_landscape else photos.portrait
        chosen = torch.randint(len(stack), (self.config.size,), generator=generator).tolist()
        sizes = [stack.shape[-2:]] * len(chosen)
        scale, windows = draw_windows(self.config, sizes, generator)
        crops = torch.stack(
            [stack[index, :, *window] for index, window in zip(chosen, windows, strict=True)]
        )
        clean = arrange(crops, scale, self.config, generator).float() / 255
        return add_haze(clean, draw_depth(clean, generator), self.haze, generator)
