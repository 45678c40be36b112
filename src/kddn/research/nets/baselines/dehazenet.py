"""DehazeNet (Cai et al., TIP 2016): transmission from patches, refined along edges."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.haze import gray
from kddn.research.windows import guided, pad_symmetric

Images = Float[Tensor, "b 3 h w"]
Maps = Float[Tensor, "b 1 h w"]


class DehazeNet(nn.Module):
    """Transmission by maxout and convolutions of three sizes; then the scattering model.

    It begins with half of the light coming through everywhere, nearly: weights are drawn small, as
    its authors draw them, or else nothing is left of the picture, or of the haze, to learn from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5)
        self.conv3x3 = nn.Conv2d(4, 16, 3)
        self.conv5x5 = nn.Conv2d(4, 16, 5)
        self.conv7x7 = nn.Conv2d(4, 16, 7)
        self.conv_out = nn.Conv2d(48, 1, 6)
        for conv in (self.conv1, self.conv3x3, self.conv5x5, self.conv7x7, self.conv_out):
            nn.init.normal_(conv.weight, std=0.1 if conv is self.conv1 else 0.01)
            nn.init.constant_(conv.bias, 0.5 if conv is self.conv_out else 0.0)  # type: ignore[arg-type]

    def transmission(self, hazy: Images) -> Maps:
        """`t` in [0, 1], before refinement."""
        x = _same(self.conv1, hazy - 0.5)
        x = x.unflatten(1, (4, 4)).amax(2)  # maxout: b 4 h w
        x = torch.cat([_same(conv, x) for conv in (self.conv3x3, self.conv5x5, self.conv7x7)], 1)
        x = F.max_pool2d(x, 7, 1, 3)
        return _within(_same(self.conv_out, x), 0.0, 1.0)

    def forward(self, hazy: Images) -> Images:
        """Remove haze from RGB images in [0, 1], any size."""
        t = self.transmission(hazy)
        airlight = _airlight(hazy, t)
        t = _within(guided(gray(hazy), t, radius=50, eps=1e-3), 0.01, math.inf)
        return (hazy - airlight) / t + airlight


def _within(x: Maps, low: float, high: float) -> Maps:
    """A clamp that gradients pass unchanged: what is beyond can learn to come back."""
    return x.clamp(low, high).detach() + (x - x.detach())


def _same(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution that keeps the size, with mirrored borders."""
    side = conv.kernel_size[0]
    before = (side - 1) // 2
    after = side - 1 - before
    y: Tensor = conv(pad_symmetric(x, before, after, before, after))
    return y


def _airlight(hazy: Images, t: Maps) -> Float[Tensor, "b 3 1 1"]:
    """Mean colour of the brightest among the hundredth of the pixels with the thickest haze."""
    luma = gray(hazy)
    colours = []
    for image, thickness, brightness in zip(hazy, t, luma, strict=True):
        share = max(1, round(0.01 * thickness.numel()))
        thick = thickness <= thickness.flatten().kthvalue(share).values
        brightest = thick & (brightness == brightness[thick].max())
        colours.append(image[:, brightest[0]].mean(1))
    return torch.stack(colours)[..., None, None]
