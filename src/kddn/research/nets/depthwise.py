"""Depthwise convolutions that learn fast on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight


class DepthwiseConv(nn.Conv2d):
    """A convolution of each channel by itself, with a square odd kernel, that keeps the size.

    Args:
        width: Channels in and out.
        kernel: Side of the kernel.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Each channel filtered by its own kernel."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        if not learns or x.device.type != "cpu":
            return super().forward(x)
        assert self.bias is not None
        tensors = [x, self.weight, self.bias]
        if torch.is_autocast_enabled("cpu"):  # which does not look into functions of one's own
            tensors = [each.to(torch.get_autocast_dtype("cpu")) for each in tensors]
        output: Tensor = _Depthwise.apply(*tensors)  # type: ignore[no-untyped-call]
        return output


class _Depthwise(torch.autograd.Function):
    """The same convolution, whose backward pass asks for three columns of the kernel at a time.

    For wider kernels oneDNN has no fast gradient of a depthwise convolution's weights: a 5x5 kernel
    in bfloat16 took five times as long forwards and backwards as it does so.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        kernel, radius, width = weight.shape[-1], weight.shape[-1] // 2, x.shape[-1]
        of_input = conv2d_input(x.shape, weight, gradient, padding=radius, groups=len(weight))
        padded = F.pad(x, (radius, radius, 0, 0))
        of_weight = []
        for left in range(0, kernel, 3):
            columns = min(3, kernel - left)
            part = conv2d_weight(
                padded[..., left : left + width + columns - 1],
                (len(weight), 1, kernel, columns),
                gradient,
                padding=(radius, 0),
                groups=len(weight),
            )
            of_weight.append(part)
        return of_input, torch.cat(of_weight, -1), gradient.sum((0, 2, 3))
