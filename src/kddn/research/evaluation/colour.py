"""How different two colours look: CIEDE2000 (Sharma, Wu and Dalal, 2005)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Colours = Float[Tensor, "*b 3 h w"]
Map = Float[Tensor, "*b h w"]

_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""From linear sRGB (ITU-R BT.709)."""

_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of D65, seen at 2 degrees."""


def lab(rgb: Colours) -> Colours:
    """CIELAB of sRGB in [0, 1], under D65: L in [0, 100], a and b around 0."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("ij,...jhw->...ihw", rgb.new_tensor(_TO_XYZ), linear)
    relative = xyz / rgb.new_tensor(_WHITE).view(3, 1, 1)
    f = torch.where(relative > 0.008856, relative.clamp(1e-9) ** (1 / 3), 7.787 * relative + 4 / 29)
    x, y, z = f.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def ciede2000(x: Colours, y: Colours) -> Map:
    """Colour difference of two CIELAB images, pixel by pixel; about 1 is just visible.

    The names follow Sharma et al., equations 2 to 22.
    """
    (l1, a1, b1), (l2, a2, b2) = x.unbind(-3), y.unbind(-3)
    mean_c7 = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - torch.sqrt(mean_c7 / (mean_c7 + 25.0**7)))
    c1, c2 = torch.hypot((1 + g) * a1, b1), torch.hypot((1 + g) * a2, b2)
    h1, h2 = _hue((1 + g) * a1, b1), _hue((1 + g) * a2, b2)

    turn = h2 - h1
    turn = turn - 2 * math.pi * (turn > math.pi) + 2 * math.pi * (turn < -math.pi)
    grey = c1 * c2 == 0
    turn = turn.masked_fill(grey, 0.0)
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * torch.sqrt(c1 * c2) * torch.sin(turn / 2)

    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    far = (h1 - h2).abs() > math.pi
    total = h1 + h2
    wrapped = torch.where(total < 2 * math.pi, total + 2 * math.pi, total - 2 * math.pi)
    mean_h = torch.where(grey, total, torch.where(far, wrapped, total) / 2)

    t = (
        1
        - 0.17 * torch.cos(mean_h - math.radians(30))
        + 0.24 * torch.cos(2 * mean_h)
        + 0.32 * torch.cos(3 * mean_h + math.radians(6))
        - 0.20 * torch.cos(4 * mean_h - math.radians(63))
    )
    from_50 = (mean_l - 50) ** 2
    s_l = 1 + 0.015 * from_50 / torch.sqrt(20 + from_50)
    s_c = 1 + 0.045 * mean_c
    s_h = 1 + 0.015 * mean_c * t
    bluish = torch.exp(-(((torch.rad2deg(mean_h) - 275) / 25) ** 2))
    r_c = 2 * torch.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    r_t = -torch.sin(math.radians(60) * bluish) * r_c

    lightness, chroma, hue = delta_l / s_l, delta_c / s_c, delta_h / s_h
    squared = lightness**2 + chroma**2 + hue**2 + r_t * chroma * hue
    return torch.sqrt(squared.clamp(min=0))


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """The angle, in [0, 2 pi)."""
    return torch.atan2(b, a) % (2 * math.pi)
