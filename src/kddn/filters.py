"""Filters over windows, on arrays `h w` and `h w c`."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def box_mean(x: NDArray[np.floating], radius: int) -> NDArray[np.float64]:
    """Mean over the `2 radius + 1` square around each pixel, `h w ...`, fewer at the border."""
    for axis in (0, 1):
        size = x.shape[axis]
        ends = np.minimum(np.arange(size) + radius + 1, size)
        starts = np.maximum(np.arange(size) - radius, 0)
        zero = np.zeros_like(x.take([0], axis), dtype=np.float64)
        total = np.concatenate([zero, np.cumsum(x, axis, dtype=np.float64)], axis)
        counts = (ends - starts).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        x = (total.take(ends, axis) - total.take(starts, axis)) / counts
    return x.astype(np.float64, copy=False)


def gray(image: Floats) -> Floats:
    """Luma of ITU-R BT.601, `h w 3` to `h w`."""
    return image @ np.array([0.299, 0.587, 0.114], np.float32)


def local_minimum(x: Floats, radius: int) -> Floats:
    """Minimum over the square of `2 radius + 1` around each pixel, fewer at the border."""
    for axis in (0, 1):
        padding = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
        padded = np.pad(x, padding, mode="edge")
        x = sliding_window_view(padded, 2 * radius + 1, axis).min(axis=-1)
    return x


def invert(image: Floats, t: Floats, airlight: Floats) -> Floats:
    """The scattering model turned round, `J = (I - A) / t + A`, within [0, 1].

    Args:
        image: Hazy RGB, `h w 3`.
        t: Transmission, above 0, `h w`.
        airlight: Its colour, `3`.
    """
    clear: Floats = ((image - airlight) / t[..., None] + airlight).clip(0, 1).astype(np.float32)
    return clear
