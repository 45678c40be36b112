"""RESIDE's indoor training set (ITS) as it is published: fixed hazy images in files.

root/hazy/{id}_{index}_{airlight}.png    620x460
root/clear/{id}.png                      640x480 or 620x460
root/trans/{id}_{index}.png              620x460, grey, where at hand
"""

import re
from pathlib import Path

from kddn.errors import DataError
from kddn.research.data.fixed import PairFiles

_HAZY = re.compile(r"(?P<id>\d+)_(?P<index>\d+)_(?P<airlight>[\d.]+)\.(png|jpg)")


def find_its(root: Path) -> list[PairFiles]:
    """List ITS's images in the order of their ids and indices.

    Raises:
        DataError: If the folder holds none, a name is not ITS's, or a clean image is missing.
    """
    hazy = sorted(path for path in (root / "hazy").glob("*") if path.is_file())
    if not hazy:
        raise DataError(f"{root / 'hazy'} holds no images; unpack RESIDE's ITS into {root}")
    found = []
    for path in hazy:
        match = _HAZY.fullmatch(path.name)
        if match is None:
            raise DataError(f"{path} is not named as ITS's images are, like 1_1_0.90179.png")
        clear = root / "clear" / f"{match['id']}.png"
        if not clear.is_file():
            raise DataError(f"{clear} is missing, the clean image of {path}")
        t = root / "trans" / f"{match['id']}_{match['index']}.png"
        image = PairFiles(path, clear, t if t.is_file() else None, float(match["airlight"]))
        found.append(((int(match["id"]), int(match["index"])), image))
    return [image for _, image in sorted(found, key=lambda item: item[0])]
