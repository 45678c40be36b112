"""What the priors have in common, on arrays `h w` and `h w 3`."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kddn.affine import Floats, fit


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


def guided(guide: Floats, x: Floats, *, radius: int, epsilon: float) -> Floats:
    """A map smoothed but for the edges of a guide (He, Sun, Tang, TPAMI 2013), `h w`."""
    refine = fit(guide, x, radius=radius, epsilon=epsilon)
    return refine.scale * guide + refine.offset


def invert(image: Floats, t: Floats, airlight: Floats) -> Floats:
    """The scattering model turned round, `J = (I - A) / t + A`, within [0, 1].

    Args:
        image: Hazy RGB, `h w 3`.
        t: Transmission, above 0, `h w`.
        airlight: Its colour, `3`.
    """
    clear: Floats = ((image - airlight) / t[..., None] + airlight).clip(0, 1).astype(np.float32)
    return clear
