"""EPDN, enhanced pix2pix dehazing network (Qu et al., CVPR 2019): its generator and enhancer."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Images = Float[Tensor, "b 3 h w"]


class EPDN(nn.Module):
    """A translation at half size and at full size, then two enhancing blocks.

    Sides are resized to multiples of 32 and back. The discriminator belongs to the training and
    is not here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.whole = nn.Sequential(
            *_entrance(3, 32),
            *_halvings(32, 4),
            *(Residual(512) for _ in range(3)),
            *_doublings(512, 4),
        )
        self.local_in = nn.Sequential(*_entrance(3, 16), *_halvings(16, 1))
        self.local_out = nn.Sequential(
            *(Residual(32) for _ in range(3)),
            *_doublings(32, 1),
            nn.ReflectionPad2d(3),
            nn.Conv2d(16, 3, 7),
            nn.Tanh(),
        )
        self.enhance1 = Enhancer()
        self.enhance2 = Enhancer()

    def forward(self, hazy: Images) -> Images:
        """Remove haze from RGB images in [0, 1], any size."""
        size = hazy.shape[-2:]
        fitting = [max(64, round(side / 32) * 32) for side in size]
        x = 2 * hazy - 1
        x = F.interpolate(x, fitting, mode="bicubic").clamp(-1, 1) if list(size) != fitting else x
        half = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        translated = self.local_out(self.local_in(x) + self.whole(half))
        out = self.enhance2(translated, self.enhance1(translated, x))
        out = (out + 1) / 2
        return F.interpolate(out, size, mode="bicubic") if list(size) != fitting else out


class Residual(nn.Module):
    """Two convolutions with instance normalisation, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features with what two convolutions make of them added."""
        out: Tensor = x + self.body(x)
        return out


class Enhancer(nn.Module):
    """Refines a picture by another and by averages of their features over four sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 20, 3, padding=1)
        self.conv2 = nn.Conv2d(20, 20, 3, padding=1)
        self.averages = nn.ModuleList(nn.Conv2d(20, 1, 1) for _ in range(4))
        self.out = nn.Conv2d(24, 3, 3, padding=1)
        self.unused = nn.InstanceNorm2d(100, affine=True).requires_grad_(False)
        """In the authors' code, and in their count of parameters; never runs."""

    def forward(self, picture: Images, other: Images) -> Images:
        """The refined picture, in (-1, 1)."""
        x = F.leaky_relu(self.conv1(torch.cat([picture, other], 1)), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        maps = [
            F.interpolate(
                F.leaky_relu(conv(F.avg_pool2d(x, side)), 0.2), x.shape[-2:], mode="nearest"
            )
            for side, conv in zip((32, 16, 8, 4), self.averages, strict=True)
        ]
        return torch.tanh(self.out(torch.cat([*maps, x], 1)))


def _entrance(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.ReflectionPad2d(3),
        nn.Conv2d(inputs, outputs, 7),
        nn.InstanceNorm2d(outputs),
        nn.ReLU(),
    ]


def _halvings(width: int, count: int) -> list[nn.Module]:
    """Each halves the size and doubles the channels."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
        width *= 2
    return layers


def _doublings(width: int, count: int) -> list[nn.Module]:
    """Each doubles the size and halves the channels."""
    layers: list[nn.Module] = []
    for _ in range(count):
        half = width // 2
        layers += [nn.ConvTranspose2d(width, half, 3, 2, 1, 1), nn.InstanceNorm2d(half), nn.ReLU()]
        width = half
    return layers
