"""How large pictures may be, told from their headers before any pixel is read."""

import threading
from pathlib import Path
from typing import IO

from PIL import Image, PngImagePlugin

from kddn.errors import SizeError

MAXIMUM_PIXELS = 500_000_000
"""What a picture may have unless one says otherwise: a few hundred bytes can claim far more than
there is memory for."""

MOST_BYTES = 16
"""That each of as many pixels as are allowed may have: four samples of 32 bits."""

PROGRAMS = ("EPS", "IPTC", "WMF")
"""Formats that are programs, not pictures, or hold a file of any kind, which may be one: Pillow
would have Ghostscript or Windows run them."""

_MOST_PACKED = 16 << 20
"""Bytes that a PNG's packed text or colour profile may have: Pillow's own limit is 1 MB."""

_lock = threading.Lock()


def check_size(width: int, height: int, maximum: int = MAXIMUM_PIXELS) -> None:
    """See that a picture is no larger than allowed.

    Raises:
        SizeError: If it is.
    """
    if width * height > maximum:
        raise SizeError(
            f"it has {width} x {height} pixels, {width * height / 1e6:,.0f} million where "
            f"{maximum / 1e6:,.0f} are allowed; raise `max_pixels` if you trust it"
        )


def open_image(source: Path | IO[bytes], maximum: int = MAXIMUM_PIXELS) -> Image.Image:
    """As `Image.open`, however large: Pillow's own limit is lower, and cannot be set by picture.

    But for icons, whose pixels it reads at once, and whose headers need not tell how many; and but
    for what would be run rather than read, such as PostScript.

    Raises:
        SizeError: If a picture in an icon has more than twice the maximum.
    """
    limit = maximum if _is_icon(source) else None
    with _lock:
        before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = limit, _MOST_PACKED
        try:
            return Image.open(source, formats=_formats())
        except Image.DecompressionBombError as error:
            raise SizeError(f"it holds a larger picture than it says ({error})") from error
        finally:
            Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = before


def load(image: Image.Image) -> None:
    """Read the pixels of what `open_image` opened, however large.

    Of a TIFF's, and of no other format's, Pillow would ask for the number again.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if image.format != "TIFF" or limit is None or image.width * image.height <= limit:
        image.load()
        return
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image.load()
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.ID if name not in PROGRAMS]


def _is_icon(source: Path | IO[bytes]) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _is_icon(file)
    before = source.tell()
    head = source.read(4)
    source.seek(before)
    return head == b"\0\0\1\0"
