"""Imitation: of our teacher by our student, and of any network by any other."""

import pytest
import torch
from torch import nn

from helpers import vgg_files
from kddn.errors import ModelError
from kddn.research.data import Pair
from kddn.research.losses.distillation import (
    ALL_PAIRS,
    TEXT_PAIRS,
    TSNE_PAIRS,
    Imitation,
    MimicPair,
)
from kddn.research.losses.functions import imitation
from kddn.research.losses.objective import Losses, Objective
from kddn.research.nets import Student, StudentConfig, Teacher, TeacherConfig
from kddn.research.nets.checkpoints import save_network
from kddn.research.nets.features import run_tapped, tapped_features


def networks():
    torch.manual_seed(0)
    return Student(StudentConfig(width=4, blocks=1)), Teacher(TeacherConfig(width=6))


def batch():
    torch.manual_seed(1)
    return Pair(torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48), torch.rand(2, 1, 32, 48))


def test_named_pairs_are_the_papers_two_readings_and_the_codes():
    assert TEXT_PAIRS[0] == MimicPair("backbone.block2", "backbone.group1")
    assert TEXT_PAIRS[2] == MimicPair("backbone.block6", "backbone.group3")
    assert TSNE_PAIRS[1] == MimicPair("backbone.block2", "backbone.group4")
    assert len(ALL_PAIRS) == 6
    assert ALL_PAIRS[5] == MimicPair("backbone.block6", "backbone.group6")


def test_tapping_changes_nothing():
    student, _ = networks()
    x = torch.rand(1, 3, 20, 20)
    output, features = run_tapped(student, x, ["backbone.group2", "backbone.group6"])
    torch.testing.assert_close(output, student(x))
    assert list(features) == ["backbone.group2", "backbone.group6"]
    assert all(not module._forward_hooks for module in student.modules())


def test_gradients_reach_student_and_projections_never_the_teacher():
    student, teacher = networks()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    imitate = Imitation(student, teacher)
    optimizer = torch.optim.SGD([*student.parameters(), *imitate.parameters()], lr=1.0)
    _, features = imitate.tap(student, batch().hazy)
    imitate(features, batch().clean).backward()
    optimizer.step()
    assert student.backbone.group1.tail.conv.weight.grad.abs().sum() > 0
    assert student.backbone.group4.tail.conv.weight.grad is None  # beyond the pairs
    assert all(p.weight.grad.abs().sum() > 0 for p in imitate.projections)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    torch.testing.assert_close(teacher.state_dict(), before, rtol=0, atol=0)


def test_it_is_equation_5_with_a_pointwise_projection():
    student, teacher = networks()
    imitate = Imitation(student, teacher, TSNE_PAIRS)
    assert [p.kernel_size for p in imitate.projections] == [(1, 1)] * 3
    pair = batch()
    _, features = imitate.tap(student, pair.hazy)
    _, theirs = run_tapped(teacher, pair.clean, [p.teacher for p in TSNE_PAIRS])
    expected = imitation(
        [g(features[p.student]) for g, p in zip(imitate.projections, TSNE_PAIRS, strict=True)],
        [theirs[p.teacher] for p in TSNE_PAIRS],
    )
    torch.testing.assert_close(imitate(features, pair.clean), expected)


def test_a_checkpoint_holds_projections_but_no_teacher():
    imitate = Imitation(*networks())
    assert all(name.startswith("projections.") for name in imitate.state_dict())


def test_any_networks_at_any_sizes_can_be_paired():
    student = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 3, 3))
    teacher = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 3))
    imitate = Imitation(student, teacher, [MimicPair(teacher="1", student="1")])
    _, features = imitate.tap(student, batch().hazy)
    loss = imitate(features, batch().clean)
    loss.backward()
    assert student[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("pairs", "options", "cause"),
    [
        ([MimicPair("backbone.block9", "backbone.group1")], {}, "Teacher has no .*block9'; it has"),
        ([MimicPair("backbone.block1", "backbone.grop1")], {}, "Student has no .*grop1'; .*group1"),
        ([], {}, "at least one pair"),
        (TEXT_PAIRS, {"project": False}, "group1' has 4 channels and .*block2' has 6"),
        (
            [MimicPair("backbone.block1", "backbone.group1.blocks.0.attention.linears")],
            {},
            "no feat",
        ),
    ],
)
def test_pairs_that_cannot_be_are_refused(pairs, options, cause):
    with pytest.raises(ModelError, match=cause):
        Imitation(*networks(), pairs, **options)


def test_features_alone_cost_no_more_than_they_need():
    _, teacher = networks()
    names = ["backbone.block2", "encoder"]
    x, ran = torch.rand(1, 3, 16, 16), []
    teacher.decoder.register_forward_hook(lambda *_: ran.append(1))
    features = tapped_features(teacher, x, names)
    assert not ran
    for name, feature in run_tapped(teacher, x, names)[1].items():
        assert torch.equal(features[name], feature)
    assert not teacher.encoder._forward_hooks


def test_features_that_are_changed_in_place_are_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1))
    x = torch.rand(1, 3, 4, 4)
    for look in (run_tapped, tapped_features):
        with pytest.raises(ModelError, match="changes what its module '0' puts out in place"):
            look(network, x, ["0", "2"])
    with torch.inference_mode():  # where PyTorch does not count
        run_tapped(network, x, ["0"])
    network[1] = nn.ReLU()
    assert run_tapped(network, x, ["0"])[1]["0"].min() < 0


def test_a_module_that_never_runs_is_named():
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    network.forward = lambda x: x
    with pytest.raises(ModelError, match="never runs its module '0'"):
        run_tapped(network, torch.rand(1, 3, 4, 4), ["0"])
    with pytest.raises(ModelError, match="never runs its module '0'"):
        tapped_features(network, torch.rand(1, 3, 4, 4), ["0"])


@pytest.fixture
def files(tmp_path):
    save_network(networks()[1], tmp_path / "teacher.safetensors")
    return {"teacher": tmp_path / "teacher.safetensors", "vgg": vgg_files(tmp_path, 16)[0]}


def test_the_objective_is_equation_2(files):
    student, _ = networks()
    config = Losses(perceptual=0.5, imitation=2.0, density="transmission", **files)
    objective, pair = Objective(student, config), batch()
    terms = objective(student, pair)
    assert list(terms) == ["reconstruction", "perceptual", "imitation"]
    torch.testing.assert_close(
        terms["reconstruction"], (student(pair.hazy) - pair.clean).abs().mean()
    )
    _, features = objective.imitation.tap(student, pair.hazy)
    t = pair.transmission
    low, high = t.amin((-2, -1), keepdim=True), t.amax((-2, -1), keepdim=True)
    psi = (high - t) / (high - low)
    torch.testing.assert_close(
        terms["imitation"], 2 * objective.imitation(features, pair.clean, psi)
    )
    assert terms["perceptual"] > 0


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ["reconstruction"]),
        ({"deep_supervision": 1.0}, ["reconstruction", "deep_supervision"]),
        ({"imitation": 1.0}, ["reconstruction", "imitation"]),
        (
            {"imitation": 1.0, "density": "residual", "pairs": "all"},
            ["reconstruction", "imitation"],
        ),
        ({"reconstruction": 0.0, "perceptual": 1.0}, ["perceptual"]),
    ],
)
def test_only_losses_with_weight_count(files, config, names):
    student, _ = networks()
    objective = Objective(student, Losses(**config, **files))
    terms = objective(student, batch())
    assert list(terms) == names
    assert all(term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    assert student.backbone.group1.tail.conv.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in objective.parameters())


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"imitation": 1.0}, "imitation needs a teacher"),
        ({"perceptual": 1.0}, "perceptual loss needs a VGG"),
    ],
)
def test_what_a_loss_needs_must_be_given(config, cause):
    with pytest.raises(ModelError, match=cause):
        Objective(networks()[0], Losses(**config))


@pytest.mark.parametrize(
    "bad", [{"reconstruction": 0.0}, {"imitation": -1.0}, {"vgg_weights": (1.0,)}]
)
def test_impossible_weights_are_refused(bad):
    with pytest.raises(ValueError, match=r"must|need"):
        Losses(**bad)


def test_a_larger_student_is_followed_on_the_same_hazy_image(tmp_path):
    student, _ = networks()
    torch.manual_seed(3)
    larger = Student(StudentConfig(width=8, blocks=1))
    save_network(larger, tmp_path / "larger.safetensors")
    weights = Losses(
        reconstruction=0.0, output_distillation=2.0, distilled_from=tmp_path / "larger.safetensors"
    )
    objective = Objective(student, weights)
    terms = objective(student, batch())
    assert list(terms) == ["output_distillation"]
    expected = 2 * (student(batch().hazy) - larger.eval()(batch().hazy)).abs().mean()
    torch.testing.assert_close(terms["output_distillation"], expected)
    terms["output_distillation"].backward()
    assert student.backbone.group6.tail.conv.weight.grad.abs().sum() > 0
    assert not list(objective.parameters())  # the larger one is not trained along
    with pytest.raises(ModelError, match=r"give losses\.distilled_from"):
        Objective(student, Losses(output_distillation=1.0))
