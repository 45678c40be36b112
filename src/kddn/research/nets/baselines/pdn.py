"""Proximal Dehaze-Net, PDN (Yang and Sun, ECCV 2018): an unrolled minimisation."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.windows import box, local_minimum, pad_symmetric

Images = Float[Tensor, "b 3 h w"]
Maps = Float[Tensor, "b 1 h w"]

_WEIGHT = 5.0
"""`a`: weight of the dark channel's term."""

_EPSILON = 1e-6


class Proximal(nn.Module):
    """The small CNN that stands for a proximal operator, of a map and the hazy image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(inputs, 9, 7, padding=3) for inputs in (4, 9, 9)
        )
        self.conv4 = nn.Conv2d(9, 1, 1)

    def forward(self, x: Float[Tensor, "b 4 h w"]) -> Maps:
        """The map that the operator makes of a map and the hazy image."""
        x = pool_and_enlarge(self.conv1(x))
        for conv in (self.conv2, self.conv3):
            x = pool_and_enlarge(conv(normalize(x)))
        out: Tensor = self.conv4(x)
        return out


class Stage(nn.Module):
    """One turn: dark channel `U`, then transmission `T`, then clear image `J`.

    Args:
        rho: Weight of the coupling between `U` and the dark channel of `J`.
        window: Side of the dark channel's patches.
    """

    def __init__(self, rho: float, window: int) -> None:
        super().__init__()
        self.rho = rho
        self.window = window
        self.unet = Proximal()
        self.tnet = Proximal()

    def forward(self, image: Images, clear: Images, t: Maps) -> tuple[Images, Maps]:
        """The clear image and the transmission after this turn."""
        a = _WEIGHT
        dark = _dark_channel(image, self.window)
        u = a * t * (dark + t - 1) + self.rho * _dark_channel(clear, self.window)
        u = u / (a * t**2 + self.rho + _EPSILON)
        u = F.relu(self.unet(torch.cat([u, image], 1)))
        numerator = ((clear - 1) * (image - 1)).sum(1, keepdim=True) + a * (u - 1) * (dark - 1)
        denominator = ((clear - 1) ** 2).sum(1, keepdim=True) + a * (u - 1) ** 2 + _EPSILON
        t = (numerator / denominator).clamp(0.1, 1)
        t = torch.sigmoid(self.tnet(torch.cat([t, image], 1)))
        t = _refine(image.mean(1, keepdim=True), t)
        return (image - 1) / t + 1, t


@dataclass(frozen=True)
class PDNConfig:
    """How often it takes its turns."""

    stages: int = 1
    """1 to 3. The released weights trained on RESIDE have one."""

    def __post_init__(self) -> None:
        if not 1 <= self.stages <= 3:
            raise ValueError(f"PDN has 1 to 3 stages, not {self.stages}")


class PDN(nn.Module):
    """Proximal Dehaze-Net."""

    def __init__(self, config: PDNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PDNConfig()
        shapes = [(1.0, 7), (2.0, 5), (4.0, 3)][: config.stages]
        for number, (rho, window) in enumerate(shapes, 1):
            self.add_module(f"stage{number}", Stage(rho, window))

    def forward(self, hazy: Images) -> Images:
        """Remove haze from RGB images in [0, 1], any size."""
        height, width = hazy.shape[-2:]
        padded = pad_symmetric(hazy, 0, width % 2, 0, height % 2)
        airlight = _airlight(padded)
        image = padded / airlight
        clear, t = image, torch.ones_like(image[:, :1])
        for number in range(1, self.config.stages + 1):
            clear, t = self.get_submodule(f"stage{number}")(image, clear, t)
        return (clear * airlight)[..., :height, :width]


def pool_and_enlarge(x: Tensor) -> Tensor:
    """ReLU, then the maximum of each 2x2 pixels in the place of all four; even sizes only."""
    return F.interpolate(F.max_pool2d(F.relu(x), 2), scale_factor=2, mode="nearest")


def normalize(x: Tensor) -> Tensor:
    """Local response normalisation over 5 channels, as Caffe and MatConvNet networks had it."""
    return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1)


def _dark_channel(image: Images, window: int) -> Maps:
    return local_minimum(image.amin(1, keepdim=True), window)


def _airlight(image: Images) -> Float[Tensor, "b 3 1 1"]:
    """The one pixel that a thousandth of the dark channel exceeds."""
    dark = _dark_channel(image, 15).flatten(1)
    rank = int(0.001 * dark.shape[1])
    place = dark.argsort(1, descending=True)[:, rank]  # b
    pixels = image.flatten(2)
    colour = pixels.gather(2, place.view(-1, 1, 1).expand(-1, 3, 1))
    return colour[..., None].clamp(min=1e-3)


def _refine(guide: Maps, t: Maps) -> Maps:
    """The guided filter, over mirrored borders, with a window of a sixth of the image."""
    height, width = guide.shape[-2:]
    radius = (min(height, width) // 6 | 1) // 2

    def mean(x: Tensor) -> Tensor:
        padded = pad_symmetric(x, radius, radius, radius, radius)
        return box(padded, radius)[..., radius : radius + height, radius : radius + width]

    mean_guide, mean_t = mean(guide), mean(t)
    slope = (mean(guide * t) - mean_guide * mean_t) / (mean(guide**2) - mean_guide**2 + 5e-3)
    return mean(slope) * guide + mean(mean_t - slope * mean_guide)
