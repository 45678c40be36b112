"""Haze drawn over clean images whose depth is known, or drawn too."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from kddn.research.data.batches import between
from kddn.research.data.camera import CameraConfig, photograph
from kddn.research.data.pair import Pair
from kddn.research.haze import ITS_AIRLIGHT, ITS_BETA, scatter, transmission

WAVELENGTHS = torch.tensor([611.0, 549.0, 464.0]).view(3, 1, 1)
"""Dominant wavelengths of sRGB's red, green and blue, in nm."""


@dataclass(frozen=True, kw_only=True)
class HazeConfig:
    """What haze is drawn. The default is the rule of RESIDE's indoor training set."""

    airlight: tuple[float, float] = ITS_AIRLIGHT
    """Range of the airlight `A`."""
    beta: tuple[float, float] = ITS_BETA
    """Range of the scattering coefficient, per relative depth."""
    white: float = 0.0
    """Fraction of images whose airlight is 1, as SOTS's and many photographs' is."""
    tint: float = 0.0
    """Standard deviation of the airlight's colour: red up and blue down by as much, or reverse."""
    angstrom: float = 0.0
    """Largest Angstrom exponent `a`, drawn uniformly from 0: haze scatters light of wavelength `l`
    as `l ** -a`, blue more than red, so that what is far turns blue. About 1.3 in most air."""
    floor: float = 0.0
    """Least transmission that haze is to be removed at: where less light comes through, what is
    behind cannot be known, and the target keeps haze of transmission `t / floor`."""
    haze_free: float = 0.0
    """Fraction of images that have no haze and come back as they are."""
    camera: CameraConfig = field(default_factory=CameraConfig)
    """What the camera adds to hazy images."""

    def __post_init__(self) -> None:
        if not 0 <= self.airlight[0] <= self.airlight[1] <= 1:
            raise ValueError(f"airlight must be a range within [0, 1], not {self.airlight}")
        if not 0 <= self.beta[0] <= self.beta[1]:
            raise ValueError(f"beta must be a range of 0 or more, not {self.beta}")
        if self.angstrom < 0:
            raise ValueError(f"angstrom must be 0 or more, not {self.angstrom}")
        for name in ("white", "haze_free", "floor"):
            if not 0 <= (fraction := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {fraction}")


def add_haze(clean: Tensor, depth: Tensor, config: HazeConfig, generator: torch.Generator) -> Pair:
    """Draw haze of its own for each image of a batch.

    Args:
        clean: `J`, `b 3 h w` in [0, 1].
        depth: Distance relative to the farthest, `b 1 h w` in [0, 1].
        config: What haze to draw.
        generator: Randomness, on the CPU, so that it is the same on every device.

    Returns:
        The hazy images, what is to be made of them, and the transmission of green light.
    """
    one_each = len(clean), 1, 1, 1
    airlight = between(*config.airlight, one_each, generator)
    beta = between(*config.beta, one_each, generator)
    airlight = airlight.where(between(0, 1, one_each, generator) >= config.white, 1.0)
    warmth = config.tint * torch.randn(one_each, generator=generator)
    colour = warmth * torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)
    is_haze_free = between(0, 1, one_each, generator) < config.haze_free
    airlight = (airlight + colour).clamp(0, 1).to(clean.device)
    t = transmission(depth, beta.where(~is_haze_free, 0.0).to(clean.device))
    clean = clean.contiguous(memory_format=torch.channels_last)
    if config.angstrom > 0:
        exponent = between(0, config.angstrom, one_each, generator)
        t_rgb = t ** ((WAVELENGTHS[1] / WAVELENGTHS) ** exponent).to(clean.device)
    else:
        t_rgb = t
    hazy = scatter(clean, t_rgb, airlight)
    if config.floor > 0:
        clean = scatter(clean, (t_rgb / config.floor).clamp(max=1), airlight)
    photographed = photograph(hazy, config.camera, generator)
    return Pair(torch.where(is_haze_free.to(clean.device), hazy, photographed), clean, t)
