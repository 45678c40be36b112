"""Networks that say what to do with each place, not what it looks like.

Haze obeys `I = J t + A (1 - t)`, so the clear picture is affine in the hazy one wherever the
transmission is smooth: `J = scale * I + offset`. Such a network estimates both at a size of its
own; they are smooth by construction, and a picture of any size can be made clear with them.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class AffineMap(NamedTuple):
    """`J = scale * I + offset`, at the size that the network estimates it at."""

    scale: Float[Tensor, "b s h w"]
    """One channel for all colours, or three."""
    offset: Float[Tensor, "b 3 h w"]

    def __call__(self, hazy: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Apply it to images of another size, as the runtime does: enlarged bilinearly."""
        scale, offset = (F.interpolate(x.float(), hazy.shape[-2:], mode="bilinear") for x in self)
        out: Tensor = scale * hazy + offset
        return out


class AffineNetwork(nn.Module, ABC):
    """A network whose output is an affine map: `estimate` says which."""

    stride: int = 1
    """What both sides of the input of `estimate` must be multiples of."""

    @abstractmethod
    def estimate(self, hazy: Float[Tensor, "b 3 h w"]) -> AffineMap:
        """The map of RGB images in [0, 1], whose sides the stride divides."""

    def forward(self, hazy: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Remove haze from RGB images in [0, 1] of any size; the result is not clamped."""
        height, width = hazy.shape[-2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        padded = F.pad(hazy, padding, mode="replicate")
        return self.estimate(padded)(padded)[..., :height, :width]
