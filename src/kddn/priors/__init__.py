"""What removes haze without learning: assumptions about clear pictures, for comparison."""

from collections.abc import Callable
from dataclasses import dataclass

from kddn.filters import Floats
from kddn.priors import color_attenuation, dark_channel, non_local


@dataclass(frozen=True)
class Prior:
    """A method and what it is called."""

    name: str
    """What it is asked for by."""
    summary: str
    """One sentence."""
    remove_haze: Callable[[Floats], Floats]
    """From an RGB picture in [0, 1], `h w 3`, to the clear one."""


PRIORS = {
    prior.name: prior
    for prior in (
        Prior(
            "dcp",
            "Dark channel prior (He, Sun, Tang, CVPR 2009): no learning, for comparison.",
            dark_channel.remove_haze,
        ),
        Prior(
            "cap",
            "Color attenuation prior (Zhu, Mai, Shao, TIP 2015): three learned numbers, "
            "for comparison.",
            color_attenuation.remove_haze,
        ),
        Prior(
            "nld",
            "Non-local dehazing (Berman, Treibitz, Avidan, CVPR 2016), for comparison; "
            "needs scipy.",
            non_local.remove_haze,
        ),
    )
}
"""The methods by name."""

__all__ = ["PRIORS", "Prior"]
