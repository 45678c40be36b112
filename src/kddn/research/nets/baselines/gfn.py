"""GFN, gated fusion network (Ren et al., CVPR 2018): three derived inputs, weighted and added."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.nets.blocks import pad_to_stride

Images = Float[Tensor, "b 3 h w"]


def white_balance(hazy: Images) -> Images:
    """The grey world's: each channel's mean becomes the mean of all."""
    means = hazy.mean((-2, -1), keepdim=True)
    return (hazy * means.mean(1, keepdim=True) / (means + 0.001 / 255)).clamp(max=1)


def enhance_contrast(hazy: Images) -> Images:
    """`2 (0.5 + m) (I - m)`, with `m` the mean of all pixels and channels. Not clamped."""
    mean = hazy.mean((-3, -2, -1), keepdim=True)
    return 2 * (0.5 + mean) * (hazy - mean)


def correct_gamma(hazy: Images) -> Images:
    """`I^2.5`."""
    return hazy**2.5


class _Layers(nn.Module):
    """Convolutions, each with a leaky ReLU, by the names that the released weights have."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = _leaky(layer(x))
        return x


class Scale(nn.Module):
    """Encoder and decoder at one size: weights of the three derived inputs, and their sum.

    Args:
        number: 1, 2 or 3, from coarse to fine: also the dilation of the first convolutions.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        inputs = 12 if number == 1 else 15
        middle = 64 if number == 1 else 32
        if number > 1:
            self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)
        self.enc1 = _Layers(
            conv1=_conv(inputs, 32, 2 * number + 1, number),
            conv2=_conv(32, 32, 3, number),
            conv3=_conv(32, 32, 3, number),
        )
        self.enc2 = _Layers(
            conv1=_conv(32, middle, 3, number), conv2=_conv(middle, 32), conv3=_conv(32, 32)
        )
        self.enc3 = _Layers(conv1=_conv(32, 32), conv2=_conv(32, 32), conv3=_conv(32, 32))
        self.dec1 = _Layers(deconv1=_deconv(), conv2=_conv(32, 32), conv3=_conv(32, 32))
        self.dec2 = _Layers(deconv1=_deconv(), conv2=_conv(32, 32), conv3=_conv(32, 32))
        self.dec3 = _Layers(deconv1=_deconv(), conv2=_conv(32, 32))
        self.head = _conv(192, 3)

    def forward(
        self, derived: Float[Tensor, "b 12 h w"], coarser: Float[Tensor, "b 3 h2 w2"] | None
    ) -> Images:
        """The clear image at this size, from the derived ones and the coarser result."""
        x = derived
        if coarser is not None:
            x = torch.cat([_leaky(self.up(coarser)), derived], 1)
        outputs = []
        for block in (self.enc1, self.enc2, self.enc3, self.dec1, self.dec2, self.dec3):
            x = block(x)
            outputs.append(x)
        weights = _leaky(self.head(torch.cat(outputs, 1)))  # b 3 h w
        return sum(
            (weights[:, i : i + 1] * derived[:, 3 * i + 3 : 3 * i + 6] for i in range(3)),
            torch.zeros_like(derived[:, :3]),
        )


class GFN(nn.Module):
    """Gated fusion network: the sum of white-balanced, contrast-enhanced and gamma-corrected
    inputs, each weighted pixel by pixel, at three sizes from coarse to fine.

    Sides that are no multiples of 4 are padded at the right and below, and cut back; the released
    demo resizes to multiples of 8 and leaves it so.
    """  # noqa: D205

    def __init__(self) -> None:
        super().__init__()
        self.scale1, self.scale2, self.scale3 = Scale(1), Scale(2), Scale(3)

    def forward(self, hazy: Images) -> Images:
        """Remove haze from RGB images in [0, 1], any size."""
        height, width = hazy.shape[-2:]
        hazy = pad_to_stride(hazy)
        derived = torch.cat(
            [hazy, white_balance(hazy), enhance_contrast(hazy), correct_gamma(hazy)], 1
        )  # b 12 h w
        coarse = self.scale1(F.max_pool2d(derived, 4), None)
        middle = self.scale2(F.max_pool2d(derived, 2), coarse)
        fine: Tensor = self.scale3(derived, middle)
        return fine[..., :height, :width]


def _conv(inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation)


def _deconv() -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(32, 32, 3, padding=1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)
