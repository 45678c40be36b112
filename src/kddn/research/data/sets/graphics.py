"""Pages, drawings, gradients and flat colours, made up: there is nothing to remove."""

from collections.abc import Iterator
from pathlib import Path

import torch

from kddn.research.data.graphics import KINDS
from kddn.research.data.sets.data_set import ANY_PICTURE, Case, DataSet

HEIGHT, WIDTH = 320, 480

PICTURES = 10
"""Of each kind."""

_SEED = 1 << 40
"""Beyond those that batches of training are drawn with."""


class Graphics(DataSet):
    """Pictures that are hazy image and target at once, the same every time."""

    def cases(self, root: Path) -> Iterator[Case]:
        for kind, draw in KINDS.items():
            for number in range(PICTURES):
                generator = torch.Generator().manual_seed(_SEED + number)
                picture = draw(HEIGHT, WIDTH, generator)[None]
                yield Case(self.name, kind, f"{kind}_{number}", picture, picture)


GRAPHICS = Graphics(
    name="graphics",
    summary="40 pages, drawings, gradients and flat colours, made up: nothing should change",
    licence="as this software",
    source="no file at all: any folder will do",
    example="none",
    hazy=ANY_PICTURE,
)
