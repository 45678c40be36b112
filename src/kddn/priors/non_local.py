"""Non-local dehazing (Berman, Treibitz, Avidan, CVPR 2016): haze-lines.

A clear picture has few colours. Haze moves each along a line towards the airlight, so pixels far
apart in the picture lie on one line in colour space, and the farthest is the clear one.

The airlight is the dark channel prior's; the authors' own estimate (ICCP 2017) is another method.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kddn.errors import ModelError
from kddn.filters import Floats, gray
from kddn.priors.dark_channel import estimate_airlight

LINES = 1000
"""Directions of haze-lines, spread evenly over the sphere."""

_MINIMUM = 0.1
_SMOOTHNESS = 0.1
_FLAT = 1e-6
"""Width of what cannot be stretched."""

_TRIM = 0.005
"""Fraction of the darkest and of the brightest values that stretching may clip."""


def remove_haze(image: Floats) -> Floats:
    """Remove haze along haze-lines.

    Args:
        image: RGB in [0, 1], `h w 3`.

    Returns:
        The clear picture in [0, 1], `h w 3`.

    Raises:
        ModelError: If scipy is not installed.
    """
    airlight = estimate_airlight(image)
    t, trust = estimate_transmission(image, airlight)
    t = smooth(t, trust, gray(image))[..., None]
    clear = (image - (1 - 1.06 * t) * airlight) / np.maximum(t, _MINIMUM)
    return stretch(clear.clip(0, 1))


def estimate_transmission(image: Floats, airlight: Floats) -> tuple[Floats, Floats]:
    """Transmission of each pixel on its haze-line, and how far to trust it, both `h w`."""
    spatial = _scipy("spatial")
    offsets = (image - airlight).reshape(-1, 3)
    radius = np.linalg.norm(offsets, axis=1)
    directions = offsets / np.maximum(radius, 1e-6)[:, None]
    _, line = spatial.cKDTree(_sphere(LINES)).query(directions)
    count = np.bincount(line, minlength=LINES)
    farthest = np.zeros(LINES)
    np.maximum.at(farthest, line, radius)
    mean = np.bincount(line, radius, LINES) / np.maximum(count, 1)
    variance = np.bincount(line, radius**2, LINES) / np.maximum(count, 1) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0))
    t = (radius / np.maximum(farthest[line], 1e-6)).clip(_MINIMUM, 1)
    least = 1 - (image / airlight).min(axis=2).ravel()
    t = np.maximum(t, least)
    spread = 3 * np.maximum(0.001, deviation / max(deviation.max(), 1e-6) - 0.1)
    trust = (np.minimum(1, count / 50) * np.minimum(1, spread))[line]
    shape = image.shape[:2]
    trust = trust.reshape(shape) / (trust.max() + 1e-5)
    t = t.reshape(shape)
    doubtful = trust[0] < 0.6  # the top of a picture is far away more often than not
    t[0, doubtful] = t.min(axis=0)[doubtful]
    trust[0, doubtful] = 0.8
    return t, trust


def smooth(t: Floats, trust: Floats, guide: Floats) -> Floats:
    """Solve `(W + L) x = W t`: near `t` where it is trusted, smooth where the guide is.

    Args:
        t: Transmission, `h w`.
        trust: `W`, `h w`.
        guide: Grey picture whose differences weaken the Laplacian `L`, `h w`.
    """
    sparse = _scipy("sparse")
    height, width = t.shape
    down = _SMOOTHNESS / (np.diff(guide, axis=0) ** 2 + 1e-5)
    right = _SMOOTHNESS / (np.diff(guide, axis=1) ** 2 + 1e-5)
    degree = np.zeros((height, width))
    degree[:-1] += down
    degree[1:] += down
    degree[:, :-1] += right
    degree[:, 1:] += right
    beside = np.zeros((height, width))
    beside[:, :-1] = right
    system = sparse.diags_array((degree + trust).ravel())
    for weights, step in ((beside.ravel()[:-1], 1), (down.ravel(), width)):
        if len(weights):
            neighbours = sparse.diags_array(-weights, offsets=step)
            system = system + neighbours + neighbours.T
    solved: Floats = _scipy("sparse.linalg").spsolve(system.tocsc(), (trust * t).ravel())
    return solved.reshape(height, width)


def stretch(image: Floats) -> Floats:
    """Stretch each channel to [0, 1], mostly as the other channels are, `h w 3`.

    A channel of one value stays.
    """
    low, high = np.quantile(image.reshape(-1, 3), [_TRIM, 1 - _TRIM], axis=0)
    high = np.maximum(high, 0.2)
    low = 0.2 * low + 0.8 * np.minimum(low, low.mean())
    high = 0.2 * high + 0.8 * np.maximum(high, high.mean())
    wide = high - low > _FLAT
    stretched: Floats = np.where(wide, (image - low) / np.where(wide, high - low, 1), image)
    return stretched.clip(0, 1).astype(np.float32)


def _sphere(count: int) -> NDArray[np.float64]:
    """Points spread evenly over the unit sphere, `count 3`: Fibonacci's spiral."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + np.sqrt(5)) * index
    around = np.sqrt(1 - z**2)
    return np.stack([around * np.cos(angle), around * np.sin(angle), z], axis=1)


def _scipy(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"scipy.{module}")
    except ModuleNotFoundError as error:
        raise ModelError(
            "non-local dehazing needs scipy, which comes with: pip install 'kddn[train]'"
        ) from error
