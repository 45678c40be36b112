"""What every data set gives: a hazy image with its clean one."""

from typing import NamedTuple

from torch import Tensor


class Pair(NamedTuple):
    """A batch of hazy images with what they hide. All float32, `b c h w`, in [0, 1]."""

    hazy: Tensor
    """`I`, `b 3 h w`."""
    clean: Tensor
    """`J`, `b 3 h w`."""
    transmission: Tensor | None
    """`t`, `b 1 h w`, where it is known."""
