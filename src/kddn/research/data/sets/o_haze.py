"""O-HAZE (Ancuti et al., NTIRE 2018): outdoor scenes with real haze from a machine.

Sizes differ from scene to scene, up to 20 megapixels. There is no transmission.
"""

from collections.abc import Iterator
from pathlib import Path

from kddn.research.data.sets.data_set import Case, DataSet, Names


def _scenes(first: int, last: int) -> list[str]:
    return [f"{scene:02}" for scene in range(first, last + 1)]


TRAIN = _scenes(1, 35)
"""Scenes of NTIRE 2018's training set."""

VALIDATION = _scenes(36, 40)
"""Scenes of its validation set."""

TEST = _scenes(41, 45)
"""Scenes of its test set."""


class OHaze(DataSet):
    """Its cases are the test scenes alone; training takes others by `find`."""

    def cases(self, root: Path) -> Iterator[Case]:
        for case in super().cases(root):
            if case.name[:2] in TEST:
                yield case


O_HAZE = OHaze(
    name="o-haze",
    summary="O-HAZE's 45 outdoor scenes with machine haze, judged by the last five; Table 4",
    licence="for research, not for commercial use",
    source="https://data.vision.ee.ethz.ch/cvl/ntire18/o-haze/",
    example="hazy/01_outdoor_hazy.jpg, GT/01_outdoor_GT.jpg",
    hazy=Names("hazy", r"(?P<scene>\d\d)_outdoor_hazy\.(jpg|png)"),
    clear=Names("GT", r"(?P<scene>\d\d)_outdoor_GT\.(jpg|png)"),
    scenes=_scenes(1, 45),
)
