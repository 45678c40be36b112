"""The U, its blocks, and what it says of a picture."""

from dataclasses import replace

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kddn.affine import AffineMap as RuntimeMap
from kddn.errors import ModelError
from kddn.research.export import to_onnx
from kddn.research.losses.distillation import UNET_PAIRS, Imitation
from kddn.research.nets import UNET_PRESETS, Teacher, TeacherConfig, UNet, UNetConfig
from kddn.research.nets.affine import AffineMap
from kddn.research.nets.checkpoints import load_network, save_network
from kddn.research.nets.depthwise import DepthwiseConv, _Depthwise
from kddn.research.nets.widening import extend
from kddn.research.windows import local_minimum

NARROW = {"widths": (8, 12, 16), "blocks": (1, 1, 2, 1, 1)}
SHAPES = [
    UNetConfig(**NARROW),
    UNetConfig(**NARROW, lights="pixels", kernel=3),
    UNetConfig(**NARROW, lights="maps", priors=False, spatially_weighted=False, within=True),
]


@pytest.fixture(params=SHAPES, ids=["picture", "pixels", "maps"])
def network(request):
    torch.manual_seed(0)
    return UNet(request.param).eval()


@pytest.mark.parametrize(("preset", "parameters"), [("unet", 540_807), ("unet-wide", 1_535_335)])
def test_parameter_counts(preset, parameters):
    assert sum(p.numel() for p in UNet(UNET_PRESETS[preset]).parameters()) == parameters


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 40), (16, 16), (45, 33)])
def test_any_size_comes_back(network, height, width):
    image = torch.rand(2, 3, height, width)
    with torch.no_grad():
        clear = network(image)
    assert clear.shape == image.shape
    assert clear.isfinite().all()


def test_contrast_is_never_lost(network):
    with torch.no_grad():
        scale, offset = network.estimate(torch.rand(2, 3, 48, 64))
    assert scale.shape == (2, 1, 12, 16)
    assert offset.shape == (2, 3, 12, 16)
    assert scale.min() >= 1


@pytest.mark.parametrize("finer", [False, True])
def test_places_are_kept_within_black_and_white(finer):
    torch.manual_seed(3)
    free = UNet(UNetConfig(**NARROW, lights="maps", finer=finer)).eval()
    nn.init.constant_(free.scale.bias, 1.5)  # of more contrast than the picture can bear
    kept = extend(free, replace(free.config, within=True)).eval()
    rows = torch.linspace(0.1, 0.9, 64).view(1, 1, 64, 1)
    hazy = (rows * torch.ones(1, 3, 64, 96)).contiguous()
    hazy[..., 40:, 30:60] = 0.05
    with torch.inference_mode():
        before, after = free.estimate(hazy), kept.estimate(hazy)
        beyond = [(x - x.clamp(0, 1)).abs().mean().item() for x in (before(hazy), after(hazy))]
    assert beyond[0] > 0.05
    assert beyond[1] < 0.3 * beyond[0]
    torch.testing.assert_close(after.scale, before.scale)  # no contrast is lost
    mild = 0.5 + 0.01 * hazy  # where nothing goes beyond, nothing changes
    with torch.inference_mode():
        nn.init.constant_(free.scale.bias, -8.0)
        nn.init.constant_(kept.scale.bias, -8.0)
        one, other = free.estimate(mild), kept.estimate(mild)
    assert 0 <= one(mild).min() <= one(mild).max() <= 1
    torch.testing.assert_close(one.offset, other.offset)


@pytest.mark.parametrize("lights", ["picture", "pixels", "maps"])
def test_a_finer_map_of_each_colour(lights):
    network = UNet(UNetConfig(**NARROW, lights=lights, finer=True, scales=3))
    scale, offset = network.estimate(torch.rand(2, 3, 48, 64))
    assert scale.shape == offset.shape == (2, 3, 24, 32)
    assert scale.min() >= 1


def test_lights_of_the_picture_become_maps_that_say_the_same():
    torch.manual_seed(0)
    network = UNet(UNetConfig(**NARROW)).eval()
    wide = extend(network, replace(network.config, lights="maps")).eval()
    assert wide.config == UNetConfig(**NARROW, lights="maps")
    features = torch.randn(2, 16, 1, 1).expand(2, 16, 5, 6)
    hazy = torch.rand(2, 3, 80, 96)
    for one, other in zip(network.lights(features, hazy), wide.lights(features, hazy), strict=True):
        torch.testing.assert_close(other[..., 1:-1, 1:-1], one.expand(2, 3, 3, 4))
    names = {"encoder1", "bottom.block2", "scale"}
    inside, outside = {}, {}
    for kept, of in ((inside, network), (outside, wide)):
        for name in names:
            module = of.get_submodule(name)
            module.register_forward_hook(
                lambda m, i, o, kept=kept, name=name: kept.update({name: o})
            )
        of.estimate(hazy)
    for name in names:
        torch.testing.assert_close(inside[name], outside[name])


def test_one_scale_becomes_three_that_say_the_same():
    torch.manual_seed(0)
    network = UNet(UNetConfig(**NARROW)).eval()
    config = UNetConfig(**NARROW, lights="maps", scales=3)
    hazy = torch.rand(2, 3, 80, 96)
    with torch.no_grad():
        one, three = network.estimate(hazy), extend(network, config).eval().estimate(hazy)
    torch.testing.assert_close(three.scale, one.scale.expand(-1, 3, -1, -1))


def test_what_differs_in_more_is_not_extended():
    network = UNet(UNetConfig(**NARROW, scales=3))
    for config in (network.config, UNetConfig(**NARROW), UNetConfig(**NARROW, kernel=3)):
        assert extend(network, config) is network
    network = UNet(UNetConfig(**NARROW))
    assert extend(network, UNetConfig(**NARROW, lights="maps", kernel=3)) is network


@pytest.mark.parametrize("lights", ["picture", "pixels"])
def test_white_is_what_becomes_of_the_airlight(lights):
    torch.manual_seed(0)
    network = UNet(UNetConfig(**NARROW, lights=lights)).eval()
    with torch.no_grad():
        scale, offset = network.estimate(torch.rand(1, 3, 64, 64))
    # offset = white - scale * airlight: over the places of a picture, a line.
    scale, offset = scale.flatten(), offset[0].flatten(1)
    centred = scale - scale.mean()
    slope = (offset * centred).sum(1) / centred.square().sum()
    white = offset.mean(1) - slope * scale.mean()
    line = white[:, None] + slope[:, None] * scale
    torch.testing.assert_close(line, offset, atol=1e-4, rtol=0)
    assert ((slope < 0) & (slope > -1.1)).all()


def test_torch_and_runtime_apply_a_map_alike():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 96)
    affine = AffineMap(1 + torch.rand(1, 1, 16, 24), torch.rand(1, 3, 16, 24) - 0.8)
    scale, offset = (x[0].permute(1, 2, 0).numpy() for x in affine)
    ours = RuntimeMap(scale, offset)(image[0].permute(1, 2, 0).numpy(), 1.0)
    theirs = affine(image).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@given(height=st.integers(1, 30), width=st.integers(1, 30), side=st.sampled_from([1, 3, 5, 15]))
def test_local_minimum_is_the_minimum_pool(height, width, side):
    x = torch.rand(2, 1, height, width)
    torch.testing.assert_close(local_minimum(x, side), -F.max_pool2d(-x, side, 1, side // 2))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_depthwise_convolution_learns_as_torchs(kernel):
    torch.manual_seed(0)
    conv = DepthwiseConv(3, kernel).double()
    x = torch.rand(2, 3, 6, 9, dtype=torch.double, requires_grad=True)
    tensors = (x, conv.weight, conv.bias)
    assert torch.autograd.gradcheck(_Depthwise.apply, tensors)
    torch.testing.assert_close(conv(x), nn.Conv2d.forward(conv, x))


def test_a_depthwise_convolution_is_in_bfloat16_where_all_is():
    conv, x = DepthwiseConv(3, 5), torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == torch.bfloat16
        conv(x).float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32


@pytest.mark.slow
def test_onnx_equals_torch_at_five_sizes(network):
    jaxtyping.config.update("jaxtyping_disable", True)
    session = onnxruntime.InferenceSession(to_onnx(network))
    jaxtyping.config.update("jaxtyping_disable", False)
    for height, width in [(16, 16), (32, 80), (96, 128), (224, 320), (464, 624)]:
        hazy = torch.rand(1, 3, height, width)
        found = session.run(["scale", "offset"], {"hazy": hazy.numpy()})
        with torch.no_grad():
            expected = network.estimate(hazy)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=1e-4)


def test_it_comes_back_from_its_file(network, tmp_path):
    save_network(network, tmp_path / "weights.safetensors")
    again = load_network(tmp_path / "weights.safetensors")
    assert again.config == network.config
    image = torch.rand(1, 3, 20, 30)
    with torch.no_grad():
        assert torch.equal(again(image), network(image))


def test_it_imitates_the_teacher():
    torch.manual_seed(0)
    student, teacher = UNet(UNetConfig(**NARROW)), Teacher(TeacherConfig(width=6))
    imitate = Imitation(student, teacher, UNET_PAIRS)
    hazy, clean = torch.rand(2, 1, 3, 32, 48)
    _, features = imitate.tap(student, hazy)
    imitate(features, clean).backward()
    assert student.encoder1.block1.filter.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"blocks": (1, 1, 0, 1, 1)}, "must be 1 or more"),
        ({"kernel": 4}, "kernel must be odd"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        UNetConfig(**wrong)


def test_an_unknown_preset_is_named():
    from kddn.research.nets.registry import build

    with pytest.raises(ModelError, match=r"no student 'vnet'; use .*paper, authors, small, unet"):
        build("student", "vnet")
