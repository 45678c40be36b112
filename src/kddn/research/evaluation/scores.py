"""What was measured, and means of it.

Several images share a scene, so the 95% intervals resample scenes, not images.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Score:
    """How well one image came out."""

    data: str
    """The data set."""
    protocol: str
    """How it was measured."""
    system: str
    """What removed the haze, and by which path."""
    scene: str
    """What intervals resample."""
    image: str
    """Its name."""
    figures: dict[str, float]
    """By metric: `psnr` in dB and `ssim`, and what else was asked for."""
    seconds: float
    """Time to remove the haze, on the machine at hand."""


@dataclass(frozen=True)
class NoReference:
    """What can be said of a picture without ground truth."""

    data: str
    system: str
    image: str
    contrast: float
    """Mean gradient of the luma, relative to the hazy picture's."""
    saturated: float
    """Fraction of pixels with a channel at 0 or 1 that was not there in the hazy picture."""
    dark_channel: float
    """Mean dark channel: of a clear outdoor picture, near 0."""
    fade: float | None
    """Fog density (Choi, You and Bovik, TIP 2015), where fade-python is installed and the picture
    is neither too small nor flat."""
    seconds: float


class Estimate(NamedTuple):
    """A mean, and the ends of its 95% interval."""

    mean: float
    low: float
    """Without a number where there is one scene, which tells nothing of others."""
    high: float

    def __format__(self, spec: str) -> str:
        """As in `30.12 (29.90 to 30.31)`, each figure by the same specification."""
        if math.isnan(self.low):
            return f"{self.mean:{spec}}"
        return f"{self.mean:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


@dataclass(frozen=True)
class Summary:
    """Means over all images of a set."""

    data: str
    protocol: str
    system: str
    images: int
    figures: dict[str, Estimate]
    """By metric."""
    seconds: float
    """Median."""


def summarize(scores: Sequence[Score]) -> list[Summary]:
    """Means of each system's scores on each set by each protocol, in the order they come in."""
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for s in scores:
        groups.setdefault((s.data, s.protocol, s.system), []).append(s)
    return [
        Summary(
            *of_what,
            len(group),
            {
                metric: estimate(by_scene(group, metric), images_by_scene(group))
                for metric in group[0].figures
            },
            float(np.median([s.seconds for s in group])),
        )
        for of_what, group in groups.items()
    ]


def by_scene(scores: Sequence[Score], metric: str) -> NDArray[np.float64]:
    """Mean of a figure over each scene's images, in the order the scenes come in.

    An image equal to the target counts as 100 dB, so that means stay finite.
    """
    scenes: dict[str, list[float]] = {}
    for s in scores:
        scenes.setdefault(s.scene, []).append(min(s.figures[metric], 100.0))
    return np.array([np.mean(values) for values in scenes.values()])


def images_by_scene(scores: Sequence[Score]) -> NDArray[np.int64]:
    """How many images each scene has, in the order the scenes come in."""
    return np.array(list(Counter(s.scene for s in scores).values()))


def estimate(values: NDArray[np.floating], images: NDArray[np.int64] | None = None) -> Estimate:
    """Mean over images of values, one a scene, and its 95% interval, by resampling scenes.

    Args:
        values: Each scene's mean.
        images: How many images each has; all alike by default.
    """
    return Estimate(float(np.average(values, weights=images)), *bootstrap(values, images))


_RESAMPLES = 2000


def bootstrap(
    values: NDArray[np.floating], images: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Ends of the 95% interval of the mean that `estimate` gives."""
    if len(values) == 1:
        return math.nan, math.nan
    draws = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    weights = None if images is None else images[draws]
    means = np.average(values[draws], axis=1, weights=weights)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
