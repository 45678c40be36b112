"""How the field measures PSNR and SSIM: same picture, different figures.

Two papers' figures can only be compared if their protocols are the same; each figure here names
its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from kddn.research.evaluation.metrics import (
    GAUSSIAN,
    GAUSSIAN_ZERO_PADDED,
    UNIFORM,
    Window,
    psnr,
    ssim,
)


def _clamp(image: Tensor) -> Tensor:
    return image.clamp(0, 1)


def _truncate(image: Tensor) -> Tensor:
    """To 8 bit without rounding, as NumPy's `astype(uint8)` does."""
    return (image.clamp(0, 1) * 255).floor() / 255


def _shrink(image: Tensor) -> Tensor:
    """Averages over about a 256th of the shorter side."""
    factor = max(1, round(min(image.shape[-2:]) / 256))
    return F.adaptive_avg_pool2d(image, (image.shape[-2] // factor, image.shape[-1] // factor))


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way of measuring. Images are `b 3 h w`, RGB in [0, 1]."""

    name: str
    """What it is asked for by."""
    summary: str
    """Whose it is, and what is particular."""
    window: Window = GAUSSIAN
    """Over what SSIM takes its local means."""
    shrinks: bool = False
    """Whether SSIM is of smaller images."""
    finish: Callable[[Tensor], Tensor] = _clamp
    """What is done to a prediction before it is judged by either figure."""
    multiple: int = 1
    """What the input's sides are first resized to be multiples of; the output is resized back."""

    def measure(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """PSNR in dB and SSIM, one an image."""
        finished = self.finish(prediction)
        if not self.shrinks:
            return psnr(finished, target), ssim(finished, target, self.window)
        return psnr(finished, target), ssim(_shrink(finished), _shrink(target), self.window)

    def takes(self, hazy: Tensor) -> bool:
        """Whether systems get this input as it is."""
        return all(side % self.multiple == 0 for side in hazy.shape[-2:])

    def run(self, system: Callable[[Tensor], Tensor], hazy: Tensor) -> Tensor:
        """A system's output, `b 3 h w`, on an input resized so that the protocol takes it."""
        size = list(hazy.shape[-2:])
        fitting = [max(1, side // self.multiple) * self.multiple for side in size]
        resized = F.interpolate(hazy, fitting, mode="bicubic", antialias=True).clamp(0, 1)
        return F.interpolate(system(resized), size, mode="bicubic", antialias=True)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="full",
            summary="MB-TaylorFormer: clamped; SSIM 11x11 gaussian at full size",
        ),
        Protocol(
            name="kddn",
            summary="KDDN's code: sides made multiples of 4 and back, 8 bit truncated; "
            "SSIM 7x7 uniform",
            window=UNIFORM,
            finish=_truncate,
            multiple=4,
        ),
        Protocol(
            name="ffa",
            summary="FFA-Net, DEA-Net: clamped; SSIM 11x11 gaussian, borders padded with zeros",
            window=GAUSSIAN_ZERO_PADDED,
        ),
        Protocol(
            name="grid",
            summary="GridDehazeNet: not clamped; SSIM 7x7 uniform",
            window=UNIFORM,
            finish=lambda prediction: prediction,
        ),
        Protocol(
            name="dehazeformer",
            summary="DehazeFormer, gUNet, ConvIR: clamped; SSIM 11x11 gaussian of averages over "
            "about a 256th of the shorter side",
            shrinks=True,
        ),
    )
}
"""The protocols by name."""
