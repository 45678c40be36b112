"""Hazy pictures of any size to measure with: drawn, so that everybody has the same."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 90
"""Of the JPEG."""

_OCTAVES = (4, 16, 64, 256)
"""Patches along a picture's width, from coarse to fine."""


def size_of(megapixels: float) -> tuple[int, int]:
    """Width and height, 4 to 3, in whole multiples of 4 pixels."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5 / 4) * 4
    return width, round(width * 3 / 16) * 4


def hazy_jpeg(megapixels: float) -> bytes:
    """Patches of all sizes with grain, under haze that thickens towards the top, as JPEG."""
    width, height = size_of(megapixels)
    rng = np.random.default_rng(0)
    image = Image.fromarray(_scene(rng, width, height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _scene(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.float32)
    for octave in _OCTAVES:
        patches = rng.integers(0, 256, (octave * 3 // 4, octave, 3)).astype(np.uint8)
        large = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
        picture += np.asarray(large)
    picture /= len(_OCTAVES)
    picture += rng.integers(-6, 7, (height, width, 1), np.int8)  # grain, which makes files large
    t = np.linspace(0.3, 0.9, height, dtype=np.float32)[:, None, None]
    hazy: NDArray[np.uint8] = (picture * t + 235 * (1 - t)).clip(0, 255).astype(np.uint8)
    return hazy
