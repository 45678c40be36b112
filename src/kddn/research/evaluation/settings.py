"""Settings of training, each from several seeds, compared on the same images.

A setting's figures are `seeds scenes`: means over the images of each scene, seed by seed.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64

from kddn.research.evaluation.scores import Estimate, Score, by_scene, estimate

Figures = Float64[np.ndarray, "seeds scenes"]


def by_setting(scores: Sequence[Score], metric: str) -> dict[str, Figures]:
    """Figures of systems that are called `setting/seed`, by setting."""
    systems: dict[str, list[Score]] = {}
    for s in scores:
        systems.setdefault(s.system, []).append(s)
    settings: dict[str, list[Figures]] = {}
    for system, mine in systems.items():
        settings.setdefault(system.rpartition("/")[0], []).append(by_scene(mine, metric))
    return {setting: np.array(seeds) for setting, seeds in settings.items()}


def mean(figures: Figures) -> Estimate:
    """Over seeds and scenes."""
    return estimate(figures.mean(0))


def of_seeds(figures: Figures) -> str:
    """Each seed's mean, with two digits."""
    return " ".join(f"{value:.2f}" for value in figures.mean(1))


def gain(figures: Figures, over: Figures) -> Estimate:
    """How much higher one setting's figures are than another's, on the same scenes."""
    return estimate(figures.mean(0) - over.mean(0))


def is_above(figures: Figures, other: Figures) -> Literal["yes", "no", "open"]:
    """Whether a setting is above another: if the gain's interval and every pair of seeds agree."""
    _, low, high = gain(figures, other)
    pairs = figures.mean(1)[:, None] - other.mean(1)  # seeds seeds
    if low > 0 and (pairs > 0).all():
        return "yes"
    return "no" if high < 0 and (pairs < 0).all() else "open"
