"""The compared systems: size, shape, and what is known of them."""

import json
from pathlib import Path

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from scipy import ndimage
from torch import nn

from kddn.errors import ModelError
from kddn.research import windows
from kddn.research.export import to_onnx
from kddn.research.nets.baselines import BASELINES, GFN, MSCNN, PDN, AODNet, gfn
from kddn.research.nets.baselines.mscnn import MSCNNConfig
from kddn.research.nets.baselines.pdn import PDNConfig
from kddn.research.nets.checkpoints import load_network, save_network

PARAMETERS = {
    "aod-net": 1_761,
    "dehazenet": 8_305,
    "epdn": 17_379_249,
    "gfn": 517_295,
    "grid-dehaze-net": 958_051,
    "mscnn": 8_435,
    "pdn": 19_478,
}
"""As their authors' releases have them."""


def hazy(height, width):
    generator = torch.Generator().manual_seed(0)
    return 0.4 + 0.5 * torch.rand(1, 3, height, width, generator=generator)


@pytest.mark.parametrize("name", BASELINES)
def test_cardinality(name):
    network = BASELINES[name]()
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("size", [(64, 96), (61, 83), (1, 40)])
def test_any_size(name, size):
    torch.manual_seed(0)
    with torch.no_grad():
        clear = BASELINES[name]().eval()(hazy(*size))
    assert clear.shape == (1, 3, *size)
    assert clear.isfinite().all()


@pytest.mark.parametrize("name", BASELINES)
def test_all_of_it_learns(name):
    torch.manual_seed(0)
    network = BASELINES[name]()
    network(hazy(64, 64)).square().mean().backward()
    silent = {key for key, p in network.named_parameters() if p.grad is None}
    expected = {
        "epdn": {f"enhance{i}.unused.{part}" for i in (1, 2) for part in ("weight", "bias")},
        "mscnn": {key for key, _ in network.named_parameters() if key.startswith("coarse.")},
    }
    assert silent == expected.get(name, set())
    # Of what asks for a gradient and gets none, several devices wait for each other's for ever.
    assert silent == {key for key, p in network.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize("seed", range(4))
def test_transmission_beyond_its_bounds_can_come_back(seed):
    torch.manual_seed(seed)
    network = BASELINES["dehazenet"]()
    picture = hazy(64, 64)
    assert 0.2 < network.transmission(picture).mean() < 0.8
    for bias in (5.0, -5.0):
        torch.nn.init.constant_(network.conv_out.bias, bias)
        assert network.transmission(picture).unique().tolist() == [float(bias > 0)]
        network.zero_grad()
        network(picture).square().mean().backward()
        assert network.conv1.weight.grad.abs().sum() > 0


@pytest.fixture
def untyped():
    """Without shapes being checked: export traces with symbolic sizes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aod-net", "gfn", "mscnn", "dehazenet"])
def test_they_are_exported_for_every_size_or_not_at_all(name, untyped):
    torch.manual_seed(0)
    network = BASELINES[name]().eval()
    if name not in ("aod-net", "gfn"):
        with pytest.raises(ModelError, match=f"^{type(network).__name__} cannot be exported: .+$"):
            to_onnx(network)
        return
    content = to_onnx(network)
    session = onnxruntime.InferenceSession(content)
    for height, width in ((64, 96), (128, 64)):
        picture = hazy(height, width)
        with torch.no_grad():
            expected = network(picture).clamp(0, 1)
        (found,) = session.run(None, {"hazy": picture.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", BASELINES)
def test_their_weights_are_told_by_their_tensors(name, tmp_path):
    torch.manual_seed(0)
    network = BASELINES[name]()
    save_network(network, tmp_path / "w.safetensors")
    again = load_network(tmp_path / "w.safetensors")
    assert type(again) is type(network)
    torch.testing.assert_close(again.state_dict(), network.state_dict())


def test_weights_too_small_to_matter_are_0(tmp_path):
    network = AODNet()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.view(-1)[::2] = 1e-40
    save_network(network, tmp_path / "w.safetensors")
    loaded = dict(load_network(tmp_path / "w.safetensors").named_parameters())
    for name, parameter in network.named_parameters():
        assert (loaded[name].view(-1)[::2] == 0).all()
        assert torch.equal(loaded[name].view(-1)[1::2], parameter.view(-1)[1::2])


def test_other_networks_are_not_taken_for_them(tmp_path):
    save_network(nn.Conv2d(3, 3, 1), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="not ours to build"):
        load_network(tmp_path / "w.safetensors")


def test_aod_net_with_k_of_1_changes_nothing():
    network = AODNet()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(network.conv5.bias)
    torch.testing.assert_close(network(hazy(9, 7)), hazy(9, 7))


def test_the_inputs_that_gfn_derives():
    image = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(
        gfn.white_balance(image), torch.full_like(image, 0.4), atol=1e-4, rtol=0
    )
    expected = 2 * (0.5 + 0.4) * (image - 0.4)
    torch.testing.assert_close(gfn.enhance_contrast(image), expected)
    assert gfn.correct_gamma(image)[0, 0, 0, 0].item() == pytest.approx(0.2**2.5)


def test_gfn_is_the_weighted_sum_of_its_inputs():
    network = GFN()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    network.scale3.head.bias.data = torch.tensor([0.5, 0.25, 0.25])
    x = hazy(16, 16)
    expected = 0.5 * gfn.white_balance(x) + 0.25 * (gfn.enhance_contrast(x) + gfn.correct_gamma(x))
    torch.testing.assert_close(network(x), expected)


def test_more_stages_of_pdn_and_the_coarse_map_of_mscnn_change_the_result():
    torch.manual_seed(0)
    one, three = PDN(), PDN(PDNConfig(stages=3))
    three.stage1.load_state_dict(one.stage1.state_dict())
    assert not torch.allclose(one(hazy(32, 32)), three(hazy(32, 32)))
    plain, coarse = MSCNN(), MSCNN(MSCNNConfig(use_coarse=True))
    coarse.load_state_dict(plain.state_dict())
    assert not torch.allclose(plain(hazy(32, 32)), coarse(hazy(32, 32)))


def test_shapes_come_back_from_files(tmp_path):
    for network in (PDN(PDNConfig(stages=2)), MSCNN(MSCNNConfig(use_coarse=True))):
        save_network(network, tmp_path / "w.safetensors")
        assert load_network(tmp_path / "w.safetensors").config == network.config
    with pytest.raises(ValueError, match="PDN has 1 to 3 stages, not 4"):
        PDNConfig(stages=4)


def test_filters_are_scipys():
    x = hazy(20, 31)
    array = x.numpy()[0, 0]
    inner = (slice(4, -4), slice(4, -4))
    mean = ndimage.uniform_filter(array, 7)[inner]
    np.testing.assert_allclose(windows.box(x, 3)[0, 0].numpy()[inner], mean, atol=1e-5)
    corner = windows.box(x, 3)[0, 0, 0, -1]
    torch.testing.assert_close(corner, x[0, 0, :4, -4:].mean())  # of what there is
    torch.testing.assert_close(windows.box(x, 50)[0, 0], x[0, 0].mean().expand(20, 31))
    minimum = ndimage.minimum_filter(array, 7, mode="nearest")
    np.testing.assert_allclose(windows.local_minimum(x, 7)[0, 0], minimum)
    padded = windows.pad_symmetric(x, 40, 2, 3, 50)[0, 0]
    np.testing.assert_allclose(padded, np.pad(array, ((3, 50), (40, 2)), mode="symmetric"))


RELEASED = json.loads((Path(__file__).parent / "released.json").read_text())
"""Shapes of the tensors in files that others released, by their names."""


@pytest.mark.parametrize("name", RELEASED)
def test_released_weights_load(name, tmp_path):
    state = {tensor: torch.randn(shape) for tensor, shape in RELEASED[name].items()}
    save_file(state, tmp_path / "released.safetensors")
    network = load_network(tmp_path / "released.safetensors")
    assert type(network) is BASELINES[name.removesuffix("-caffe")]
    torch.testing.assert_close(dict(network.state_dict()), state)
