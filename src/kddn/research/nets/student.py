"""The student: the dehazing network (section 3.1, figures 2 and 3)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.nets.blocks import Conv, PaddingMode, ResidualGroup, pad_to_stride
from kddn.research.nets.registry import register


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """The shape of a student."""

    layout: Literal["paper", "authors"] = "paper"
    """Encoder, decoder and skips: `paper` as the text says, `authors` as their code does."""
    width: int = 64
    """Channels of every layer but the first and the last."""
    groups: int = 6
    """Residual groups (RIR) of the backbone."""
    blocks: int = 3
    """Blocks (SWRCAB) a group."""
    spatially_weighted: bool = True
    """Whether the blocks weight positions; without, they are the baseline's SEResBlocks."""
    global_residual: bool = False
    """Whether the input is added to the output, so that the network learns the difference."""

    def __post_init__(self) -> None:
        if self.layout not in ("paper", "authors"):
            raise ValueError(f"layout must be paper or authors, not {self.layout!r}")
        if min(self.width, self.groups, self.blocks) < 1:
            raise ValueError(
                "width, groups and blocks must be 1 or more, "
                f"not {self.width}, {self.groups}, {self.blocks}"
            )


STUDENT_PRESETS: dict[str, StudentConfig] = {
    "paper": StudentConfig(),
    "authors": StudentConfig(layout="authors", blocks=6),
    "small": StudentConfig(width=32, global_residual=True),
}


@register("student", "student", StudentConfig, STUDENT_PRESETS)
class Student(nn.Module):
    """Dehazing network `S`: encode to a quarter of the size, residual groups, decode.

    Its features that imitate the teacher's are the outputs of the modules `backbone.group1` to
    `backbone.group6`, `width` channels at a quarter of the input's size.

    Args:
        config: The shape; `STUDENT_PRESETS` holds the named ones.
    """

    def __init__(self, config: StudentConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StudentConfig()
        as_text = config.layout == "paper"
        padding_mode: PaddingMode = "zeros" if as_text else "reflect"
        self.backbone = nn.Sequential(
            OrderedDict(
                (
                    f"group{number}",
                    ResidualGroup(
                        config.width,
                        blocks=config.blocks,
                        attention_layers=1 if as_text else 2,
                        spatially_weighted=config.spatially_weighted,
                        padding_mode=padding_mode,
                    ),
                )
                for number in range(1, config.groups + 1)
            )
        )
        self.ends = PaperEnds(config.width) if as_text else AuthorsEnds(config.width)

    def forward(self, hazy: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Remove haze from RGB images in [0, 1], any size from 1x1 up.

        The output is not clamped: it lies in (-1, 1), or within 1 of the input where
        `global_residual` is on.
        """
        height, width = hazy.shape[-2:]
        x = self.ends(pad_to_stride(hazy), self.backbone)
        x = torch.tanh(x)[..., :height, :width]  # b 3 h w
        return hazy + x if self.config.global_residual else x


class PaperEnds(nn.Module):
    """Encoder, long skip around the backbone (as RCAN) and decoder, by the paper's text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            Conv(3, width, stride=2, relu=True),
            Conv(width, width, stride=2, relu=True),
        )
        self.tail = Conv(width, width)
        self.decoder = nn.Sequential(
            Conv(width, width, relu=True),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            Conv(width, width, relu=True),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            Conv(width, 3),
        )

    def forward(
        self, image: Float[Tensor, "b 3 h w"], backbone: nn.Module
    ) -> Float[Tensor, "b 3 h w"]:
        """Encode, run the backbone with the skip around it, decode."""
        encoded = self.encoder(image)  # b width h/4 w/4
        out: Tensor = self.decoder(encoded + self.tail(backbone(encoded)))
        return out


class AuthorsEnds(nn.Module):
    """Encoder and decoder of the authors' code: encoder features join on the way up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = Conv(3, width, relu=True, padding_mode="reflect")
        self.down1 = Conv(width, width, 4, stride=2, relu=True, padding_mode="reflect")
        self.down2 = Conv(width, width, 4, stride=2, relu=True, padding_mode="reflect")
        self.up1 = Conv(2 * width, width, relu=True, padding_mode="reflect")
        self.up2 = Conv(2 * width, width, relu=True, padding_mode="reflect")
        self.out = Conv(width, 3, padding_mode="reflect")

    def forward(
        self, image: Float[Tensor, "b 3 h w"], backbone: nn.Module
    ) -> Float[Tensor, "b 3 h w"]:
        """Encode, run the backbone, and decode with the encoder's features beside."""
        full = self.stem(image)  # b width h w
        half = self.down1(full)  # b width h/2 w/2
        x = backbone(self.down2(half))  # b width h/4 w/4
        x = self.up1(torch.cat([_double(x), half], dim=1))
        x = self.up2(torch.cat([_double(x), full], dim=1))
        out: Tensor = self.out(x)  # b 3 h w
        return out


def _double(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    return F.interpolate(x, scale_factor=2, mode="bilinear")
