"""What a student is trained for: the total loss (equation 2), and deep supervision."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.research.data import Pair
from kddn.research.haze import density_from_residual, density_from_transmission
from kddn.research.losses import functions as losses
from kddn.research.losses.distillation import (
    ALL_PAIRS,
    TEXT_PAIRS,
    TSNE_PAIRS,
    UNET_PAIRS,
    Frozen,
    Imitation,
    MimicPair,
)
from kddn.research.nets import Teacher
from kddn.research.nets.checkpoints import load_network
from kddn.research.nets.features import feature_channels, run_tapped
from kddn.research.nets.vgg import load_vgg

NamedPairs = Literal["text", "tsne", "all", "unet"]
Density = Literal["uniform", "transmission", "residual"]

_NAMED_PAIRS: dict[NamedPairs, tuple[MimicPair, ...]] = {
    "text": TEXT_PAIRS,
    "tsne": TSNE_PAIRS,
    "all": ALL_PAIRS,
    "unet": UNET_PAIRS,
}


def _from_transmission(batch: Pair) -> Tensor:
    assert batch.transmission is not None
    return density_from_transmission(batch.transmission)


_DENSITIES: dict[Density, Callable[[Pair], Tensor | None]] = {
    "uniform": lambda batch: None,
    "transmission": _from_transmission,
    "residual": lambda batch: density_from_residual(batch.hazy, batch.clean),
}


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Weights of the losses, and what those need that are not 0. The default is L1 alone."""

    reconstruction: float = 1.0
    """Of `L_r` (equation 3)."""
    perceptual: float = 0.0
    """`lambda_p`, of `L_p` (equation 4)."""
    imitation: float = 0.0
    """`lambda_rm`, of `L_rm` or `L_wrm` (equations 5 and 6)."""
    deep_supervision: float = 0.0
    """Of the ablation's `L_ds`."""
    output_distillation: float = 0.0
    """Of the L1 distance to what a larger student makes of the same hazy image: not in the paper,
    but how small models learn from large ones."""
    fourier: float = 0.0
    """Of the L1 distance of Fourier transforms: not in the paper."""
    overshoot: float = 0.0
    """Of what lies beyond black and white, beside what L1 says of it: not in the paper."""
    log_squared_error: float = 0.0
    """Of the logarithm of each image's squared error, which PSNR is too: not in the paper."""
    teacher: Literal["untrained"] | Path | None = None
    """For imitation: a teacher's weights (`.safetensors`, `.ckpt` or `.onnx`), or `untrained`, for
    one that has learned nothing."""
    distilled_from: Path | None = None
    """For output distillation: the larger student's weights."""
    pairs: NamedPairs | tuple[MimicPair, ...] = "text"
    """For imitation and deep supervision: which layers. `text`: as section 4.1 says; `tsne`: as
    section 4.2's figure implies; `all`: as the authors' code; `unet`: those of a
    U; or a list of module names."""
    project: bool = True
    """For imitation: whether a 1x1 convolution `g` comes between; without, widths must be equal."""
    density: Density = "uniform"
    """For imitation: `uniform` is FMIL; `transmission` (psi1) and `residual` (psi2) are WFMIL."""
    vgg: Path | None = None
    """For the perceptual loss: torchvision's VGG19 file, or VGG16 under the same names."""
    vgg_normalize: bool = True
    """For the perceptual loss: whether VGG's input is normalised as VGG was trained."""
    vgg_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """For the perceptual loss: weights of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1."""

    def __post_init__(self) -> None:
        weights = (
            self.reconstruction,
            self.perceptual,
            self.imitation,
            self.deep_supervision,
            self.output_distillation,
            self.fourier,
            self.overshoot,
            self.log_squared_error,
        )
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(f"losses need weights of 0 or more, not all 0, but have {weights}")
        if len(self.vgg_weights) != 5 or min(self.vgg_weights) < 0 or max(self.vgg_weights) == 0:
            raise ValueError(
                f"vgg_weights must be 5 numbers of 0 or more, not all 0, not {self.vgg_weights}"
            )

    @property
    def mimic_pairs(self) -> tuple[MimicPair, ...]:
        """The pairs, whether named or listed."""
        return _NAMED_PAIRS[self.pairs] if isinstance(self.pairs, str) else tuple(self.pairs)


def untrained_teacher() -> nn.Module:
    """Table 2's, which has learned nothing: the same every time, so that runs can go on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Teacher()


class Objective(nn.Module):
    """The losses of one student, with what they train along: projections and heads.

    Args:
        student: The network that learns; only looked at, not kept.
        config: Weights and needs of the losses.

    Raises:
        ModelError: If a loss with a weight lacks its teacher or VGG, a file cannot be used, or a
            pair names no module.
    """

    def __init__(self, student: nn.Module, config: Losses) -> None:
        super().__init__()
        self.config = config
        self.imitation = self._imitation(student) if config.imitation else None
        self.heads = self._heads(student) if config.deep_supervision else None
        self._vgg = self._perceptual() if config.perceptual else None
        self._larger = self._load_larger() if config.output_distillation else None

    def forward(self, student: nn.Module, batch: Pair) -> dict[str, Tensor]:
        """Each loss by its name, weighted; their sum is what is minimised (equation 2)."""
        config = self.config
        names = [pair.student for pair in config.mimic_pairs] if self._taps else []
        prediction, features = run_tapped(student, batch.hazy, names)
        terms = {}
        if config.reconstruction:
            terms["reconstruction"] = config.reconstruction * losses.reconstruction(
                prediction, batch.clean
            )
        if self._larger is not None:
            with torch.no_grad():
                example = self._larger.like(batch.hazy)(batch.hazy)
            terms["output_distillation"] = config.output_distillation * losses.reconstruction(
                prediction, example
            )
        if config.fourier:
            terms["fourier"] = config.fourier * losses.fourier(prediction, batch.clean)
        if config.overshoot:
            terms["overshoot"] = config.overshoot * losses.overshoot(prediction)
        if config.log_squared_error:
            terms["log_squared_error"] = config.log_squared_error * losses.log_squared_error(
                prediction, batch.clean
            )
        if self._vgg is not None:
            terms["perceptual"] = config.perceptual * self._compare(prediction, batch.clean)
        if self.imitation is not None:
            density = _DENSITIES[config.density](batch)
            terms["imitation"] = config.imitation * self.imitation(features, batch.clean, density)
        if self.heads is not None:
            pictures = [head(features[name]) for head, name in zip(self.heads, names, strict=True)]
            terms["deep_supervision"] = config.deep_supervision * losses.deep_supervision(
                pictures, batch.clean
            )
        return terms

    @property
    def needs_transmission(self) -> bool:
        """Whether batches must have their transmission."""
        return self.imitation is not None and self.config.density == "transmission"

    @property
    def _taps(self) -> bool:
        return self.imitation is not None or self.heads is not None

    def _compare(self, prediction: Tensor, clean: Tensor) -> Tensor:
        assert self._vgg is not None
        vgg = self._vgg.like(clean)
        with torch.no_grad():
            target = vgg(clean)
        return losses.perceptual(vgg(prediction), target, self.config.vgg_weights[: len(target)])

    def _load_larger(self) -> Frozen:
        if self.config.distilled_from is None:
            raise ModelError(
                "output distillation needs the weights of a larger student: give "
                "losses.distilled_from"
            )
        return Frozen(load_network(self.config.distilled_from))

    def _imitation(self, student: nn.Module) -> Imitation:
        if self.config.teacher is None:
            raise ModelError("imitation needs a teacher: give losses.teacher, a file of weights")
        named = self.config.teacher
        teacher = untrained_teacher() if named == "untrained" else load_network(named)
        return Imitation(student, teacher, self.config.mimic_pairs, project=self.config.project)

    def _heads(self, student: nn.Module) -> nn.ModuleList:
        names = [pair.student for pair in self.config.mimic_pairs]
        return nn.ModuleList(
            nn.Conv2d(channels, 3, 3, padding=1) for channels in feature_channels(student, names)
        )

    def _perceptual(self) -> Frozen:
        if self.config.vgg is None:
            raise ModelError(
                "the perceptual loss needs a VGG: give losses.vgg, torchvision's vgg19-dcbb9e9d.pth"
            )
        stages = max(
            stage for stage, weight in enumerate(self.config.vgg_weights, start=1) if weight
        )
        return Frozen(load_vgg(self.config.vgg, normalize=self.config.vgg_normalize, stages=stages))
