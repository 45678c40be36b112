"""GridDehazeNet (Liu et al., ICCV 2019): dense blocks in a grid, joined by attention."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "b c h w"]

_WIDTHS = (16, 32, 64)
"""Channels of the grid's rows, each half as large as the one above."""

_COLUMNS = 6


class DenseBlock(nn.Module):
    """Residual dense block: four convolutions, each on all before it, and one to join them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + 16 * i, 16, 3, padding=1) for i in range(4))
        self.join = nn.Conv2d(width + 64, width, 1)

    def forward(self, x: Features) -> Features:
        """Features with what four dense convolutions make of them added."""
        grown = x
        for conv in self.convs:
            grown = torch.cat([grown, F.relu(conv(grown))], 1)
        out: Tensor = x + self.join(grown)
        return out


class Down(nn.Module):
    """To the row below: half the size, twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.widen = nn.Conv2d(width, 2 * width, 3, padding=1)

    def forward(self, x: Features) -> Float[Tensor, "b c2 h2 w2"]:
        """Features at half of the size, with twice the channels."""
        return F.relu(self.widen(F.relu(self.halve(x))))


class Up(nn.Module):
    """To the row above: twice the size (that of `like`), half the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(width, width, 3, stride=2, padding=1)
        self.narrow = nn.Conv2d(width, width // 2, 3, padding=1)

    def forward(self, x: Features, like: Tensor) -> Float[Tensor, "b c2 h2 w2"]:
        """Features at the size of `like`, with half of the channels."""
        doubled = self.enlarge(x, output_size=like.shape[-2:])
        return F.relu(self.narrow(F.relu(doubled)))


class Column(nn.Module):
    """One column: each row goes on by a dense block, and joins what comes from the row beside it.

    In the left half of the grid that is the row above, in the right half the row below. The first
    column has nothing to go on from but the first row.

    Args:
        number: 0 to 5, from the left.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        widths = _WIDTHS if number > 0 else ()
        self.along = nn.ModuleList(DenseBlock(width) for width in widths)
        self.goes_down = number < _COLUMNS // 2
        self.across = nn.ModuleList(
            Down(width) if self.goes_down else Up(2 * width) for width in _WIDTHS[:2]
        )

    def forward(self, rows: list[Tensor], attention: Float[Tensor, "rows 2 64"]) -> list[Tensor]:
        """The three rows after this column."""
        rows = (
            [block(x) for block, x in zip(self.along, rows, strict=True)] if self.number else rows
        )
        if self.number == 0:
            for down in self.across:
                rows.append(down(rows[-1]))
            return rows
        order = [(0, 1), (1, 2)] if self.goes_down else [(2, 1), (1, 0)]
        for source, target in order:
            step = self.across[min(source, target)]
            x = step(rows[source]) if self.goes_down else step(rows[source], rows[target])
            a, b = attention[target, :, : _WIDTHS[target], None, None]
            rows[target] = a * rows[target] + b * x
        return rows


class GridDehazeNet(nn.Module):
    """Three rows by six columns: down in the left half, up in the right one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.enter = DenseBlock(16)
        self.columns = nn.ModuleList(Column(number) for number in range(_COLUMNS))
        self.attention = nn.Parameter(torch.ones(3, _COLUMNS, 2, 64))
        """Weights of what comes along a row and of what comes from another, one a channel."""
        self.leave = DenseBlock(16)
        self.last = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, hazy: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Remove haze from RGB images in [0, 1], any size."""
        rows = [self.enter(self.first(2 * hazy - 1))]
        for column, attention in zip(self.columns, self.attention.unbind(1), strict=True):
            rows = column(rows, attention)
        out: Tensor = self.last(self.leave(rows[0]))
        return F.relu(out)
