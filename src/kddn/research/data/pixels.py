"""Reading the files of data sets, with errors that name them."""

import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from kddn.errors import DataError, ImageError
from kddn.io.image import orientation, upright

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
"""Endings of picture files."""

_UNREADABLE = (
    ImageError,
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises, of broken PNGs and TIFFs too."""


def list_pictures(root: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, in the order of their names."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES)


def names_of(paths: Iterable[Path], root: Path) -> dict[Path, str]:
    """What to call pictures: by their stems, those of equal ones by their places in a folder."""
    paths = list(paths)
    stems = Counter(path.stem for path in paths)
    return {
        path: path.stem if stems[path.stem] == 1 else path.relative_to(root).as_posix()
        for path in paths
    }


def read_pixels(path: Path, mode: str) -> np.ndarray:
    """The pixels of a picture file, upright, uint8 `h w` or `h w 3`.

    Args:
        path: The file.
        mode: PIL's mode to convert to, `L` or `RGB`.

    Raises:
        DataError: If it is missing or cannot be read.
    """
    try:
        with Image.open(path) as image:
            _check_bits(path, image)
            return np.array(upright(image).convert(mode))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def check_picture(path: Path) -> None:
    """See that a picture file is whole, without decoding it where its format has checksums.

    Raises:
        DataError: If it is not.
    """
    try:
        with Image.open(path) as image:
            _check_bits(path, image)
            image.verify() if image.format == "PNG" else image.load()
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file once it is turned as its EXIF says.

    Raises:
        DataError: If not even that can be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if orientation(image) > 4 else (width, height)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _check_bits(path: Path, image: Image.Image) -> None:
    """See that a gray picture has 8 bits, of which alone PIL makes others without clipping."""
    if image.mode.startswith("I") or image.mode == "F":
        raise DataError(
            f"{path} has more than 8 bits a pixel, which would all become white; write it again "
            "with 8, its brightest as 255"
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read ({error}); fetch it again, or leave it out")
