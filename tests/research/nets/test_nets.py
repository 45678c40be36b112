"""Networks: sizes, shapes, parameter counts, and the layout of the authors' own teacher."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kddn.research.nets import (
    STUDENT_PRESETS,
    TEACHER_PRESETS,
    Student,
    StudentConfig,
    Teacher,
    TeacherConfig,
)
from kddn.research.nets.blocks import SWRCAB, ChannelAttention
from kddn.research.nets.widening import widen

NETWORKS = [
    *((Teacher, config) for config in TEACHER_PRESETS.values()),
    *((Student, config) for config in STUDENT_PRESETS.values()),
]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "config", "parameters"),
    [
        (Teacher, TEACHER_PRESETS["authors"], 798_147),  # as the authors' code
        (Student, STUDENT_PRESETS["authors"], 6_116_419),  # as the authors' code
        (Teacher, TEACHER_PRESETS["paper"], 557_443),
        (Student, STUDENT_PRESETS["paper"], 3_104_195),
        (Student, STUDENT_PRESETS["small"], 777_955),
    ],
)
def test_parameter_counts(network, config, parameters):
    assert count(network(config)) == parameters


@pytest.fixture(scope="module")
def narrow():
    """Each preset's layout, narrow enough to run at many sizes."""
    torch.manual_seed(0)
    return [
        Teacher(TeacherConfig(layout="paper", width=4, blocks=1)),
        Teacher(TeacherConfig(layout="authors", width=4, blocks=1)),
        Student(StudentConfig(layout="paper", width=4, groups=1, blocks=1)),
        Student(StudentConfig(layout="authors", width=4, groups=1, blocks=1)),
        Student(StudentConfig(width=4, groups=1, blocks=1, global_residual=True)),
    ]


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size_comes_back(narrow, height, width):
    image = torch.rand(1, 3, height, width)
    for network in narrow:
        result = network(image)
        assert result.shape == image.shape
        assert result.isfinite().all()


def test_padding_repeats_the_border_and_changes_nothing_else(narrow):
    image = torch.rand(1, 3, 13, 18)
    padded = torch.nn.functional.pad(image, (0, 2, 0, 3), mode="replicate")
    for network in narrow:
        torch.testing.assert_close(network(image), network(padded)[..., :13, :18])


@pytest.mark.parametrize(("network", "config"), NETWORKS)
def test_features_to_imitate_are_modules_with_names(network, config):
    built = network(config)
    name = "block" if network is Teacher else "group"
    for number in range(1, 7):
        features = []
        module = built.get_submodule(f"backbone.{name}{number}")
        handle = module.register_forward_hook(lambda *call, seen=features: seen.append(call[2]))
        built(torch.rand(1, 3, 32, 48))
        handle.remove()
        assert features[0].shape == (1, config.width, 8, 12)


def test_block_is_the_equations_of_figure_3():
    torch.manual_seed(0)
    block, x = SWRCAB(4, attention_layers=2), torch.rand(2, 4, 9, 9)
    y = block.body(x)
    z = block.spatial_weight(y) * y
    first, _, second = block.attention.linears
    pooled = z.flatten(2).mean(-1)
    weight = torch.sigmoid(second(torch.relu(first(pooled))))
    torch.testing.assert_close(block(x), x + weight[..., None, None] * z)


def test_spatial_weighting_moves_the_channel_attention():
    torch.manual_seed(0)
    weighted, plain = SWRCAB(4), SWRCAB(4, spatially_weighted=False)
    plain.load_state_dict(
        {k: v for k, v in weighted.state_dict().items() if not k.startswith("spatial_weight")}
    )
    x = torch.rand(1, 4, 8, 8)
    assert not torch.allclose(weighted(x), plain(x))


def test_channel_attention_lies_between_0_and_1():
    weights = ChannelAttention(8, layers=1)(torch.randn(3, 8, 5, 5) * 10)
    assert weights.shape == (3, 8, 1, 1)
    assert 0 < weights.min() < weights.max() < 1


def test_global_residual_adds_the_input():
    torch.manual_seed(0)
    config = {"width": 4, "groups": 1, "blocks": 1}
    without = Student(StudentConfig(**config))
    added = Student(StudentConfig(**config, global_residual=True))
    added.load_state_dict(without.state_dict())
    image = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(added(image), without(image) + image)


def test_output_is_tanh():
    assert Student()(torch.rand(1, 3, 16, 16) * 100).abs().max() <= 1


@pytest.mark.parametrize("config", [{"width": 0}, {"blocks": 0}])
def test_impossible_shapes_are_refused(config):
    with pytest.raises(ValueError, match="1 or more"):
        StudentConfig(**config)
    with pytest.raises(ValueError, match="1 or more"):
        TeacherConfig(**config)


@pytest.mark.parametrize("layout", ["paper", "authors"])
def test_a_widened_student_does_the_same(layout):
    torch.manual_seed(0)
    config = StudentConfig(layout=layout, width=4, groups=2, blocks=2, global_residual=True)
    narrow = Student(config).eval()
    wide = widen(narrow, 12).eval()
    assert wide.config.width == 12
    image = torch.rand(2, 3, 20, 28)
    torch.testing.assert_close(wide(image), narrow(image), atol=1e-5, rtol=0)


def test_the_copies_of_a_channel_learn_different_things():
    torch.manual_seed(0)
    wide = widen(Student(StudentConfig(width=4, groups=1, blocks=1)), 8)
    wide(torch.rand(1, 3, 16, 16)).square().mean().backward()
    gradient = wide.ends.encoder[0].conv.weight.grad
    assert not torch.allclose(gradient[0::2], gradient[1::2], rtol=1e-3)


def test_a_student_widens_to_multiples_only():
    with pytest.raises(ValueError, match="multiples, not 10"):
        widen(Student(StudentConfig(width=4, groups=1, blocks=1)), 10)
