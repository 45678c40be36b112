"""Image quality against the ground truth, one figure an image."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
)

from kddn.research.evaluation import colour
from kddn.research.nets.vgg import VGG

Images = Float[Tensor, "b 3 h w"]


def psnr(prediction: Images, target: Images) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio in dB over RGB in [0, 1].

    An image equal to the target scores infinity.
    """
    scores: Tensor = peak_signal_noise_ratio(
        prediction, target, data_range=1.0, dim=(1, 2, 3), reduction="none"
    )
    return scores


@dataclass(frozen=True)
class Window:
    """Over what SSIM takes its local means."""

    side: int = 11
    """Pixels."""
    sigma: float | None = 1.5
    """Of the gaussian; none for equal weights."""
    zero_padded: bool = False
    """Whether windows reach over the border, where zeros are; else only those that fit count."""
    unbiased: bool = False
    """Whether variances are divided by the number of pixels less one."""

    def mean(self, x: Images) -> Float[Tensor, "b 3 H W"]:
        """Local means."""
        place = torch.arange(self.side, dtype=x.dtype, device=x.device) - self.side // 2
        weights = torch.ones_like(place)
        if self.sigma is not None:
            weights = torch.exp(-0.5 * (place / self.sigma) ** 2)
        weights = (weights / weights.sum()).expand(3, 1, 1, -1)
        pad = self.side // 2 if self.zero_padded else 0
        rows = F.conv2d(x, weights, padding=(0, pad), groups=3)
        return F.conv2d(rows, weights.transpose(-1, -2), padding=(pad, 0), groups=3)


GAUSSIAN = Window()
"""Of Wang et al. (2004)."""

GAUSSIAN_ZERO_PADDED = Window(zero_padded=True)
"""Of the widely copied pytorch-ssim."""

UNIFORM = Window(side=7, sigma=None, unbiased=True)
"""The default of scikit-image."""


def ssim(prediction: Images, target: Images, window: Window = GAUSSIAN) -> Float[Tensor, " b"]:
    """Structural similarity (Wang et al., 2004) over RGB in [0, 1], at the images' own size.

    Args:
        prediction: The image to judge.
        target: What it should be.
        window: Over what local means are taken.

    Returns:
        One figure an image; without a number where a side is smaller than the window.
    """
    if not window.zero_padded and min(target.shape[-2:]) < window.side:
        return target.new_full((len(target),), torch.nan)
    mean = window.mean
    x, y = prediction, target
    mean_x, mean_y = mean(x), mean(y)
    count = window.side**2
    unbiased = count / (count - 1) if window.unbiased else 1.0
    variance_x = unbiased * (mean(x * x) - mean_x**2)
    variance_y = unbiased * (mean(y * y) - mean_y**2)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean((1, 2, 3))


def ms_ssim(prediction: Images, target: Images) -> Float[Tensor, " b"]:
    """Multi-scale structural similarity (Wang et al., 2003), five scales, of clamped images.

    Without a number where a side is of 160 pixels or less: the smallest scale has no window then.
    """
    if min(target.shape[-2:]) <= 160:
        return target.new_full((len(target),), torch.nan)
    scores: Tensor = multiscale_structural_similarity_index_measure(
        prediction.clamp(0, 1), target, data_range=1.0, reduction="none"
    )
    return scores.reshape(-1)


def ciede2000(prediction: Images, target: Images) -> Float[Tensor, " b"]:
    """Mean CIEDE2000 colour difference of clamped images; less is better."""
    difference = colour.ciede2000(colour.lab(prediction.clamp(0, 1)), colour.lab(target))
    return difference.mean((-2, -1))


_LEAST_VGG = 16
"""Pixels that a side must have, of which VGG's last features have one."""


def perceptual_distance(prediction: Images, target: Images, vgg: VGG) -> Float[Tensor, " b"]:
    """Distance of VGG's features in the manner of LPIPS (Zhang et al., 2018); less is better.

    Without a number where a side is shorter than 16 pixels.

    Features are normalised to length 1 at each place, and squared differences averaged over places
    and summed over layers. LPIPS proper has other layers and weights that were learned from people.
    """
    if min(target.shape[-2:]) < _LEAST_VGG:
        return torch.full((len(target),), torch.nan)
    distances = []
    for of_prediction, of_target in zip(vgg(prediction.clamp(0, 1)), vgg(target), strict=True):
        x, y = (F.normalize(features, dim=1) for features in (of_prediction, of_target))
        distances.append(((x - y) ** 2).sum(1).mean((1, 2)))
    return torch.stack(distances).sum(0)
