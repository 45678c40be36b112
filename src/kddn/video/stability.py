"""Steady videos: the affine map of one frame goes on from the map of the frame before.

A network judges each frame anew, and noise makes it judge a little differently: brightness
flickers. So coefficients are averaged over time, by an exponential mean, wherever the picture
stands still. Where it moves, the place's earlier coefficients belong to something else; there, only
their broad mean is carried on, which keeps brightness steady without dragging edges along. After a
cut, everything begins anew.
"""

import numpy as np

from kddn.affine import AffineMap, resized
from kddn.filters import Floats, box_mean, gray

_STILL = 0.04
"""Difference of two frames, smoothed, above which a place moves."""

_BROAD = 1 / 8
"""Radius of broad means, as a fraction of the longer side."""

_CUT = 0.45
"""Fraction of pixels whose luma changes bins at a cut: the histograms' distance."""

_BINS = 32


class Stabilizer:
    """Averages the affine maps of a video's frames, in their order.

    Args:
        memory: Fraction of the earlier frames in the mean, from 0 (none: each frame for itself) to
            less than 1.
    """

    def __init__(self, memory: float = 0.8) -> None:
        if not 0 <= memory < 1:
            raise ValueError(f"memory must lie in [0, 1), not {memory}")
        self.memory = memory
        self.cuts = 0
        """Cuts seen so far."""
        self._hazy: Floats | None = None
        self._map: AffineMap | None = None

    def __call__(self, hazy: Floats, new: AffineMap) -> AffineMap:
        """The steady map of the next frame.

        Args:
            hazy: The frame at the working size, in [0, 1], `h w 3`.
            new: Its map, at that size or a smaller one.
        """
        before, earlier = self._hazy, self._map
        self._hazy = hazy
        if before is None or earlier is None or before.shape != hazy.shape:
            self._map = new
            return new
        if is_cut(before, hazy):
            self.cuts += 1
            self._map = new
            return new
        still = resized(_stillness(before, hazy), new.scale.shape[:2])
        self._map = AffineMap(
            self._carried(earlier.scale, new.scale, still),
            self._carried(earlier.offset, new.offset, still),
        )
        return self._map

    def _carried(self, earlier: Floats, new: Floats, still: Floats) -> Floats:
        back = earlier - new
        broad = box_mean(back, max(1, round(_BROAD * max(new.shape[:2])))).astype(np.float32)
        carried: Floats = new + np.float32(self.memory) * (still * back + (1 - still) * broad)
        return carried


def is_cut(before: Floats, after: Floats) -> bool:
    """Whether two frames `h w 3` are of different scenes: their lumas' histograms differ."""
    fractions = [
        np.histogram(gray(frame), _BINS, (0, 1))[0] / frame[..., 0].size
        for frame in (before, after)
    ]
    return bool(np.abs(fractions[0] - fractions[1]).sum() / 2 > _CUT)


def _stillness(before: Floats, after: Floats) -> Floats:
    """1 where nothing moves, 0 where much does, `h w 1`."""
    difference = np.abs(box_mean(after - before, 2)).mean(axis=2, keepdims=True)
    still: Floats = np.exp(-((difference / _STILL) ** 2)).astype(np.float32)
    return still
