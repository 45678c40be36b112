"""Small things to test with, made here: no test needs data from elsewhere."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from PIL import Image

from helpers import hazy_photograph

# Shapes in signatures are checked while the tests run.
install_import_hook("kddn.research.nets", "beartype.beartype")
install_import_hook("kddn.research.evaluation.metrics", "beartype.beartype")

settings.register_profile("kddn", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("kddn")

os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session")
def nyu(tmp_path_factory) -> Path:
    """A folder laid out as NYU Depth V2: four scenes of boxes before a wall, and six more."""
    root = tmp_path_factory.mktemp("nyu")
    (root / "rgb").mkdir()
    (root / "depth").mkdir()
    rng = np.random.default_rng(0)
    for k in [*range(4), *range(1349, 1352)]:
        rgb = np.full((480, 640, 3), rng.integers(40, 200, 3), np.uint8)
        depth = np.full((480, 640), 230, np.uint8)
        for near in range(6):
            top, left = rng.integers(0, 400), rng.integers(0, 500)
            box = np.s_[top : top + 120, left : left + 160]
            rgb[box] = rng.integers(0, 256, 3)
            depth[box] = 200 - 30 * near
        noise = rng.integers(-8, 9, rgb.shape)
        rgb = (rgb.astype(int) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(rgb).save(root / "rgb" / f"{k}.jpg", quality=90)
        Image.fromarray(depth).save(root / "depth" / f"{k}.png")
    return root


@pytest.fixture
def photo(tmp_path) -> Path:
    """A hazy JPEG of 300x200 pixels."""
    path = tmp_path / "photo.jpg"
    hazy_photograph(300, 200).save(path, quality=92)
    return path
