"""Filters over windows of maps `b c h w`, each channel by itself."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "b c h w"]


def box(x: Maps, radius: int) -> Maps:
    """Means over squares of `2 radius + 1`, at the borders of what there is of them."""
    for axis in (-2, -1):
        place = torch.arange(x.shape[axis], device=x.device)
        low = (place - radius).clamp(min=0)
        high = (place + radius + 1).clamp(max=x.shape[axis])
        width = (high - low).view(-1, 1) if axis == -2 else high - low
        beyond = (radius + 1, radius)  # zeros, which add nothing
        sums = F.pad(x, beyond if axis == -1 else (0, 0, *beyond)).cumsum(axis)
        inside = sums.narrow(axis, 2 * radius + 1, len(place))
        x = (inside - sums.narrow(axis, 0, len(place))) / width
    return x


def guided(guide: Maps, maps: Maps, *, radius: int, eps: float) -> Maps:
    """Maps smoothed but for the edges of a guide: the guided filter (He et al., 2013).

    Args:
        guide: One channel, `b 1 h w`.
        maps: What to smooth.
        radius: Of the windows, `2 radius + 1` wide.
        eps: How much variance of the guide counts as none.
    """
    mean_guide, mean = box(guide, radius), box(maps, radius)
    covariance = box(guide * maps, radius) - mean_guide * mean
    variance = box(guide * guide, radius) - mean_guide**2
    slope = covariance / (variance + eps)
    offset = mean - slope * mean_guide
    return box(slope, radius) * guide + box(offset, radius)


def local_minimum(x: Maps, side: int) -> Maps:
    """Minima over squares of an odd side, at the borders of what there is of them.

    By doubling: the minimum of a window of 8 is that of two of 4. A maximum pool takes ten times as
    long on a CPU.
    """
    margin = side // 2
    x = F.pad(x, (margin, margin, margin, margin), value=float("inf"))
    for axis in (-1, -2):
        covered = 1
        while covered < side:
            step = min(covered, side - covered)
            length = x.shape[axis] - step
            x = torch.minimum(x.narrow(axis, 0, length), x.narrow(axis, step, length))
            covered += step
    return x


def pad_symmetric(x: Maps, left: int, right: int, top: int, bottom: int) -> Maps:
    """Mirror the borders, the outermost row and column included (MATLAB's and NumPy's symmetric).

    Unlike PyTorch's reflection, which leaves them out; and by more than the size of the image too.
    """
    for axis, before, after in ((-1, left, right), (-2, top, bottom)):
        size = x.shape[axis]
        place = torch.arange(-before, size + after, device=x.device) % (2 * size)
        x = x.index_select(axis, torch.minimum(place, 2 * size - 1 - place))
    return x
