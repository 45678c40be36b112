"""Pictures side by side, for looking at."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kddn import image as images

_WIDTH = 800
_GAP = 8
_LABEL = 28


def write_comparison(
    pictures: Sequence[tuple[str, Path]], output: Path, *, overwrite: bool = False
) -> None:
    """Write picture files side by side, each under its label, at most 800 pixels wide.

    Args:
        pictures: Labels and files.
        output: The file to write, its format told by its ending.
        overwrite: Whether it may be replaced.

    Raises:
        ImageError: If a picture cannot be read, or the file cannot be written or exists.
    """
    panels = [(label, _panel(path)) for label, path in pictures]
    height = max(panel.height for _, panel in panels)
    width = sum(panel.width + _GAP for _, panel in panels) - _GAP
    sheet = Image.new("RGB", (width, height + _LABEL), "white")
    draw = ImageDraw.Draw(sheet)
    left = 0
    for label, panel in panels:
        draw.text((left + 4, 4), label, fill="black", font=ImageFont.load_default(16))
        sheet.paste(panel, (left, _LABEL))
        left += panel.width + _GAP
    content = images.encode(sheet, sheet, images.format_of(output))
    images.write(content, output, overwrite=overwrite)


def _panel(path: Path) -> Image.Image:
    with images.read(path) as image:
        upright = images.upright(image).convert("RGB")
    upright.thumbnail((_WIDTH, _WIDTH * 4), Image.Resampling.LANCZOS)
    return upright
