"""What a picture costs, in ratios that no other load on the machine changes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kddn.bench.pictures import hazy_jpeg
from kddn.bench.run import _row
from kddn.bench.tasks import FLOOR, Limits, System
from kddn.bench.torch_systems import model_gflop
from kddn.dehazer import Dehazer
from kddn.inference.models import DEFAULT, find_model, list_models

RESULTS = Path(__file__).parents[2] / "results" / "performance"
MODELS = [model.name for model in list_models() if model.path]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(600, 450), (4000, 3000)])
def test_the_network_sees_a_picture_once_and_small(name, size, monkeypatch):
    dehazer = Dehazer(name)
    seen = []
    estimate = dehazer._estimator.estimate
    monkeypatch.setattr(
        dehazer._estimator, "estimate", lambda hazy: seen.append(hazy.shape) or estimate(hazy)
    )
    dehazer(np.zeros((size[1], size[0], 3), np.uint8))
    ((height, width, _),) = seen
    assert width == dehazer.working_size
    assert height == pytest.approx(width * 3 / 4, abs=dehazer.model.stride)


@pytest.mark.slow
def test_memory_grows_little_faster_than_that_of_decoding_and_encoding(tmp_path):
    """12 megapixels over 2: what a system needs for each further pixel."""
    pictures = {size: tmp_path / f"{size}.jpg" for size in (2, 12)}
    for size, path in pictures.items():
        path.write_bytes(hazy_jpeg(size))
    once = Limits(repeats=1)
    floor, ours = (
        [_row(system, size, path, once).found.peak for size, path in pictures.items()]
        for system in (FLOOR, System("model", DEFAULT, "onnxruntime"))
    )
    assert ours[1] - ours[0] < 2 * (floor[1] - floor[0])
    assert ours[1] < 3 * floor[1]


@pytest.mark.parametrize("name", MODELS)
def test_arithmetic_is_what_the_results_say(name):
    """Of models whose weights are those that were measured."""
    record = json.loads((RESULTS / "machine.json").read_text())
    model = find_model(name)
    if record["models"].get(name) != model.sha256:
        pytest.skip("its weights were replaced since; run `kddn bench` again (docs/performance.md)")
    with (RESULTS / "networks.csv").open() as file:
        row = next(line for line in csv.DictReader(file) if line["system"] == name)
    now = model_gflop(model, int(row["width"]), int(row["height"]))
    assert now == pytest.approx(float(row["gflop"]), rel=1e-3)
    assert max(int(row["width"]), int(row["height"])) == model.working_size
