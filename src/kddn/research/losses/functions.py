"""The paper's losses: one pure function each, its equation in the docstring.

All are means over elements, batch included, so that weights do not depend on sizes. Images are
RGB in [0, 1], `b 3 h w`; features are `b c h w`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "b c h w"]
Scalar = Float[Tensor, ""]


def reconstruction(
    prediction: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]
) -> Scalar:
    """`L_r = |S(I) - J|` (equation 3); with the teacher's output, `L_T` (equation 1)."""
    return F.l1_loss(prediction, target)


def perceptual(
    prediction: Sequence[Tensor], target: Sequence[Tensor], weights: Sequence[float] | None = None
) -> Scalar:
    """`L_p = sum_i 1 / M_i |Phi_i(S(I)) - Phi_i(J)|` (equation 4).

    Args:
        prediction: VGG's features of the student's output, layer by layer.
        target: VGG's features of the clean image.
        weights: One a layer; all 1 by default, as in the paper. The authors' code has 1/32, 1/16,
            1/8, 1/4, 1.
    """
    weights = [1.0] * len(target) if weights is None else weights
    terms = zip(weights, prediction, target, strict=True)
    return torch.stack(
        [weight * _difference(ours, theirs).mean() for weight, ours, theirs in terms]
    ).sum()


def imitation(
    student: Sequence[Features],
    teacher: Sequence[Features],
    density: Float[Tensor, "b 1 H W"] | None = None,
) -> Scalar:
    """FMIL, `L_rm = sum |T_m(J) - g(S_n(I))|` (equation 5), and with a density WFMIL,
    `L_wrm = sum psi * |T_m(J) - g(S_n(I))|` (equation 6).

    Args:
        student: `g(S_n(I))` of each pair.
        teacher: `T_m(J)` of each pair, of the same shape.
        density: `psi` in [0, 1], 1 where haze is densest; resized to each feature map. See
            `kddn.research.haze`.
    """  # noqa: D205
    terms = []
    for ours, theirs in zip(student, teacher, strict=True):
        difference = _difference(ours, theirs)
        if density is not None:
            difference = resize(density, difference.shape[-2:]) * difference
        terms.append(difference.mean())
    return torch.stack(terms).sum()


def deep_supervision(
    predictions: Sequence[Float[Tensor, "b 3 _ _"]], target: Float[Tensor, "b 3 h w"]
) -> Scalar:
    """`L_ds` of the ablation: pictures made from intermediate layers, against `J` made as small."""
    return torch.stack(
        [F.l1_loss(picture, resize(target, picture.shape[-2:])) for picture in predictions]
    ).sum()


def fourier(prediction: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Scalar:
    """L1 distance of the Fourier transforms, orthonormal, real and imaginary parts alike.

    Not in the paper: Cho et al. (ICCV 2021) restore detail with a tenth of it.
    """
    return (
        torch.view_as_real(torch.fft.rfft2((prediction - target).float(), norm="ortho"))
        .abs()
        .mean()
    )


def overshoot(prediction: Float[Tensor, "b 3 h w"]) -> Scalar:
    """How far pictures lie beyond black and white: what clipping them would lose.

    Not in the paper.
    """
    return (prediction - prediction.clamp(0, 1)).abs().mean()


def log_squared_error(
    prediction: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]
) -> Scalar:
    """Natural logarithm of each image's mean squared error, the mean of the batch.

    PSNR is this times -4.34: what is minimised is what the tables give. Errors below 1e-5 (50 dB)
    count little, so that images without haze do not outweigh others. Not in the paper: NAFNet
    (ECCV 2022) learns so.
    """
    return ((prediction - target).square().mean((1, 2, 3)) + 1e-5).log().mean()


def _difference(ours: Features, theirs: Features) -> Float[Tensor, "b 1 h w"]:
    """Absolute difference at each place, the mean of its channels.

    Summed over channels first: the gradient of a mean over everything is made as large as the
    features, in another memory layout, and costs more on a CPU than the networks that made them.
    """
    total = (ours - theirs).abs().sum(1, keepdim=True)
    return total.to(torch.promote_types(total.dtype, torch.float32)) / ours.shape[1]


def resize(x: Float[Tensor, "b c h w"], size: Sequence[int]) -> Float[Tensor, "b c H W"]:
    """Maps at another size, antialiased where they get smaller."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x  # none for those on a CPU
    return F.interpolate(wide, tuple(size), mode="bilinear", antialias=True)
