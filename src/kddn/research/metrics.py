"""Image quality against the ground truth, one figure an image."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)


def psnr(
    prediction: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio in dB over RGB in [0, 1], the prediction clamped.

    An image equal to the truth scores infinity.
    """
    scores: Tensor = peak_signal_noise_ratio(
        prediction.clamp(0, 1), truth, data_range=1.0, dim=(1, 2, 3), reduction="none"
    )
    return scores


def ssim(
    prediction: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, " b"]:
    """Structural similarity over RGB in [0, 1], the prediction clamped.

    An 11x11 gaussian window of sigma 1.5 at the images' own size, averaged over where it fits
    (Wang et al., 2004). Sides must be 11 or more.
    """
    _, local = structural_similarity_index_measure(
        prediction.clamp(0, 1),
        truth,
        sigma=1.5,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    scores: Tensor = local[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))
    return scores
