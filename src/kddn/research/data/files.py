"""Reading the files of data sets, with errors that name them."""

from pathlib import Path

import numpy as np
from PIL import Image

from kddn.errors import DataError


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
    except OSError as error:  # Pillow's UnidentifiedImageError is one too
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
