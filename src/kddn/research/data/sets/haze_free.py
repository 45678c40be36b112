"""Pictures without haze as they are, photographs and drawn ones: nothing should change."""

from collections.abc import Iterator
from pathlib import Path

import torch

from kddn.research.data.graphics import KINDS
from kddn.research.data.photos import find_photos
from kddn.research.data.pixels import names_of
from kddn.research.data.sets.data_set import ANY_PICTURE, Case, DataSet
from kddn.research.data.sets.outdoor import load_clean

HEIGHT, WIDTH = 320, 480
"""Of a drawn picture."""

PICTURES = 10
"""Drawn ones of each kind."""

_SEED = 1 << 40
"""PyTorch keeps the low 32 bits. Batches of training draw a scale first, so that no picture is one
of theirs, whatever their seed."""


class Clear(DataSet):
    """Photographs that training holds back are hazy image and target at once."""

    def cases(self, root: Path) -> Iterator[Case]:
        """Each photograph held back, input and target at once."""
        for path, name in names_of(find_photos(root, "validation"), root).items():
            clean = torch.from_numpy(load_clean(path)[None]).float()
            yield Case(self.name, name, name, clean, clean)


class Graphics(DataSet):
    """Drawn pictures that are hazy image and target at once, the same every time."""

    def cases(self, root: Path) -> Iterator[Case]:
        """Each picture, input and target at once."""
        for kind, draw in KINDS.items():
            for number in range(PICTURES):
                generator = torch.Generator().manual_seed(_SEED + number)
                # Of 8 bits, as users' are: whoever leaves it alone loses nothing.
                picture = (draw(HEIGHT, WIDTH, generator)[None] * 255).round() / 255
                yield Case(self.name, kind, f"{kind}_{number}", picture, picture)


CLEAR = Clear(
    name="clear",
    summary="every fifth photograph of a folder as it is: nothing should change",
    licence="yours",
    source="clear photographs of your own, such as BSDS500's",
    example="any picture",
    hazy=ANY_PICTURE,
)

GRAPHICS = Graphics(
    name="graphics",
    summary="40 pages, drawings, gradients and flat colours, made up: nothing should change",
    licence="as this software",
    source="no file at all: any folder will do",
    example="none",
    hazy=ANY_PICTURE,
)
