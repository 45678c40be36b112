"""What systems are judged on: hazy images with their ground truth, set by set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kddn.errors import DataError
from kddn.research.data.files import read_pixels
from kddn.research.data.nyu import VALIDATION, load_nyu, sots_pair
from kddn.research.data.outdoor import load_clean, outdoor_pairs
from kddn.research.data.photos import find_photos
from kddn.research.haze import SOTS_INDICES


@dataclass(frozen=True)
class Case:
    """One image to remove haze from."""

    data: str
    """The set it belongs to."""
    scene: str
    """What it shows; intervals resample scenes, whose images go well or badly together."""
    name: str
    """Its own name."""
    hazy: Tensor
    """`1 3 h w` in [0, 1]."""
    clean: Tensor | None
    """The truth, as large, where there is one."""


@dataclass(frozen=True)
class DataSet:
    """Where cases come from."""

    name: str
    """What it is asked for by."""
    summary: str
    """One sentence."""
    cases: Callable[[Path], Iterator[Case]]
    """All cases of a folder."""


def nyu_cases(root: Path, *, scenes: int = len(VALIDATION), scale: float = 1.0) -> Iterator[Case]:
    """NYU's validation scenes, each under SOTS's ten hazes."""
    for reside_id in VALIDATION[:scenes]:
        loaded = load_nyu(root, [reside_id])
        for haze in SOTS_INDICES:
            pair = sots_pair(loaded, 0, haze, scale=scale)
            yield Case("nyu", str(reside_id), f"{reside_id}_{haze}", pair.hazy, pair.clean)


def _outdoor_cases(root: Path) -> Iterator[Case]:
    for photo, rule, pair in outdoor_pairs(root):
        yield Case("outdoor", photo, f"{photo}_{rule}", pair.hazy, pair.clean)


def _clear_cases(root: Path) -> Iterator[Case]:
    for path in find_photos(root, "validation"):
        clean = torch.from_numpy(load_clean(path)[None]).float()
        yield Case("clear", path.stem, path.stem, clean, clean)


def _real_cases(root: Path) -> Iterator[Case]:
    paths = sorted(p for p in root.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise DataError(f"{root} holds no .jpg or .png pictures")
    for path in paths:
        pixels = torch.from_numpy(read_pixels(path, "RGB")).permute(2, 0, 1)[None]
        yield Case("real", path.stem, path.stem, pixels.float() / 255, None)


DATA_SETS = {
    data.name: data
    for data in (
        DataSet("nyu", "NYU's 50 validation scenes under SOTS's ten hazes: 500 images", nyu_cases),
        DataSet(
            "outdoor",
            "every fifth photograph of a folder, under three hazes that training does not draw",
            _outdoor_cases,
        ),
        DataSet("clear", "the same photographs as they are: nothing should change", _clear_cases),
        DataSet("real", "hazy pictures of a folder, without ground truth", _real_cases),
    )
}
"""The sets by name."""
