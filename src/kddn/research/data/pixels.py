"""Reading the files of data sets, with errors that name them."""

from pathlib import Path

import numpy as np
from PIL import Image

from kddn.errors import DataError

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
"""Endings of picture files."""


def list_pictures(root: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, in the order of their names."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES)


def read_pixels(path: Path, mode: str) -> np.ndarray:
    """The pixels of a picture file, uint8 `h w` or `h w 3`.

    Args:
        path: The file.
        mode: PIL's mode to convert to, `L` or `RGB`.

    Raises:
        DataError: If it is missing or cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode))
    except (OSError, SyntaxError) as error:  # of a broken PNG, Pillow says the latter
        raise _unreadable(path, error) from error


def check_picture(path: Path) -> None:
    """See that a picture file is whole, without decoding it where its format has checksums.

    Raises:
        DataError: If it is not.
    """
    try:
        with Image.open(path) as image:
            image.verify() if image.format == "PNG" else image.load()
    except (OSError, SyntaxError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read ({error}); fetch it again")
