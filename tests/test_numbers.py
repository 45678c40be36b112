"""What comes out is finite, in range, monotone in strength, and the same again."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from golden.make import HAZY, HERE
from helpers import encoded, hazy_photograph
from kddn import Dehazer, ImageError
from kddn.inference.models import list_models
from kddn.research.nets.checkpoints import load_network

MODELS = [model.name for model in list_models()]

SHAPE = (40, 56)

TOLERANCE = 2
"""Levels of 255 by which a pixel may differ between processors, engines and their versions."""


@cache
def dehazer(model):
    return Dehazer(model, "cpu", working_size=64)


def inputs():
    """Pictures of nothing, by name: float32 in [0, 1]."""
    rows, columns = np.indices(SHAPE)
    rng = np.random.default_rng(0)
    yield "black", np.zeros(SHAPE)
    yield "white", np.ones(SHAPE)
    yield "constant", np.full(SHAPE, 0.6)
    yield "denormal", np.full(SHAPE, 1e-40)
    yield "denormal or white", np.where(rows < 20, 1e-40, 1)
    yield "gradient", columns / columns.max()
    yield "checkerboard", (rows + columns) % 2
    yield "one white pixel", (rows == 7) & (columns == 9)
    yield "noise", rng.random((*SHAPE, 3))
    yield "one colour", np.broadcast_to(np.array([0, 1, 0]), (*SHAPE, 3))


INPUTS = {
    name: np.ascontiguousarray(
        np.broadcast_to(x if x.ndim == 3 else x[..., None], (*SHAPE, 3)), np.float32
    )
    for name, x in inputs()
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("full", [False, True])
def test_pictures_of_nothing_stay_in_range_and_change_steadily(model, name, full):
    hazy = INPUTS[name]
    strengths = (0, 0.5, 1, 1.5)
    with np.errstate(all="raise", under="ignore"):
        clear = [dehazer(model)(hazy, s, full).astype(float) for s in strengths]
    for each in clear:
        assert np.isfinite(each).all()
        assert each.min() >= 0
        assert each.max() <= 1
    np.testing.assert_array_equal(clear[0], hazy)
    direction = np.sign(clear[-1] - clear[0])
    for less, more in itertools.pairwise(clear):
        assert ((more - less) * direction).min() > -1e-6
    bytes_ = dehazer(model)((hazy * 255).round().astype(np.uint8), 1.0, full)
    assert bytes_.dtype == np.uint8
    assert np.abs(bytes_ / 255 - dehazer(model)(np.round(hazy * 255) / 255, 1.0, full)).max() < 0.02


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_the_files_name(tmp_path, bad):
    hazy = INPUTS["noise"].copy()
    hazy[3, 4, 1] = bad
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, hazy, photometric="rgb")
    with pytest.raises(ImageError, match="not finite"):
        dehazer("kddn-photo")(hazy)
    with pytest.raises(ImageError, match=r"a.tif: .*not finite"):
        dehazer("kddn-photo").file(path)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_input_gives_the_same_bytes(model):
    content = encoded(hazy_photograph(120, 90), "JPEG", quality=90)
    expected = Dehazer(model, "cpu").encoded(content)
    shared = Dehazer(model, "cpu")
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(shared.encoded, [content] * 6)) == {expected}


@pytest.mark.parametrize("model", MODELS)
def test_results_are_those_of_the_golden_pictures(model):
    with Image.open(HAZY) as hazy, Image.open(HERE / f"{model}.png") as golden:
        clear = np.asarray(Dehazer(model, "cpu")(hazy), float)
        difference = np.abs(clear - np.asarray(golden, float))
    again = "if weights were replaced: python tests/golden/make.py"
    assert difference.max() <= TOLERANCE, again


@pytest.mark.slow
@pytest.mark.parametrize("model", [model.name for model in list_models() if model.path])
def test_another_engine_gives_the_same_within_the_tolerance(model):
    ours, theirs = Dehazer(model, "cpu"), Dehazer(model, "cpu")
    network = load_network(Path(f"kddn:{model}"))

    @torch.no_grad()
    def run(hazy, _=None):
        batch = torch.from_numpy(hazy.transpose(2, 0, 1)[None].copy())
        out = network.estimate(batch) if ours.model.output == "affine" else [network(batch)]
        return [each[0].numpy().transpose(1, 2, 0) for each in out]

    if ours.model.output == "affine":
        theirs._estimator._network = SimpleNamespace(run=run)
    else:
        theirs._estimator.remove_haze = lambda hazy: run(hazy)[0].clip(0, 1)
    with Image.open(HAZY) as hazy:
        difference = np.asarray(ours(hazy), float) - np.asarray(theirs(hazy), float)
    assert np.abs(difference).max() <= TOLERANCE
