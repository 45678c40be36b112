"""How large pictures may be, told from their headers before any pixel is read."""

import threading
from pathlib import Path
from typing import IO

from PIL import Image

from kddn.errors import SizeError

MAXIMUM_PIXELS = 500_000_000
"""What a picture may have unless one says otherwise: a few hundred bytes can claim far more than
there is memory for."""

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


def open_image(source: Path | IO[bytes]) -> Image.Image:
    """As `Image.open`, however large: Pillow's own limit is lower, and cannot be set by picture."""
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before
