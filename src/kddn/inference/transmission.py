"""How much haze there was, told from a hazy picture and what a model made of it.

Where `I = J t + A (1 - t)`, the haze took the fraction `1 - t` of the way from `J` to the airlight:
`I - J = (1 - t) (A - J)`.
"""

import numpy as np
from numpy.typing import NDArray

from kddn.filters import Floats, box_mean
from kddn.priors.dark_channel import estimate_airlight

_RADIUS = 3
"""Windows of 7x7 pixels, over which transmission is taken as one."""

_CERTAIN = 1e-3
"""Mean squared distance of `J` from `A` below which a window tells little: there, t goes to 1."""


def estimate_transmission(hazy: Floats, clear: Floats) -> Floats:
    """Transmission by least squares over a window's pixels and channels.

    Args:
        hazy: `I`, RGB in [0, 1], `h w 3`.
        clear: `J`, as a model made it, `h w 3`.

    Returns:
        `t` in [0, 1], `h w`: 1 where nothing was removed. Where `J` is as bright as the airlight,
        as in a white sky, no one can tell, and it tends to 1.
    """
    airlight = estimate_airlight(hazy)
    taken, way = hazy - clear, airlight - clear
    fraction = _mean(taken * way) / (_mean(way * way) + _CERTAIN)
    return (1 - fraction.clip(0, 1)).astype(np.float32)


def haze_fraction(hazy: Floats, clear: Floats) -> float:
    """Mean of `1 - t` over a picture: 0 is clear, 1 is white. Arguments as above."""
    return float(1 - estimate_transmission(hazy, clear).mean())


def _mean(product: NDArray[np.floating]) -> NDArray[np.float64]:
    return box_mean(product.mean(axis=2), _RADIUS)
