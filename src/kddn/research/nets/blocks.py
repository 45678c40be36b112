"""The blocks that teacher and student are built of, from small to large (section 3.1)."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PaddingMode = Literal["zeros", "reflect"]


class Conv(nn.Sequential):
    """A convolution that keeps the size (or halves it, `stride=2`), with an optional ReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the kernel. An even kernel is padded so that stride 2 halves even sizes.
        stride: 1 or 2.
        bias: Whether it adds a bias.
        relu: Whether a ReLU follows.
        padding_mode: What lies beyond the border.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        bias: bool = True,
        relu: bool = False,
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2,
            bias=bias,
            padding_mode=padding_mode,
        )
        self.add_module("conv", conv)
        if relu:
            self.add_module("relu", nn.ReLU())


class ResBlock(nn.Module):
    """Conv-ReLU-Conv-Add without batch normalisation: the teacher's block."""

    def __init__(self, width: int, *, padding_mode: PaddingMode = "zeros") -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv(width, width, relu=True, padding_mode=padding_mode),
            Conv(width, width, padding_mode=padding_mode),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features with what two convolutions make of them added."""
        out: Tensor = x + self.body(x)
        return out


class ChannelAttention(nn.Module):
    """One weight in (0, 1) a channel, from its global average: squeeze and excitation.

    Args:
        width: Channels in and out.
        layers: Linear layers between the average and the sigmoid, a ReLU between each two.
    """

    def __init__(self, width: int, *, layers: int) -> None:
        super().__init__()
        self.linears = nn.Sequential()
        for index in range(layers):
            if index > 0:
                self.linears.append(nn.ReLU())
            self.linears.append(nn.Linear(width, width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        """A weight in (0, 1) for each channel."""
        pooled = x.mean(dim=(2, 3))  # b c
        return torch.sigmoid(self.linears(pooled))[:, :, None, None]


class SWRCAB(nn.Module):
    """Spatially weighted residual channel attention block (figure 3).

    With `y` the convolved input, the spatial weight `w(y)` says where to look, and the channel
    weight is pooled from the spatially weighted features, so that dense haze counts for more:

        z = w(y) * y,    out = x + attention(z) * z

    `spatially_weighted=False` leaves `w` out; what remains is the SEResBlock of the paper's
    "Baseline".

    Args:
        width: Channels in and out.
        attention_layers: Linear layers of the channel attention: 1 in the paper's text, 2 in the
            authors' code.
        spatially_weighted: Whether there is a spatial weight.
        padding_mode: What lies beyond the border.
    """

    def __init__(
        self,
        width: int,
        *,
        attention_layers: int = 1,
        spatially_weighted: bool = True,
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv(width, width, relu=True, bias=False, padding_mode=padding_mode),
            Conv(width, width, bias=False, padding_mode=padding_mode),
        )
        self.spatial_weight = (
            nn.Sequential(
                Conv(width, width, relu=True, padding_mode=padding_mode),
                Conv(width, width, padding_mode=padding_mode),
                nn.Sigmoid(),
            )
            if spatially_weighted
            else None
        )
        self.attention = ChannelAttention(width, layers=attention_layers)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features with the weighted ones added: `x + attention(z) z`."""
        y = self.body(x)
        z = y if self.spatial_weight is None else self.spatial_weight(y) * y
        out: Tensor = x + self.attention(z) * z
        return out


class ResidualGroup(nn.Module):
    """Residual in residual (RIR): some SWRCABs and a convolution, with a short skip around them.

    Args:
        width: Channels in and out.
        blocks: Number of blocks.
        attention_layers: See `SWRCAB`.
        spatially_weighted: See `SWRCAB`.
        padding_mode: What lies beyond the border.
    """

    def __init__(
        self,
        width: int,
        *,
        blocks: int,
        attention_layers: int = 1,
        spatially_weighted: bool = True,
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                SWRCAB(
                    width,
                    attention_layers=attention_layers,
                    spatially_weighted=spatially_weighted,
                    padding_mode=padding_mode,
                )
                for _ in range(blocks)
            )
        )
        self.tail = Conv(width, width, padding_mode=padding_mode)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features with what the blocks make of them added."""
        out: Tensor = x + self.tail(self.blocks(x))
        return out


STRIDE = 4
"""What the encoders divide the size by."""

_MINIMUM = 2 * STRIDE
"""The smallest side a network works on: reflection by one pixel needs two at a quarter size."""


def pad_to_stride(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c hp wp"]:
    """Repeat the last row and column until both sides are multiples of 4, and at least 8."""
    height, width = x.shape[-2:]
    padded_height = max(_round_up(height), _MINIMUM)
    padded_width = max(_round_up(width), _MINIMUM)
    return F.pad(x, (0, padded_width - width, 0, padded_height - height), mode="replicate")


def _round_up(size: int) -> int:
    return (size + STRIDE - 1) // STRIDE * STRIDE
