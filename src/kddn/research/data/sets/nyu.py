"""NYU Depth V2's validation scenes: what our own weights are judged by.

`nyu` has them under SOTS's haze, for students; `nyu-clear` as they are, for teachers.
"""

from collections.abc import Iterator
from pathlib import Path

from kddn.research.data.scenes import VALIDATION, load_nyu, sots_pair
from kddn.research.data.sets.data_set import Case, DataSet, Names
from kddn.research.haze import SOTS_INDICES


class Nyu(DataSet):
    """Its images are made as they are asked for. In its files, depth takes the place of haze."""

    def cases(self, root: Path) -> Iterator[Case]:
        """The 50 validation scenes, each under SOTS's ten hazes."""
        return nyu_cases(root)


class NyuClear(DataSet):
    """Its images are input and target at once."""

    def cases(self, root: Path) -> Iterator[Case]:
        """The 50 validation scenes as they are."""
        for scene in map(str, VALIDATION):
            clean = load_nyu(root, [int(scene)]).clean.float() / 255
            yield Case(self.name, scene, scene, clean, clean)


def nyu_cases(root: Path, *, scenes: int = len(VALIDATION), scale: float = 1.0) -> Iterator[Case]:
    """NYU's validation scenes, each under SOTS's ten hazes.

    Args:
        root: Folder of NYU Depth V2's labelled pairs.
        scenes: How many scenes, from the first.
        scale: What the images are resized by.
    """
    for reside_id in VALIDATION[:scenes]:
        loaded = load_nyu(root, [reside_id])
        for haze in SOTS_INDICES:
            pair = sots_pair(loaded, 0, haze, scale=scale)
            yield Case("nyu", str(reside_id), f"{reside_id}_{haze}", pair.hazy, pair.clean)


_UNUSED = r"(1399|14[0-4]\d)\."
"""The last 50 of the labelled pairs are SOTS's, which nothing here reads."""

NYU = Nyu(
    name="nyu",
    summary="NYU's 50 validation scenes under SOTS's ten hazes: 500 images",
    licence="for research",
    source="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html (the labelled pairs)",
    example="depth/0.png, rgb/0.jpg",
    hazy=Names("depth", rf"(?!{_UNUSED})(?P<scene>\d+)\.png"),
    clean=Names("rgb", rf"(?!{_UNUSED})(?P<scene>\d+)\.jpg"),
    ignored=Names("depth|rgb", rf"{_UNUSED}\w+"),
    scenes=[str(index) for index in range(1399)],
    size=(640, 480),
)

NYU_CLEAR = NyuClear(
    **vars(NYU)
    | {
        "name": "nyu-clear",
        "summary": "NYU's 50 validation scenes as they are: what a teacher reconstructs",
    }
)
