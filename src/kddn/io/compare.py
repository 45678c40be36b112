"""Pictures side by side, for looking at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kddn.io import files
from kddn.io.encode import encode
from kddn.io.image import Photograph
from kddn.io.limits import MAXIMUM_PIXELS
from kddn.io.metadata import Metadata
from kddn.io.writing import write

_GAP = 8
_LABEL = 28

_WIDTH = 800
"""Pixels that a picture is wide, at most."""


def side_by_side(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures next to each other, each under its label."""
    shown = [(label, _shrink(picture, _WIDTH)) for label, picture in panels]
    total = sum(picture.width + _GAP for _, picture in shown) - _GAP
    sheet = Image.new("RGB", (total, max(p.height for _, p in shown) + _LABEL), "white")
    draw = ImageDraw.Draw(sheet)
    left = 0
    for label, picture in shown:
        draw.text((left + 4, 4), label, fill="black", font=ImageFont.load_default(16))
        sheet.paste(picture, (left, _LABEL))
        left += picture.width + _GAP
    return sheet


def stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """Pictures below each other."""
    result = Image.new(
        "RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white"
    )
    top = 0
    for sheet in sheets:
        result.paste(sheet, (0, top))
        top += sheet.height
    return result


def write_comparison(
    before: Path,
    after: Path,
    output: Path,
    *,
    overwrite: bool = False,
    max_pixels: int = MAXIMUM_PIXELS,
) -> None:
    """Write two picture files as one, side by side.

    Args:
        before: The hazy picture.
        after: The clear one.
        output: The file to write, its format told by its ending.
        overwrite: Whether it may be replaced.
        max_pixels: How many pixels each picture may have.

    Raises:
        ImageError: If a picture cannot be read, or the file cannot be written or exists.
    """
    opened = [files.open_picture(path, max_pixels=max_pixels) for path in (before, after)]
    shown = [_shown(each.photograph) for each in opened]
    profile = opened[0].metadata.profile
    said = Metadata(profile=profile if profile[16:20] == b"RGB " else b"")
    sheet = side_by_side(list(zip(("before", "after"), shown, strict=True)))
    write(encode(sheet, files.format_of(output), said), output, overwrite=overwrite)


def _shown(photograph: Photograph) -> Image.Image:
    if photograph.pixels.dtype == np.uint8:
        return Image.fromarray(photograph.pixels)
    shown = photograph.pixels.astype(np.float32) * (255 / photograph.maximum)
    return Image.fromarray(shown.round().clip(0, 255).astype(np.uint8))


def _shrink(picture: Image.Image, width: int) -> Image.Image:
    height = max(1, round(picture.height * min(1.0, width / picture.width)))
    return picture.convert("RGB").resize(
        (min(width, picture.width), height), Image.Resampling.LANCZOS
    )
