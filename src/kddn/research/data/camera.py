"""What a camera does to a hazy view: its tone curve, its noise, and JPEG compression."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kddn.research.data.batches import between


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """How much the camera changes. The default is nothing."""

    gamma: float = 1.0
    """Largest exponent of the tone curve; drawn log-uniformly from `[1 / gamma, gamma]`."""
    noise: float = 0.0
    """Largest standard deviation of the noise, in units of full brightness."""
    jpeg: float = 0.0
    """Fraction of images that are compressed."""
    qualities: tuple[int, int] = (50, 98)
    """Range of the qualities that they are compressed at."""

    def __post_init__(self) -> None:
        if not 1 <= self.qualities[0] <= self.qualities[1] <= 100:
            raise ValueError(f"qualities must be a range within [1, 100], not {self.qualities}")
        if self.gamma < 1 or self.noise < 0 or not 0 <= self.jpeg <= 1:
            raise ValueError(
                "a camera must have gamma >= 1, noise >= 0 and jpeg in [0, 1], "
                f"not {self.gamma}, {self.noise}, {self.jpeg}"
            )


def photograph(images: Tensor, config: CameraConfig, generator: torch.Generator) -> Tensor:
    """Images `b 3 h w` in [0, 1] as a camera would have them, each with draws of its own."""
    one_each = len(images), 1, 1, 1
    if config.gamma > 1:
        limit = math.log(config.gamma)
        exponents = between(-limit, limit, one_each, generator).exp()
        images = images.clamp(0, 1) ** exponents.to(images.device)
    if config.noise > 0:
        sigmas = between(0, config.noise, one_each, generator)
        noise = sigmas * torch.randn(images.shape, generator=generator)
        images = (images + noise.to(images.device)).clamp(0, 1)
    if config.jpeg > 0:
        qualities = between(*config.qualities, one_each, generator).to(images.device)
        chosen = (between(0, 1, one_each, generator) < config.jpeg).to(images.device)
        images = torch.where(chosen, compress(images, qualities), images)
    return images


# Tables K.1 and K.2 of ITU-T T.81, which quality 50 divides by.
_LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87
 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98
 112 100 103 99"""
_CHROMA = (
    """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99
 99 99 99"""
    + " 99" * 32
)
_TABLES = torch.tensor([[float(q) for q in table.split()] for table in (_LUMA, _CHROMA, _CHROMA)])

_TO_YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


def compress(
    images: Float[Tensor, "b 3 h w"], quality: Float[Tensor, "b 1 1 1"]
) -> Float[Tensor, "b 3 h w"]:
    """Baseline JPEG (ITU-T T.81) there and back, in batches and on any device.

    Without subsampling of colour. Files are not written, so only what is lost is computed.

    Args:
        images: RGB in [0, 1].
        quality: Of each image, as libjpeg counts it: 1 to 100.
    """
    height, width = images.shape[-2:]
    cosines = _cosines().to(images)
    tables = _TABLES.to(images)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)  # b 1 1 1
    steps = ((tables * scale[..., 0] + 50) / 100).floor().clamp(1, 255).view(-1, 3, 1, 1, 8, 8)
    to_ycbcr = _TO_YCBCR.to(images)
    x = F.pad(images, (0, -width % 8, 0, -height % 8), mode="replicate")
    x = torch.einsum("dc,bchw->bdhw", to_ycbcr, (x * 255).round()).round()
    x[:, 0] -= 128
    rows, columns = x.shape[-2] // 8, x.shape[-1] // 8
    blocks = x.reshape(-1, 3, rows, 8, columns, 8).transpose(-2, -3)  # b 3 rows columns 8 8
    levels = (cosines @ blocks @ cosines.T / steps).round()
    blocks = cosines.T @ (levels * steps) @ cosines
    x = blocks.transpose(-2, -3).flatten(-4, -3).flatten(-2, -1)
    x[:, 0] += 128
    x = torch.einsum("dc,bchw->bdhw", torch.linalg.inv(to_ycbcr), x.round())
    return (x[..., :height, :width].round() / 255).clamp(0, 1)


def _cosines() -> Tensor:
    """The discrete cosine transform of 8 numbers, orthonormal, as a matrix."""
    place = torch.arange(8.0)
    matrix = torch.cos((2 * place + 1) * place[:, None] * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix
