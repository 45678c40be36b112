"""O-HAZE (Ancuti et al., NTIRE 2018): outdoor scenes with real haze from a machine.

Sizes differ from scene to scene, up to 20 megapixels. There is no transmission.
"""

from kddn.research.data.sets.data_set import DataSet, Names


def _scenes(first: int, last: int) -> list[str]:
    return [f"{scene:02}" for scene in range(first, last + 1)]


TRAIN = _scenes(1, 35)
"""Scenes of NTIRE 2018's training set."""

VALIDATION = _scenes(36, 40)
"""Scenes of its validation set."""

TEST = _scenes(41, 45)
"""Scenes of its test set."""


O_HAZE = DataSet(
    name="o-haze",
    summary="O-HAZE's 45 outdoor scenes with machine haze, judged by the last five; Table 4",
    licence="for research, not for commercial use",
    source="https://data.vision.ee.ethz.ch/cvl/ntire18/o-haze/",
    example="hazy/01_outdoor_hazy.jpg, GT/01_outdoor_GT.jpg",
    hazy=Names("hazy", r"(?P<scene>\d\d)_outdoor_hazy\.(jpg|png)"),
    clean=Names("GT", r"(?P<scene>\d\d)_outdoor_GT\.(jpg|png)"),
    scenes=_scenes(1, 45),
    judged=TEST,
)
