"""The teacher: an auto-encoder that learns to reconstruct clean images (section 3.1)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.nets.blocks import Conv, PaddingMode, ResBlock, pad_to_stride
from kddn.research.nets.registry import register


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The shape of a teacher."""

    layout: Literal["paper", "authors"] = "paper"
    """Encoder and decoder: `paper` as the text says, `authors` as their code does."""
    width: int = 64
    """Channels of every layer but the first and the last."""
    blocks: int = 6
    """Residual blocks of the backbone."""

    def __post_init__(self) -> None:
        if self.layout not in ("paper", "authors"):
            raise ValueError(f"layout must be paper or authors, not {self.layout!r}")
        if self.width < 1 or self.blocks < 1:
            raise ValueError(f"width and blocks must be 1 or more, not {self.width}, {self.blocks}")


TEACHER_PRESETS: dict[str, TeacherConfig] = {
    "paper": TeacherConfig(),
    "authors": TeacherConfig(layout="authors"),
}


@register("teacher", "teacher", TeacherConfig, TEACHER_PRESETS)
class Teacher(nn.Module):
    """Auto-encoder `T`: encode to a quarter of the size, six residual blocks, decode.

    Its features to be imitated are the outputs of the modules `backbone.block1` to
    `backbone.block6`, `width` channels at a quarter of the input's size.

    Args:
        config: The shape; `TEACHER_PRESETS` holds the named ones.
    """

    def __init__(self, config: TeacherConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TeacherConfig()
        padding_mode: PaddingMode = "zeros" if config.layout == "paper" else "reflect"
        width = config.width
        build = _paper_ends if config.layout == "paper" else _authors_ends
        self.encoder, self.decoder = build(width)
        self.backbone = nn.Sequential(
            OrderedDict(
                (f"block{number}", ResBlock(width, padding_mode=padding_mode))
                for number in range(1, config.blocks + 1)
            )
        )

    def forward(self, clean: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Reconstruct clean RGB images in [0, 1], any size from 1x1 up. Output in (-1, 1)."""
        height, width = clean.shape[-2:]
        x = self.encoder(pad_to_stride(clean))  # b width h/4 w/4
        x = self.backbone(x)
        x = torch.tanh(self.decoder(x))  # b 3 h w
        return x[..., :height, :width]


def _paper_ends(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    encoder = nn.Sequential(
        Conv(3, width, stride=2, relu=True),
        Conv(width, width, stride=2, relu=True),
    )
    decoder = nn.Sequential(
        Conv(width, width, relu=True),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        Conv(width, width, relu=True),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        Conv(width, 3),
    )
    return encoder, decoder


def _authors_ends(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    encoder = nn.Sequential(
        Conv(3, width, 7, relu=True, padding_mode="reflect"),
        Conv(width, width, 4, stride=2, relu=True, padding_mode="reflect"),
        Conv(width, width, 4, stride=2, relu=True, padding_mode="reflect"),
    )
    decoder = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        Conv(width, width, 5, relu=True, padding_mode="reflect"),
        nn.Upsample(scale_factor=2, mode="nearest"),
        Conv(width, width, 5, relu=True, padding_mode="reflect"),
        Conv(width, 3, 7, padding_mode="reflect"),
    )
    return encoder, decoder
