"""Small things to test with, made here: no test needs data from elsewhere."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from PIL import Image

# Shapes in signatures are checked while the tests run.
install_import_hook("kddn.research.nets", "beartype.beartype")
install_import_hook("kddn.research.metrics", "beartype.beartype")

settings.register_profile("kddn", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("kddn")

os.environ.setdefault("OMP_NUM_THREADS", "2")

SHARED = Path(__file__).parents[2] / "shared"
"""Real data and weights, on machines that have them."""


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


def hazy_photograph(width: int, height: int) -> Image.Image:
    """Stripes that fade into white towards the top."""
    t = np.linspace(0.2, 1, height)[:, None, None]
    stripes = (
        np.indices((height, width)).sum(axis=0)[..., None] // 16 % 2 * np.array([0.6, 0.4, 0.2])
    )
    hazy = stripes * t + (1 - t)
    return Image.fromarray((hazy * 255).round().astype(np.uint8))
