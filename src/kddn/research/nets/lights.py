"""Where a U takes airlight and white from: three heads of one interface."""

from typing import Literal, TypeVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Lights = Literal["picture", "pixels", "maps"]
"""Where a U takes airlight and white from: one of each from the whole picture's features; an
airlight picked from the picture's own pixels; or both as maps at a sixteenth of the size."""

Light = Float[Tensor, "b 3 _ _"]

_BRIGHT = 2.0
"""Where lights begin: 0.97."""

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def biased(layer: Layer, value: float) -> Layer:
    """A layer whose biases begin at a value."""
    assert layer.bias is not None
    nn.init.constant_(layer.bias, value)
    return layer


def _light(x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
    """A light in (0, 1.1): where white lies, as haze often is, the sigmoid must still move."""
    return 1.1 * x.float().sigmoid()


class PictureLights(nn.Module):
    """One airlight and one white a picture, from the mean of its features.

    Args:
        width: Channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = biased(nn.Linear(width, 6), _BRIGHT)

    def forward(self, x: Float[Tensor, "b c h w"], hazy: Tensor) -> tuple[Light, Light]:
        """Airlight and white, `b 3 1 1`."""
        lights = _light(self.linear(x.mean(dim=(2, 3))))[:, :, None, None]
        return lights[:, :3], lights[:, 3:]


class PixelLights(nn.Module):
    """An airlight picked from the picture's own pixels, and a white from the mean of its features.

    Args:
        width: Channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.where = nn.Conv2d(width, 1, 1)
        self.linear = biased(nn.Linear(width, 3), _BRIGHT)

    def forward(
        self, x: Float[Tensor, "b c h w"], hazy: Float[Tensor, "b 3 H W"]
    ) -> tuple[Light, Light]:
        """Airlight and white, `b 3 1 1`."""
        weights = self.where(x).float().flatten(2).softmax(-1)  # b 1 hw
        pixels = F.interpolate(hazy, x.shape[-2:], mode="area").flatten(2)  # b 3 hw
        airlight = (weights * pixels).sum(-1)[:, :, None, None]
        return airlight, _light(self.linear(x.mean(dim=(2, 3))))[:, :, None, None]


class MapLights(nn.Module):
    """An airlight and a white for each place, as broad maps: of the features' size.

    Args:
        width: Channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = biased(nn.Conv2d(width, 6, 3, padding=1), _BRIGHT)

    def forward(self, x: Float[Tensor, "b c h w"], hazy: Tensor) -> tuple[Light, Light]:
        """Airlight and white, `b 3 h w`."""
        lights = _light(self.conv(x))
        return lights[:, :3], lights[:, 3:]


LIGHTS: dict[Lights, type[PictureLights] | type[PixelLights] | type[MapLights]] = {
    "picture": PictureLights,
    "pixels": PixelLights,
    "maps": MapLights,
}
"""Each of its kind, built of the width of the features that it reads."""
