"""Clear photographs as they are: nothing should change."""

from collections.abc import Iterator
from pathlib import Path

import torch

from kddn.research.data.photos import find_photos
from kddn.research.data.sets.data_set import ANY_PICTURE, Case, DataSet
from kddn.research.data.sets.outdoor import load_clean


class Clear(DataSet):
    """Photographs that training holds back are hazy image and target at once."""

    def cases(self, root: Path) -> Iterator[Case]:
        for path in find_photos(root, "validation"):
            clean = torch.from_numpy(load_clean(path)[None]).float()
            yield Case(self.name, path.stem, path.stem, clean, clean)


CLEAR = Clear(
    name="clear",
    summary="every fifth photograph of a folder as it is: nothing should change",
    licence="yours",
    source="clear photographs of your own, such as BSDS500's",
    example="any picture",
    hazy=ANY_PICTURE,
)
