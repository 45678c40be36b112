"""Pictures in which there is no haze to be found, and which must come back as they are.

Flat areas, gradients, pages of text, drawings, made up: what matters is that they are pale or flat,
as haze is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kddn.research.data.batches import Batches, between
from kddn.research.data.pair import Pair

Picture = Float[Tensor, "3 h w"]

SIZE = 480, 320
"""Longer and shorter side of a drawing at the original size, as of a photograph."""


@dataclass(frozen=True, kw_only=True)
class GraphicsConfig:
    """How many of the batches are graphics."""

    fraction: float = 0.1
    """Fraction of all batches."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction must lie in (0, 1), not {self.fraction}")


class Graphics(Batches):
    """Endless batches of drawn pictures that are hazy image and target at once.

    Args:
        config: Number and size of the images: of `SIZE`, scaled uniformly within `scales` and never
            cropped.
        seed: See `Batches`.
        length: See `Batches`.
    """

    def batch(self, number: int) -> Pair:
        """The batch of a number, its pictures hazy and clean at once."""
        generator = self.generator(number)
        low, high = self.config.scales
        scale = float(between(low, high, (), generator))
        step = self.config.multiple
        width, height = (max(1, round(side * scale / step)) * step for side in SIZE)
        if between(0, 1, (), generator) < 0.5:
            width, height = height, width
        images = torch.stack(
            [draw_graphic(height, width, generator) for _ in range(self.config.size)]
        )
        return Pair(images, images, torch.ones_like(images[:, :1]))


def draw_graphic(height: int, width: int, generator: torch.Generator) -> Picture:
    """One picture, of a kind of its own, in [0, 1]."""
    kinds = list(KINDS.values())
    kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    return kind(height, width, generator)


def flat(height: int, width: int, generator: torch.Generator) -> Picture:
    """One colour, or one gray."""
    colour = torch.rand(3, 1, 1, generator=generator)
    if between(0, 1, (), generator) < 0.5:
        colour = colour[:1].expand(3, 1, 1)
    return colour.expand(3, height, width).clone()


def gradient(height: int, width: int, generator: torch.Generator) -> Picture:
    """From one colour to another, in any direction, or smoothly between several."""
    cells = 2 + int(torch.randint(3, (), generator=generator))
    corners = torch.rand(1, 3, cells, cells, generator=generator)
    if between(0, 1, (), generator) < 0.5:
        corners = corners[:, :1].expand(1, 3, cells, cells)
    return F.interpolate(corners, (height, width), mode="bilinear", align_corners=True)[0]


def page(height: int, width: int, generator: torch.Generator) -> Picture:
    """Lines of words on paper, or light on dark as on a screen, under a bar of another colour."""
    paper = 1 - 0.15 * torch.rand(3, 1, 1, generator=generator)
    ink = 0.35 * torch.rand(3, 1, 1, generator=generator)
    if between(0, 1, (), generator) < 0.3:
        paper, ink = ink, paper
    image = paper.expand(3, height, width).clone()
    line = int(torch.randint(4, 12, (), generator=generator))
    margin = max(1, width // int(torch.randint(8, 20, (), generator=generator)))
    for top in range(margin, height - line, line * 2):
        words = torch.rand(width // 3 + 1, generator=generator) < 0.8
        inked = words.repeat_interleave(3)[:width].clone()
        inked[:margin] = inked[width - margin :] = False
        rough = torch.rand(line, width, generator=generator) < 0.6
        image[:, top : top + line] = torch.where(inked & rough, ink, image[:, top : top + line])
    if between(0, 1, (), generator) < 0.5:
        image[:, : height // 12] = torch.rand(3, 1, 1, generator=generator)
    return image


def drawing(height: int, width: int, generator: torch.Generator) -> Picture:
    """Boxes and ellipses of flat colours over each other."""
    image = flat(height, width, generator)
    rows = torch.arange(height).view(-1, 1)
    columns = torch.arange(width).view(1, -1)
    for _ in range(int(torch.randint(3, 14, (), generator=generator))):
        across, down = between(0, 1, (2,), generator) * torch.tensor([width, height])
        half = between(0.03, 0.3, (2,), generator) * max(height, width)
        x, y = (columns - across) / half[0], (rows - down) / half[1]
        round_one = between(0, 1, (), generator) < 0.5
        inside = x**2 + y**2 < 1 if round_one else (x.abs() < 1) & (y.abs() < 1)
        image = torch.where(inside, torch.rand(3, 1, 1, generator=generator), image)
    return image


KINDS: dict[str, Callable[[int, int, torch.Generator], Picture]] = {
    "flat": flat,
    "gradient": gradient,
    "page": page,
    "drawing": drawing,
}
"""What is drawn, by name."""
