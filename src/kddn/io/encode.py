"""Picture files from pixels, by Pillow."""

import io
from typing import Any

import numpy as np
from PIL import Image

from kddn.errors import ImageError
from kddn.io.metadata import Metadata

WELL: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": False, "quality": 95},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}
"""How a picture is written of whose quality nothing is known: none to be seen is lost."""


DEEP_COLOUR = frozenset({"PNG", "TIFF"})
"""Formats in which colours have more than 8 bits a channel."""

DEEP_GRAY = frozenset({"PNG", "TIFF", "JPEG2000", "HEIF", "PPM"})
"""Formats in which gray has 16 bits."""

_NO_TRANSPARENCY = ("JPEG", "BMP", "PPM", "SPIDER")
_NO_INKS = ("PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP")


def encode(
    image: Image.Image,
    format: str,
    said: Metadata | None = None,
    quality: dict[str, dict[str, Any]] | None = None,
) -> bytes:
    """The bytes of a picture file.

    Args:
        image: What to encode; it loses its own metadata.
        format: PIL's name of the format.
        said: What the file says beside pixels.
        quality: Pillow's options by format, where they are not those for a new picture.

    Raises:
        ImageError: If the format cannot hold the picture.
    """
    said = said or Metadata()
    options = WELL | {"ICO": {"sizes": [image.size]}} | (quality or {})
    if format in _NO_TRANSPARENCY and image.mode in ("RGBA", "LA", "RGBa", "La"):
        raise ImageError(f"{format} has no transparency; write PNG, TIFF or WebP")
    if format == "GIF" and image.mode == "LA":  # whose transparency Pillow would leave out
        image = image.convert("RGBA")
    if image.mode == "CMYK" and format in _NO_INKS:
        raise ImageError(f"{format} has no inks; write JPEG or TIFF, or convert it to RGB first")
    if image.mode == "I":  # 16 bits, which Pillow would write as 32 where a format has them
        image = image.convert("I;16")
    if image.mode.startswith("I;16") and format not in DEEP_GRAY:  # which Pillow would cut off
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    image.info = {}
    buffer = io.BytesIO()
    try:
        image.save(buffer, format, **said.options(format), **options.get(format, {}))
    except MemoryError:
        raise
    except Exception as error:  # encoders' errors share no base class
        raise ImageError(f"{format} cannot hold a picture of mode {image.mode}: {error}") from error
    return said.finish(buffer.getvalue(), format)
