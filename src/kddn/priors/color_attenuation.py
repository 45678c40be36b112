"""Color attenuation prior (Zhu, Mai, Shao, TIP 2015): haze is bright and pale.

Depth is linear in brightness and saturation, with coefficients learned by its authors.
"""

import numpy as np

from kddn.affine import guided
from kddn.filters import Floats, gray, invert, local_minimum

COEFFICIENTS = (0.121779, 0.959710, -0.780245)
"""Constant, of the value, and of the saturation (HSV). The authors' code also adds noise."""

BETA = 1.0
"""Scattering coefficient."""

_PATCH = 7
"""Radius of the patches whose least depth counts: 15x15 pixels."""

_GUIDE_RADIUS = 60
_GUIDE_EPSILON = 1e-3
_LIMITS = (0.05, 1.0)


def remove_haze(image: Floats) -> Floats:
    """Remove haze by the color attenuation prior.

    Args:
        image: RGB in [0, 1], `h w 3`.

    Returns:
        The clear picture in [0, 1], `h w 3`.
    """
    depth = local_minimum(estimate_depth(image), _PATCH)
    airlight = estimate_airlight(image, depth)
    refined = guided(gray(image), depth, radius=_GUIDE_RADIUS, epsilon=_GUIDE_EPSILON)
    return invert(image, np.exp(-BETA * refined).clip(*_LIMITS), airlight)


def estimate_depth(image: Floats) -> Floats:
    """Depth of each pixel by itself, `h w 3` to `h w`."""
    value = image.max(axis=2)
    saturation = 1 - image.min(axis=2) / np.maximum(value, 1e-6)
    constant, of_value, of_saturation = COEFFICIENTS
    depth: Floats = constant + of_value * value + of_saturation * saturation
    return depth


def estimate_airlight(image: Floats, depth: Floats) -> Floats:
    """Largest of each channel among the brightest 20 of the deepest thousandth, `3`."""
    count = -(-depth.size // 1000)
    deepest = np.argpartition(depth.ravel(), -count)[-count:]
    colours = image.reshape(-1, 3)[deepest]
    brightest = np.argsort(np.linalg.norm(colours, axis=1))[-20:]
    airlight: Floats = colours[brightest].max(axis=0)
    return airlight
