"""Dark channel prior (He, Sun, Tang, CVPR 2009), its transmission refined by a guided filter.

Haze-free outdoor patches nearly always hold a pixel that is dark in some channel; how bright the
darkest is tells how much haze lies over it.
"""

import numpy as np

from kddn.affine import guided
from kddn.filters import Floats, gray, invert, local_minimum

OMEGA = 0.95
"""Fraction of the haze to remove: a little is left for the impression of distance."""

MINIMUM_TRANSMISSION = 0.1
"""Where less light comes through, noise would be amplified."""

_PATCH = 7
"""Radius of the dark channel's patches: 15x15 pixels."""

_GUIDE_RADIUS = 60
_GUIDE_EPSILON = 1e-4


def remove_haze(image: Floats) -> Floats:
    """Remove haze by the dark channel prior.

    Args:
        image: RGB in [0, 1], `h w 3`.

    Returns:
        The clear picture in [0, 1], `h w 3`.
    """
    airlight = estimate_airlight(image)
    t = estimate_transmission(image, airlight)
    return invert(image, t.clip(MINIMUM_TRANSMISSION, 1), airlight)


def dark_channel(image: Floats) -> Floats:
    """Darkest value of any channel within 15x15 pixels, `h w 3` to `h w`."""
    return local_minimum(image.min(axis=2), _PATCH)


def estimate_airlight(image: Floats) -> Floats:
    """Mean colour of the 0.1% of pixels with the brightest dark channel, `h w 3` to `3`."""
    dark = dark_channel(image).ravel()
    count = max(1, dark.size // 1000)
    brightest = np.argpartition(dark, -count)[-count:]
    airlight: Floats = image.reshape(-1, 3)[brightest].mean(axis=0)
    return np.maximum(airlight, np.float32(1e-3))


def estimate_transmission(image: Floats, airlight: Floats) -> Floats:
    """Transmission in about [0, 1], refined along the edges of the picture, `h w 3` to `h w`."""
    raw = 1 - OMEGA * dark_channel(image / airlight)
    return guided(gray(image), raw, radius=_GUIDE_RADIUS, epsilon=_GUIDE_EPSILON)
