"""Losses against closed forms (equations 1 to 6)."""

import math

import pytest
import torch

from helpers import vgg_files
from kddn.errors import ModelError
from kddn.research.data import Pair
from kddn.research.losses import functions as losses
from kddn.research.losses.objective import Losses, Objective
from kddn.research.nets.vgg import load_vgg


def features(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator) for shape in shapes]


SHAPES = (2, 4, 6, 8), (2, 5, 3, 4)


def test_reconstruction_is_the_mean_absolute_error():
    truth = torch.zeros(2, 3, 4, 4)
    prediction = torch.full_like(truth, 0.25)
    prediction[0] = -0.75
    assert losses.reconstruction(prediction, truth).item() == pytest.approx(0.5)


def test_fourier_is_that_of_a_transform_done_by_hand():
    prediction, target = features((2, 3, 4, 6), (2, 3, 4, 6))
    rows, columns = (
        torch.exp(-2j * torch.pi * torch.outer(torch.arange(n), torch.arange(n)) / n) / n**0.5
        for n in (4, 6)
    )
    transform = rows @ (prediction - target).to(columns.dtype) @ columns
    half = transform[..., : 6 // 2 + 1]  # the others are their conjugates
    expected = (half.real.abs().mean() + half.imag.abs().mean()) / 2
    torch.testing.assert_close(losses.fourier(prediction, target), expected)
    assert losses.fourier(target, target) == 0


def test_overshoot_is_what_lies_beyond_black_and_white():
    prediction = torch.tensor([-0.5, 0.0, 0.3, 1.0, 1.25, 0.9]).view(1, 3, 1, 2)
    assert losses.overshoot(prediction).item() == pytest.approx((0.5 + 0.25) / 6)


def test_log_squared_error_is_psnr_by_natural_logarithms_but_where_nothing_is_wrong():
    target = torch.rand(3, 3, 4, 6)
    prediction = target + torch.tensor([0.1, 0.03, 0.0]).view(3, 1, 1, 1)
    as_psnr = -10 / math.log(10) * losses.log_squared_error(prediction[:2], target[:2]).item()
    assert as_psnr == pytest.approx((20 + 20 * math.log10(1 / 0.03)) / 2, abs=0.05)
    assert losses.log_squared_error(prediction[2:], target[2:]).item() == pytest.approx(
        math.log(1e-5)
    )


def test_losses_that_are_not_the_papers_count_by_their_weights():
    batch = Pair(*features((2, 3, 8, 8), (2, 3, 8, 8)), None)
    student = torch.nn.Conv2d(3, 3, 1)
    terms = Objective(student, Losses(fourier=0.1, overshoot=0.5, log_squared_error=0.2))(
        student, batch
    )
    prediction = student(batch.hazy)
    expected = {
        "reconstruction": losses.reconstruction(prediction, batch.clean),
        "fourier": 0.1 * losses.fourier(prediction, batch.clean),
        "overshoot": 0.5 * losses.overshoot(prediction),
        "log_squared_error": 0.2 * losses.log_squared_error(prediction, batch.clean),
    }
    assert losses.overshoot(prediction) > 0
    torch.testing.assert_close(terms, expected)


def test_a_vgg19_that_ends_with_what_is_used_is_one(tmp_path):
    path, state = vgg_files(tmp_path, 19)
    torch.save({name: value for name, value in state.items() if "34" not in name}, path)
    assert (
        load_vgg(path).state_dict().keys()
        == load_vgg(vgg_files(tmp_path, 19)[0]).state_dict().keys()
    )


def test_perceptual_sums_the_layers_means():
    truth = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2, 2)]
    prediction = [torch.full((1, 2, 4, 4), 0.5), torch.full((1, 3, 2, 2), -2.0)]
    assert losses.perceptual(prediction, truth).item() == pytest.approx(2.5)
    assert losses.perceptual(prediction, truth, [1 / 4, 1]).item() == pytest.approx(2.125)
    with pytest.raises(ValueError, match="zip"):
        losses.perceptual(prediction, truth, [1.0])


@pytest.mark.parametrize("precision", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_features_are_compared_as_pytorch_does_in_any_precision(precision):
    # Large enough that the sum of all does not fit float16.
    theirs = 40 * torch.rand(2, 64, 30, 40).contiguous(memory_format=torch.channels_last)
    ours = (theirs + 20 * torch.randn_like(theirs)).to(precision).requires_grad_()
    theirs = theirs.to(precision)
    loss = losses.perceptual([ours], [theirs])
    (slope,) = torch.autograd.grad(loss, ours)
    exact = ours.detach().double().requires_grad_()
    expected = torch.nn.functional.l1_loss(exact, theirs.double())
    (expected_slope,) = torch.autograd.grad(expected, exact)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=0.02, atol=1e-7)


def test_imitation_of_identical_features_is_0():
    teacher = features(*SHAPES)
    assert losses.imitation(teacher, teacher).item() == 0
    density = torch.rand(2, 1, 24, 32)
    assert losses.imitation(teacher, teacher, density).item() == 0


def test_imitation_sums_over_pairs():
    teacher = [torch.zeros(shape) for shape in SHAPES]
    student = [torch.full(SHAPES[0], 0.25), torch.full(SHAPES[1], -1.0)]
    assert losses.imitation(student, teacher).item() == pytest.approx(1.25)


def test_uniform_density_of_1_makes_wfmil_equal_fmil():
    student, teacher = features(*SHAPES), features(*SHAPES, seed=1)
    density = torch.ones(2, 1, 24, 32)
    torch.testing.assert_close(
        losses.imitation(student, teacher, density), losses.imitation(student, teacher)
    )


def test_density_counts_where_haze_is():
    teacher = [torch.zeros(1, 2, 4, 4)]
    student = [torch.zeros(1, 2, 4, 4)]
    student[0][..., :2] = 1.0  # wrong on the left only
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1.0
    weighted = losses.imitation(student, teacher, left).item()
    # Antialiasing blurs the density's edge by a pixel of the feature map.
    assert weighted == pytest.approx(0.5, abs=0.05)
    assert losses.imitation(student, teacher, 1 - left).item() < 0.05


def test_deep_supervision_compares_with_the_truth_made_small():
    truth = torch.rand(1, 3, 16, 16).repeat_interleave(4, -1).repeat_interleave(4, -2)
    small = losses.resize(truth, (16, 16))
    assert losses.deep_supervision([small, small + 0.5], truth).item() == pytest.approx(0.5)


@pytest.mark.parametrize(("depth", "last"), [(16, 24), (19, 28)])
def test_vgg_reads_torchvision_files_and_taps_relu_of_each_stage(tmp_path, depth, last):
    path, state = vgg_files(tmp_path, depth)
    vgg = load_vgg(path)
    assert vgg.depth == depth
    torch.testing.assert_close(vgg.features[last].weight, state[f"features.{last}.weight"])
    found = vgg(torch.rand(1, 3, 32, 48))
    assert [tuple(f.shape[1:]) for f in found] == [
        (64, 32, 48),
        (128, 16, 24),
        (256, 8, 12),
        (512, 4, 6),
        (512, 2, 3),
    ]
    assert all((f >= 0).all() and (f > 0).any() for f in found)
    first = torch.conv2d(
        (torch.full((1, 3, 8, 8), 0.5) - vgg.mean) / vgg.deviation,
        state["features.0.weight"],
        state["features.0.bias"],
        padding=1,
    ).relu()
    torch.testing.assert_close(
        vgg(torch.full((1, 3, 16, 16), 0.5))[0][..., :4, :4], first[..., :4, :4]
    )
    assert not any(p.requires_grad for p in vgg.parameters())


def test_vgg_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"no.pth does not exist; the perceptual loss needs"):
        load_vgg(tmp_path / "no.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other.pth holds neither VGG16 nor VGG19"):
        load_vgg(tmp_path / "other.pth")


def test_vgg_stops_at_the_last_stage_that_is_asked_for(tmp_path):
    path, _ = vgg_files(tmp_path, 16)
    image = torch.rand(1, 3, 32, 48)
    shallow = load_vgg(path, stages=3)
    assert len(shallow.features) < len(load_vgg(path).features)
    for ours, all_of_it in zip(shallow(image), load_vgg(path)(image)[:3], strict=True):
        torch.testing.assert_close(ours, all_of_it)
