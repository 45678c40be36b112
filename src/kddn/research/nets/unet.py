"""A student that says what to do with each place: a U of gated blocks, its output an affine map.

What KDDN's student is built of (figure 3), made cheap: a spatial weight that comes before the
channel weight, so that dense haze counts for more, but over depthwise filters, at three sizes, and
with the physics of haze at the end.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.nets.affine import AffineMap, AffineNetwork
from kddn.research.nets.depthwise import DepthwiseConv
from kddn.research.nets.lights import LIGHTS, Light, Lights, biased
from kddn.research.nets.registry import register
from kddn.research.windows import local_minimum


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The shape of a U."""

    widths: tuple[int, int, int] = (32, 64, 96)
    """Channels at a quarter, an eighth and a sixteenth of the input's size."""
    blocks: tuple[int, int, int, int, int] = (2, 2, 4, 2, 2)
    """Blocks at each size, on the way down, at the bottom, and on the way up."""
    kernel: int = 5
    """Side of the blocks' depthwise filters."""
    spatially_weighted: bool = True
    """Whether the blocks weight positions."""
    priors: bool = True
    """Whether the dark channel and the saturation are inputs beside the colours."""
    lights: Lights = "picture"
    """Where airlight and white come from."""
    scales: Literal[1, 3] = 1
    """Channels of the scale: one for all colours, or one for each."""
    finer: bool = False
    """Whether the map is at half of the input's size, after one more block there."""
    within: bool = False
    """Whether the offset gives way where a place would go beyond black or white, so that shade
    keeps its shapes and bright haze its clouds."""

    def __post_init__(self) -> None:
        if min(*self.widths, *self.blocks) < 1:
            raise ValueError(f"widths and blocks must be 1 or more: {self.widths}, {self.blocks}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")


UNET_PRESETS: dict[str, UNetConfig] = {
    "unet": UNetConfig(),
    "unet-wide": UNetConfig(widths=(48, 96, 144), blocks=(2, 2, 6, 2, 2)),
}


class GatedBlock(nn.Module):
    """SWRCAB of depthwise filters, and two pointwise layers.

    With `a, g` two projections of the normed input:

        z = depthwise(a) * sigmoid(g),    x = x + project(attention(z) * z)
        x = x + project(GELU(expand(norm(x))))

    Args:
        width: Channels in and out.
        kernel: Side of the depthwise filter.
        spatially_weighted: Whether there is a spatial weight, `sigmoid(g)`.
    """

    def __init__(self, width: int, kernel: int, *, spatially_weighted: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.expand = nn.Conv2d(width, 2 * width if spatially_weighted else width, 1)
        self.filter = DepthwiseConv(width, kernel)
        self.attention = nn.Linear(width, width)
        self.project = nn.Conv2d(width, width, 1)
        self.pointwise = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.Conv2d(width, 2 * width, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, width, 1),
        )
        self.spatially_weighted = spatially_weighted

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features with the block's two changes added."""
        expanded = self.expand(self.norm(x))
        if self.spatially_weighted:
            values, weight = expanded.chunk(2, dim=1)
            z = self.filter(values) * torch.sigmoid(weight)
        else:
            z = self.filter(expanded)
        attention = torch.sigmoid(self.attention(z.mean(dim=(2, 3))))[:, :, None, None]
        x = x + self.project(attention * z)
        out: Tensor = x + self.pointwise(x)
        return out


@register("unet", "student", UNetConfig, UNET_PRESETS, pairs="unet")
class UNet(AffineNetwork):
    """Dehazing network whose output is `scale` and `offset`, a quarter (`finer`: half) of the size.

    `J = white + scale (I - airlight)`, with `scale` at least 1, so that contrast is never lost, and
    one `airlight` and one `white` a picture, so that nothing can be painted: every edge of the
    result is one of the picture's. With `lights: maps` those two are smooth maps, which can tell
    uneven light.

    Its features that imitate the teacher's are the outputs of the modules `encoder1` and `decoder1`
    and of their blocks `block1`, `block2`, ..., at a quarter of the input's size.

    Args:
        config: The shape; `UNET_PRESETS` holds the named ones.
    """

    stride = 16

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        quarter, eighth, sixteenth = config.widths
        self.stem = nn.Sequential(
            nn.Conv2d(7 if config.priors else 3, quarter, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(quarter, quarter, 3, stride=2, padding=1),
        )
        self.encoder1 = _blocks(config, quarter, config.blocks[0])
        self.down1 = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.encoder2 = _blocks(config, eighth, config.blocks[1])
        self.down2 = nn.Conv2d(eighth, sixteenth, 2, stride=2)
        self.bottom = _blocks(config, sixteenth, config.blocks[2])
        self.up2 = nn.Conv2d(sixteenth, eighth, 1)
        self.decoder2 = _blocks(config, eighth, config.blocks[3])
        self.up1 = nn.Conv2d(eighth, quarter, 1)
        self.decoder1 = _blocks(config, quarter, config.blocks[4])
        # Without norms before what it says, the features grow until a step takes the scale to where
        # softplus no longer learns.
        last = quarter // 2 if config.finer else quarter
        if config.finer:
            self.up0 = nn.Conv2d(quarter, last, 1)
            self.skip0 = nn.Conv2d(quarter, last, 1)
            self.decoder0 = _blocks(config, last, 1)
        self.scale_norm = nn.GroupNorm(1, last)
        self.scale = biased(nn.Conv2d(last, config.scales, 3, padding=1), -1.0)
        self.lights_norm = nn.GroupNorm(1, sixteenth)
        self.lights = LIGHTS[config.lights](sixteenth)

    def estimate(self, hazy: Float[Tensor, "b 3 h w"]) -> AffineMap:
        """Scale and offset of RGB images in [0, 1], whose sides are multiples of 16."""
        skip0 = self.stem[:2](_with_priors(hazy) if self.config.priors else hazy)
        x = self.stem[2](skip0)  # b quarter h/4 w/4
        skip1 = self.encoder1(x)  # b quarter h/4 w/4
        skip2 = self.encoder2(self.down1(skip1))  # b eighth h/8 w/8
        x = self.bottom(self.down2(skip2))  # b sixteenth h/16 w/16
        airlight, white = self.lights(self.lights_norm(x), hazy)
        x = self.decoder2(_double(self.up2(x)) + skip2)
        x = self.decoder1(_double(self.up1(x)) + skip1)
        if self.config.finer:
            x = self.decoder0(_double(self.up0(x)) + self.skip0(skip0))
        scale = 1 + F.softplus(self.scale(self.scale_norm(x)).float())  # b 1 h/4 w/4, or 3, or h/2
        airlight, white = (_spread(light, scale.shape[-2:]) for light in (airlight, white))
        affine = AffineMap(scale, white - scale * airlight)
        return _within(affine, hazy) if self.config.within else affine


def _blocks(config: UNetConfig, width: int, count: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            (
                f"block{number}",
                GatedBlock(width, config.kernel, spatially_weighted=config.spatially_weighted),
            )
            for number in range(1, count + 1)
        )
    )


def _double(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def _spread(light: Light, size: Sequence[int]) -> Light:
    """Broad maps at a finer size; one light for the whole picture as it is."""
    return light if light.shape[-2:].numel() == 1 else F.interpolate(light, size, mode="bilinear")


def _within(affine: AffineMap, hazy: Float[Tensor, "b 3 h w"]) -> AffineMap:
    """A map that keeps the darkest and the brightest pixel of each place, and of those around it,
    within black and white: by a shift, so that no contrast is lost.
    """  # noqa: D205
    scale, offset = affine
    side = hazy.shape[-1] // scale.shape[-1]
    image = hazy.float()
    darkest, brightest = -F.max_pool2d(-image, side), F.max_pool2d(image, side)
    for _ in range(3):  # as smoothing takes from the place that has most
        below = F.relu(-(scale * darkest + offset))
        above = F.relu(scale * brightest + offset - 1)
        around = F.pad(below - above, (1, 1, 1, 1), mode="replicate")
        offset = offset + F.avg_pool2d(around, 3, stride=1)
    return AffineMap(scale, offset)


def _with_priors(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 7 h w"]:
    """The colours, the dark channel of each pixel and over 5x5 and 15x15, and the saturation."""
    dark, bright = image.amin(1, keepdim=True), image.amax(1, keepdim=True)
    saturation = 1 - dark / (bright + 1e-3)
    priors = [dark, local_minimum(dark, 5), local_minimum(dark, 15), saturation]
    return torch.cat([image, *priors], 1).contiguous(memory_format=torch.channels_last)
