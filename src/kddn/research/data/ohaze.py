"""O-HAZE (Ancuti et al., NTIRE 2018): 45 outdoor scenes with real haze from a machine.

root/hazy/01_outdoor_hazy.jpg .. 45_outdoor_hazy.jpg
root/GT/01_outdoor_GT.jpg .. 45_outdoor_GT.jpg

Sizes differ from scene to scene, up to 20 megapixels. There is no transmission.
"""

from pathlib import Path

from kddn.errors import DataError
from kddn.research.data.fixed import PairFiles

TRAIN = range(1, 36)
"""Scenes of NTIRE 2018's training set."""

VALIDATION = range(36, 41)
"""Scenes of its validation set."""

TEST = range(41, 46)
"""Scenes of its test set."""


def find_ohaze(root: Path, scenes: range) -> list[PairFiles]:
    """List scenes of O-HAZE.

    Raises:
        DataError: If an image is missing.
    """
    return [
        PairFiles(
            _find(root / "hazy", f"{scene:02}_outdoor_hazy"),
            _find(root / "GT", f"{scene:02}_outdoor_GT"),
        )
        for scene in scenes
    ]


def _find(folder: Path, stem: str) -> Path:
    """The file of that name, `.jpg`, `.JPG` or `.png`, as copies of the data set have it."""
    for suffix in (".jpg", ".JPG", ".png"):
        if (path := folder / (stem + suffix)).is_file():
            return path
    raise DataError(
        f"{folder / stem}.jpg is missing; O-HAZE needs hazy/01_outdoor_hazy.jpg .. 45, and "
        "GT/01_outdoor_GT.jpg .. 45, from https://data.vision.ee.ethz.ch/cvl/ntire18/o-haze/"
    )
