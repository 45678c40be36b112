"""ONNX gives what torch gives, at every size, and the runtime takes it."""

import json

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch

from kddn import Dehazer
from kddn.errors import ModelError
from kddn.inference.models import find_model, list_models
from kddn.research.export import export, to_onnx
from kddn.research.nets import Student, StudentConfig
from kddn.research.nets.checkpoints import load_network, save_network

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _without_shape_checks():
    """Export traces with symbolic sizes, which the checks would take for no integers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


LAYOUTS = [
    StudentConfig(width=8, groups=2, blocks=1, global_residual=True),
    StudentConfig(layout="authors", width=8, groups=1, blocks=1),
]


@pytest.mark.parametrize("config", LAYOUTS, ids=["paper", "authors"])
def test_onnx_equals_torch_at_any_size(config):
    torch.manual_seed(0)
    network = Student(config).eval()
    session = onnxruntime.InferenceSession(to_onnx(network))
    for height, width in [(1, 1), (37, 50), (128, 96)]:
        hazy = torch.rand(1, 3, height, width)
        (clear,) = session.run(None, {"hazy": hazy.numpy()})
        with torch.no_grad():
            expected = network(hazy).clamp(0, 1).numpy()
        np.testing.assert_allclose(clear, expected, atol=1e-4)


def test_exported_files_say_what_they_are_and_run(tmp_path):
    torch.manual_seed(0)
    save_network(Student(LAYOUTS[0]), tmp_path / "weights.safetensors")
    model = tmp_path / "models" / "mine.onnx"
    export(tmp_path / "weights.safetensors", model, working_size=64, summary="Mine.")
    card = json.loads(model.with_suffix(".json").read_text())
    assert card["working_size"] == 64
    assert card["parameters"] == sum(p.numel() for p in Student(LAYOUTS[0]).parameters())
    again, network = load_network(model), load_network(tmp_path / "weights.safetensors")
    assert again.config == LAYOUTS[0]
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert b"site-packages" not in model.read_bytes()  # nor any other path of this machine
    clear = Dehazer(model)(np.full((90, 130, 3), 200, np.uint8))
    assert clear.shape == (90, 130, 3)
    with pytest.raises(ModelError, match=r"mine.onnx exists already"):
        export(tmp_path / "weights.safetensors", model, working_size=64, summary="Mine.")


def test_a_damaged_model_is_noticed(tmp_path):
    save_network(Student(LAYOUTS[0]), tmp_path / "weights.safetensors")
    model = tmp_path / "mine.onnx"
    export(tmp_path / "weights.safetensors", model, working_size=64, summary="Mine.")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ModelError, match=r"mine.onnx is damaged"):
        Dehazer(model)


SHIPPED = [model.name for model in list_models() if model.path]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_the_network_that_its_card_names(name):
    model = find_model(name)
    network = load_network(model.path)
    session = onnxruntime.InferenceSession(model.read())
    for height, width in [(16, 16), (64, 96), (160, 224)]:
        hazy = torch.rand(1, 3, height, width)
        found = session.run(None, {"hazy": hazy.numpy()})
        with torch.no_grad():
            affine = model.output == "affine"
            expected = network.estimate(hazy) if affine else [network(hazy).clamp(0, 1)]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=1e-4)


def test_half_the_size_gives_the_same_picture(tmp_path):
    torch.manual_seed(0)
    save_network(Student(StudentConfig(width=32, groups=2)), tmp_path / "weights.safetensors")
    sizes = []
    for name in ("whole", "half"):
        model = tmp_path / f"{name}.onnx"
        options = {"working_size": 64, "summary": "Mine.", "half": name == "half"}
        export(tmp_path / "weights.safetensors", model, **options)
        sizes.append(model.stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    hazy = torch.rand(1, 3, 44, 60)
    clear = [
        onnxruntime.InferenceSession(tmp_path / f"{name}.onnx").run(None, {"hazy": hazy.numpy()})[0]
        for name in ("whole", "half")
    ]
    assert 0 < np.abs(clear[0] - clear[1]).max() < 0.01
    network = load_network(tmp_path / "half.onnx")
    assert next(network.parameters()).dtype == torch.float32
    with torch.no_grad():
        expected = network(hazy).clamp(0, 1).numpy()
    np.testing.assert_allclose(clear[1], expected, atol=1e-4)


def test_an_onnx_without_a_card_that_names_its_network_is_refused(tmp_path):
    save_network(Student(LAYOUTS[0]), tmp_path / "weights.safetensors")
    model = tmp_path / "mine.onnx"
    export(tmp_path / "weights.safetensors", model, working_size=64, summary="Mine.")
    with pytest.raises(ModelError, match=r"mine.onnx exists already"):
        export(model, model, working_size=64, summary="Mine.")
    card = json.loads(model.with_suffix(".json").read_text())
    model.with_suffix(".json").write_text(json.dumps({**card, "network": "mine"}))
    with pytest.raises(ModelError, match=r"mine.json does not say which network"):
        load_network(model)
