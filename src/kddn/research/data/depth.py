"""Depth drawn where none is known: for haze over any clean photograph.

Mist thickens upwards, by distance along the ground, by places and from object to object; the sky is
farthest. Real depth is none of these, but looks like one of their mixtures.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kddn.research.data.batches import between
from kddn.research.haze import gray, normalize
from kddn.research.windows import box, guided

Photos = Float[Tensor, "b 3 h w"]
Maps = Float[Tensor, "b 1 h w"]


def draw_depth(clean: Photos, generator: torch.Generator) -> Maps:
    """Relative depth in [0, 1] for each photograph: a mixture of its own of all kinds below.

    Args:
        clean: RGB in [0, 1].
        generator: Randomness, on the CPU.
    """
    count = len(clean)
    one_each = count, 1, 1, 1
    kinds = (ramp, field, regions)
    maps = torch.stack([kind(clean, generator) for kind in kinds])  # kinds b 1 h w
    # A power of uniform numbers, so that one kind prevails more often than not.
    weights = between(0, 1, (len(kinds), *one_each), generator).pow(3).to(clean.device)
    depth = normalize((weights * maps).sum(0))
    near = between(0, 0.5, one_each, generator).to(clean.device)  # the nearest is not always at 0
    depth = near + (1 - near) * depth
    flat = (between(0, 1, one_each, generator) < 0.08).to(clean.device)
    depth = depth.where(~flat, 1.0)
    far = (between(0, 1, one_each, generator) < 0.75).to(clean.device)
    return torch.maximum(depth, sky(clean) * far)


def ramp(clean: Photos, generator: torch.Generator) -> Maps:
    """Depth that grows upwards, as along the ground to a horizon, a little tilted."""
    count, _, height, width = clean.shape
    one_each = count, 1, 1, 1
    rows = torch.linspace(1, 0, height).view(1, 1, -1, 1)  # 0 at the foot
    columns = torch.linspace(-0.5, 0.5, width).view(1, 1, 1, -1)
    horizon = between(0.45, 1.1, one_each, generator)
    tilt = between(-0.3, 0.3, one_each, generator)
    fraction = ((rows + tilt * columns) / horizon).clamp(0, 1)
    # Distance along flat ground grows as 1 / (horizon - row); `bend` says how much of that.
    bend = between(0, 0.97, one_each, generator)
    return (fraction * (1 - bend) / (1 - bend * fraction)).to(clean.device)


def field(clean: Photos, generator: torch.Generator) -> Maps:
    """Banks of mist: a smooth random field."""
    count, _, height, width = clean.shape
    cells = 2 + int(between(0, 5, (), generator))
    grid = torch.randn(count, 1, cells, cells + 1, generator=generator).to(clean.device)
    smooth = F.interpolate(grid, (height, width), mode="bicubic", align_corners=True)
    return normalize(smooth)


def regions(clean: Photos, generator: torch.Generator) -> Maps:
    """Objects at distances of their own, cut along the edges of the photograph.

    A random mixture of the photograph's colours and of a smooth field is told apart into near and
    far, more or less sharply, and guided by the photograph.
    """
    one_each = len(clean), 1, 1, 1
    colours = torch.randn(len(clean), 3, 1, 1, generator=generator).to(clean.device)
    mixture = normalize((clean * colours).sum(1, keepdim=True))
    mixture = mixture + field(clean, generator)
    middle = mixture.mean((-2, -1), keepdim=True)
    sharpness = between(3, 20, one_each, generator).to(clean.device)
    split = torch.sigmoid(sharpness * (mixture - middle))
    return guided(gray(clean), split, radius=max(clean.shape[-2:]) // 24 + 1, eps=1e-3).clamp(0, 1)


def sky(clean: Photos) -> Maps:
    """Where the sky seems to be: bright or blue, smooth, and open to the upper edge."""
    luma = gray(clean)
    blue = clean[:, 2:] - clean[:, :1]
    coloured = torch.maximum(torch.sigmoid(16 * (luma - 0.6)), torch.sigmoid(24 * (blue - 0.08)))
    rough = box(box(luma * luma, 2) - box(luma, 2) ** 2, 1).clamp(min=0).sqrt()
    score = coloured * torch.exp(-((rough / 0.03) ** 2))
    score = box(score, 1)
    open_above = score.cummin(-2).values  # rows from the top
    return guided(luma, open_above, radius=max(clean.shape[-2:]) // 40 + 1, eps=1e-3).clamp(0, 1)
