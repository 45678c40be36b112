"""The scattering model, RESIDE's indoor haze, and haze density (equations 6 and 7).

Images are RGB in [0, 1], channels first (`... 3 h w`); maps have one channel (`... 1 h w`).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

Image = Float[Tensor, "*b 3 h w"]
Map = Float[Tensor, "*b 1 h w"]


def transmission(depth: Tensor, beta: float | Tensor) -> Tensor:
    """Fraction of light that reaches the camera: `t = exp(-beta d)`.

    Args:
        depth: Distance to the scene, in the unit that `1 / beta` has. RESIDE's is relative to the
            farthest point, in [0, 1].
        beta: Scattering coefficient, 0 or more; a number or a tensor that broadcasts.

    Returns:
        Transmission in (0, 1], shaped like `depth`.
    """
    return torch.exp(-beta * depth)


def scatter(clean: Image, transmission: Tensor, airlight: float | Tensor) -> Image:
    """Put haze over a clean image by the atmospheric scattering model `I = J t + A (1 - t)`.

    Args:
        clean: `J`, RGB in [0, 1], `... 3 h w`.
        transmission: `t` in [0, 1], `... 1 h w`, or `... 3 h w` where it depends on the colour.
        airlight: `A` in [0, 1]; a number or a tensor that broadcasts, as `... 3 1 1`.

    Returns:
        The hazy image `I`, shaped like `clean`.
    """
    return clean * transmission + airlight * (1 - transmission)


class Haze(NamedTuple):
    """How bright the haze is and how thick."""

    airlight: float
    """Atmospheric light `A`, the same for red, green and blue, in [0, 1]."""
    beta: float
    """Scattering coefficient per relative depth."""


ITS_AIRLIGHT = (0.7, 1.0)
"""RESIDE ITS draws the airlight uniformly from this range."""

ITS_BETA = (0.6, 1.8)
"""RESIDE ITS draws beta uniformly from this range."""

SOTS_INDICES = range(1, 11)
"""The ten hazy images of a SOTS-indoor scene."""


def sots_haze(index: int) -> Haze:
    """Haze of image `index` (1 to 10) of a scene of RESIDE's indoor test set (SOTS).

    Raises:
        ValueError: If there is no such image.
    """
    if index not in SOTS_INDICES:
        raise ValueError(f"SOTS-indoor numbers a scene's hazy images 1 to 10, not {index}")
    return Haze(airlight=1.0, beta=0.5 + 0.1 * index)


def normalize(x: Map) -> Map:
    """`norm` of equation 7: each map's minimum becomes 0 and its maximum 1.

    A constant map has no contrast to stretch and becomes 0 everywhere.

    Args:
        x: Maps `... 1 h w`; each is normalised by itself.
    """
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    return (x - low) / torch.where(high > low, high - low, 1)


def gray(image: Image) -> Map:
    """Luma of ITU-R BT.601, `... 3 h w` to `... 1 h w`."""
    red, green, blue = image[..., 0:1, :, :], image[..., 1:2, :, :], image[..., 2:3, :, :]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def density_from_transmission(transmission: Map) -> Map:
    """Haze density `psi1 = norm(1 - t)` (equation 6), in [0, 1], `... 1 h w`."""
    return normalize(1 - transmission)


def density_from_residual(hazy: Image, clean: Image) -> Map:
    """Haze density `psi2 = norm(|gray(I) - gray(J)|)` (equation 6), in [0, 1], `... 1 h w`.

    For data without a transmission map.
    """
    return normalize((gray(hazy) - gray(clean)).abs())


def fade(image: NDArray[np.uint8]) -> float:
    """Fog density of a photograph without any other beside it: FADE (Choi, You and Bovik, 2015).

    Args:
        image: RGB, `h w 3`.

    Returns:
        0 or more; about 0.3 for a clear photograph, above 1 for a foggy one.

    Raises:
        ImportError: Without `kddn[fade]`.
    """
    from pyfade import fade as density

    return float(density(image))
