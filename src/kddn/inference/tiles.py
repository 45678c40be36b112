"""A network at a large picture's own size: overlapping tiles, faded into each other.

What is approximate: channel attention pools over a tile, not over the picture, so neighbouring
tiles may judge the haze differently; the overlap turns the step between them into a slope.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kddn.filters import Floats

TILE = 1024
"""Side of a tile in pixels. Pictures up to this size are done in one piece, exactly."""

OVERLAP = 128
"""Pixels that neighbouring tiles share."""


def run(remove_haze: Callable[[Floats], Floats], pixels: NDArray[Any], maximum: float) -> Floats:
    """Remove haze from a picture of any size in bounded memory.

    Args:
        remove_haze: What does, from RGB `h w 3` in [0, 1] to as much.
        pixels: RGB `h w 3`, any dtype, in [0, maximum].
        maximum: What stands for white.

    Returns:
        The clear picture, float32 `h w 3` in [0, 1].
    """
    total = np.zeros(pixels.shape, np.float32)
    weight = np.zeros((*pixels.shape[:2], 1), np.float32)
    for top, bottom in _spans(pixels.shape[0]):
        for left, right in _spans(pixels.shape[1]):
            window = np.s_[top:bottom, left:right]
            clear = remove_haze(pixels[window].astype(np.float32) / np.float32(maximum))
            fraction = np.minimum.outer(_fade(bottom - top), _fade(right - left))[..., None]
            total[window] += fraction * clear.clip(0, 1)
            weight[window] += fraction
    total /= weight
    return total


def _spans(size: int) -> list[tuple[int, int]]:
    """Equal tiles of at most `TILE` that overlap by at least `OVERLAP` and end with the picture."""
    if size <= TILE:
        return [(0, size)]
    count = -(-(size - OVERLAP) // (TILE - OVERLAP))
    starts = np.linspace(0, size - TILE, count).round().astype(int)
    return [(int(start), int(start) + TILE) for start in starts]


def _fade(size: int) -> Floats:
    """Weights of a tile's rows: rising from its border over the overlap, never 0."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) + 1
    weights: Floats = np.minimum(distance / OVERLAP, 1).astype(np.float32)
    return weights
