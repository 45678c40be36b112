"""A network of ten lines, and the contract for models: `estimate` says an affine map."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import jaxtyping
import numpy as np
import pytest
from torch import nn

from helpers import hazy_photograph
from kddn import Dehazer, ModelError
from kddn.affine import AffineMap as RuntimeMap
from kddn.inference import estimators
from kddn.inference.models import find_model
from kddn.research.export import export
from kddn.research.nets import registry
from kddn.research.nets.affine import AffineMap, AffineNetwork
from kddn.research.nets.checkpoints import load_network, save_network
from kddn.video.stability import Stabilizer

pytestmark = pytest.mark.slow


class Toy(AffineNetwork):
    """Twice the contrast to white everywhere, and a convolution that says 0 until it learns."""

    stride = 8

    def __init__(self, config=None):
        super().__init__()
        self.config = config or registry.ARCHITECTURES["student"].config(width=8)
        self.conv = nn.Conv2d(3, 1, 8, stride=8)
        nn.init.zeros_(self.conv.weight)
        nn.init.ones_(self.conv.bias)

    def estimate(self, hazy):
        scale = 1 + self.conv(hazy)
        return AffineMap(scale, (1 - scale).expand(-1, 3, -1, -1))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """The toy, registered, saved and exported."""
    monkeypatch.setattr(registry, "ARCHITECTURES", dict(registry.ARCHITECTURES))
    config = registry.ARCHITECTURES["student"].config
    registry.register("toy", "student", config, {"toy": config(width=8)})(Toy)
    save_network(registry.build("student", "toy"), tmp_path / "weights.safetensors")
    assert isinstance(load_network(tmp_path / "weights.safetensors"), Toy)
    path = tmp_path / "toy.onnx"
    jaxtyping.config.update("jaxtyping_disable", True)
    export(tmp_path / "weights.safetensors", path, working_size=64, summary="A toy.")
    jaxtyping.config.update("jaxtyping_disable", False)
    return path


def test_its_card_says_what_it_is(model):
    card = json.loads(model.with_suffix(".json").read_text())
    assert (card["format"], card["output"], card["stride"]) == (1, "affine", 8)


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (64, 64), (301, 203)])
@pytest.mark.parametrize("full", [False, True])
def test_the_runtime_does_what_the_map_says(model, size, full):
    hazy = np.asarray(hazy_photograph(*size))
    clear = Dehazer(model)(hazy, full_resolution=full)
    expected = (2.0 * hazy - 255).clip(0, 255)
    np.testing.assert_allclose(clear, expected, atol=1)
    np.testing.assert_array_equal(Dehazer(model)(hazy, strength=0.0), hazy)


def test_the_picture_is_worked_at_in_multiples_of_the_stride(model, monkeypatch):
    dehazer = Dehazer(model)
    seen = []
    estimate = dehazer._estimator.estimate
    monkeypatch.setattr(
        dehazer._estimator, "estimate", lambda hazy: seen.append(hazy.shape) or estimate(hazy)
    )
    for size in [(3, 2), (50, 30), (4000, 3000)]:
        dehazer(np.zeros((size[1], size[0], 3), np.uint8))
    dehazer(np.zeros((300, 5000, 3), np.uint8), full_resolution=True)
    assert seen == [(8, 8, 3), (32, 48, 3), (48, 64, 3), (120, 2048, 3)]


def test_transmission_reads_the_map(model):
    # J = 2 I - 1: with an airlight of 1, half of the light has come through.
    clear = np.random.default_rng(0).integers(0, 128, (48, 64, 3))
    clear[:8, :8] = 255
    t = Dehazer(model).transmission((clear // 2 + 128).clip(0, 255).astype(np.uint8))
    assert t.shape == (48, 64)
    assert abs(float(np.median(t)) - 0.5) < 0.03


def test_steadied_maps_may_be_smaller_than_the_picture():
    rng = np.random.default_rng(0)
    picture = rng.random((32, 48, 3)).astype(np.float32)
    maps = [
        RuntimeMap(np.full((8, 12, 1), k, np.float32), np.zeros((8, 12, 3), np.float32))
        for k in (1.0, 2.0)
    ]
    steady = Stabilizer(0.8)
    steady(picture, maps[0])
    np.testing.assert_allclose(steady(picture, maps[1]).scale, 1.2, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "has format 2, and this kddn reads format 1; install a newer kddn"),
        ({"output": "depth"}, "output is 'depth', which is none of affine, image"),
        ({"stride": "wide"}, "is no model card"),
    ],
)
def test_a_card_that_is_not_known_is_refused(model, change, says):
    card = model.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))
    with pytest.raises(ModelError, match=says):
        Dehazer(model)


@pytest.mark.parametrize("damage", [b"\xff\xfe" * 5000, b"{" * 100_000])
def test_a_card_of_any_bytes_is_named_in_one_line(model, damage):
    model.with_suffix(".json").write_bytes(damage)
    with pytest.raises(ModelError, match=r"toy.json is no model card") as caught:
        Dehazer(model)
    assert len(str(caught.value)) < 500


def test_a_network_without_checksum_that_is_damaged_is_named_and_no_more(model, capsys):
    card = model.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "sha256": None}))
    model.write_bytes(model.read_bytes().replace(b"Conv", b"\xff\x8d\xfe\x9c"))
    with pytest.raises(ModelError, match=r"toy.onnx cannot be run on cpu"):
        Dehazer(model)
    assert capsys.readouterr().out == ""


def test_a_card_without_its_format_is_refused(model):
    card = model.with_suffix(".json")
    fields = json.loads(card.read_text())
    del fields["format"]
    card.write_text(json.dumps(fields))
    with pytest.raises(ModelError, match=r"no model card \(KeyError\('format'\)\)"):
        Dehazer(model)


def test_a_name_is_registered_once():
    student = registry.ARCHITECTURES["student"]
    with pytest.raises(ValueError, match="'student' is registered already"):
        registry.register("student", "student", student.config, {})(Toy)
    with pytest.raises(ValueError, match="preset 'paper' of a student is registered already"):
        registry.register("other", "student", student.config, {"paper": None})(Toy)


@pytest.mark.parametrize(("device", "expected"), [("cuda", 1), ("cpu", 2)])
def test_a_gpu_does_one_picture_at_a_time(monkeypatch, device, expected):
    class Busy:
        def run(self, outputs, inputs, options):
            together.append(1)
            most.append(len(together))
            time.sleep(0.05)
            together.pop()
            return [inputs["hazy"]]

    both = dict.fromkeys(("cpu", "cuda"), "CPUExecutionProvider")
    monkeypatch.setattr(estimators, "PROVIDERS", both)
    network = estimators.OnnxNetwork(find_model("kddn-paper"), device)
    network._session, together, most = Busy(), [], []
    with ThreadPoolExecutor(2) as pool:
        black = [np.zeros((8, 8, 3), np.float32)] * 4
        list(pool.map(lambda hazy: network.run(hazy, ["clear"]), black))
    assert max(most) == expected
