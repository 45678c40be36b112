"""The local affine map: estimate haze in a small picture, remove it from the large one.

Haze obeys `I = J t + A (1 - t)`, so the clear picture is affine in the hazy one wherever the
transmission is smooth: `J = scale * I + offset`. Both coefficients are fitted at the working size
(a guided filter: He, Sun, Tang, TPAMI 2013), enlarged, and applied to the picture's own pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kddn.filters import Floats, box_mean
from kddn.io.image import bands

RADIUS = 1
"""Windows of 3x3 pixels at the working size."""

EPSILON = 1e-5
"""Contrast (variance) below which a window counts as flat; images lie in [0, 1]."""


@dataclass(frozen=True)
class AffineMap:
    """`clear = scale * hazy + offset`, with coefficients for every place and channel."""

    scale: Floats
    """`h w c`, or `h w 1` for all channels, at the size it was estimated at."""
    offset: Floats
    """`h w c`, at the same size."""

    def faded(self, strength: float) -> "AffineMap":
        """The map `strength` of the way from leaving everything as it is (0) to itself (1)."""
        fraction = np.float32(strength)
        return AffineMap(1 + fraction * (self.scale - 1), fraction * self.offset)

    def gray(self) -> "AffineMap":
        """The same for all channels, so that gray stays gray."""
        mean = self.scale.mean(axis=2, keepdims=True), self.offset.mean(axis=2, keepdims=True)
        return AffineMap(mean[0], np.broadcast_to(mean[1], self.offset.shape))

    def __call__(self, image: NDArray[Any], maximum: float) -> NDArray[Any]:
        """Apply to a picture of any size, band by band.

        Args:
            image: `H W c`, any real dtype, from 0 to `maximum`.
            maximum: What stands for white.

        Returns:
            The mapped picture, in [0, maximum], same shape and dtype.
        """
        height, width = image.shape[:2]
        rows = _positions(height, self.scale.shape[0])
        columns = _positions(width, self.scale.shape[1])
        scale = _between(self.scale, columns, axis=1)  # h W c
        offset = _between(self.offset * np.float32(maximum), columns, axis=1)
        result = np.empty_like(image)
        whole_numbers = np.issubdtype(image.dtype, np.integer)
        for here in bands(image):
            part = rows[0][here], rows[1][here], rows[2][here]
            clear = _between(offset, part, axis=0)
            clear += _between(scale, part, axis=0) * image[here]
            if whole_numbers:
                np.rint(clear, out=clear)
            np.clip(clear, 0, maximum, out=clear)
            result[here] = clear
        return result


def fit(
    guide: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    radius: int = RADIUS,
    epsilon: float = EPSILON,
) -> AffineMap:
    """Fit `target = scale * guide + offset` in the window around each pixel (a guided filter).

    Args:
        guide: The hazy picture in [0, 1], `h w c`.
        target: The clear picture in [0, 1], `h w c`.
        radius: Windows are `2 radius + 1` wide.
        epsilon: Pulls the scale of flat windows to 0.

    Returns:
        Coefficients averaged over all the windows that cover a pixel.
    """
    # In float32, the products' rounding would be as large as the variance of what is flat.
    guide, target = guide.astype(np.float64), target.astype(np.float64)
    guide_mean, target_mean = box_mean(guide, radius), box_mean(target, radius)
    covariance = box_mean(guide * target, radius) - guide_mean * target_mean
    variance = box_mean(guide * guide, radius) - guide_mean * guide_mean
    scale = covariance / (variance + epsilon)
    offset = target_mean - scale * guide_mean
    return AffineMap(
        box_mean(scale, radius).astype(np.float32), box_mean(offset, radius).astype(np.float32)
    )


def guided(guide: Floats, x: Floats, *, radius: int, epsilon: float) -> Floats:
    """A map smoothed but for the edges of a guide (He, Sun, Tang, TPAMI 2013), `h w`."""
    refine = fit(guide, x, radius=radius, epsilon=epsilon)
    return refine.scale * guide + refine.offset


def resized(values: Floats, shape: Sequence[int]) -> Floats:
    """Coefficients `h w c` at another height and width, bilinearly between their centres."""
    if values.shape[:2] == tuple(shape):
        return values
    columns = _between(values, _positions(shape[1], values.shape[1]), axis=1)
    return _between(columns, _positions(shape[0], values.shape[0]), axis=0)


_Positions = tuple[NDArray[np.intp], NDArray[np.intp], Floats]


def _positions(outputs: int, inputs: int) -> _Positions:
    """Of each output pixel centre: the inputs before and after it, and the weight of the latter."""
    centre = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    centre = centre.clip(0, inputs - 1)
    before = np.floor(centre).astype(np.intp)
    return before, np.minimum(before + 1, inputs - 1), (centre - before).astype(np.float32)


def _between(values: Floats, positions: _Positions, axis: int) -> Floats:
    before, after, fraction = positions
    fraction = fraction.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    first = values.take(before, axis)
    second = values.take(after, axis)
    second -= first
    second *= fraction
    first += second
    return first
