"""Muon against torch's own, and against what it promises."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kddn.research.nets.depthwise import DepthwiseConv
from kddn.research.training.optimizers import Muon, orthogonalize
from kddn.research.training.schedule import Optimization


@given(rows=st.integers(1, 20), columns=st.integers(1, 20), seed=st.integers(0, 99))
def test_singular_values_come_to_about_one(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(3, rows, columns, generator=generator)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    even = left @ torch.diag_embed(1 + values / values.amax()) @ right  # none near 0
    found = torch.linalg.svdvals(orthogonalize(even))
    assert ((found > 0.6) & (found < 1.3)).all()


def test_zeros_stay_zeros():
    assert not orthogonalize(torch.zeros(2, 3, 5)).any()


def gradients(network, seed):
    generator = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_matrices_move_as_by_torchs_muon_and_the_rest_as_by_its_adamw():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(6, 12), nn.LayerNorm(12), nn.Linear(12, 9))
    theirs = copy.deepcopy(ours)
    optimizer = Muon(ours, lr=1e-3, matrix_lr=0.02, weight_decay=0.1)
    matrices = [weight for weight in theirs.parameters() if weight.ndim == 2]
    rest = [weight for weight in theirs.parameters() if weight.ndim < 2]
    muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, momentum=0.95)
    adamw = torch.optim.AdamW(rest, lr=1e-3, weight_decay=0.1)
    for step in range(5):
        gradients(ours, step)
        gradients(theirs, step)
        for each in (optimizer, muon, adamw):
            each.step()
    for weight, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight, other, atol=2e-3 if weight.ndim == 2 else 1e-7, rtol=0)


def test_a_filter_is_a_matrix_of_outputs_by_inputs():
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 8, 2), nn.Linear(12, 8)
    conv = conv.to(memory_format=torch.channels_last)
    with torch.no_grad():
        linear.weight.copy_(conv.weight.flatten(1))
    optimizers = [Muon(conv), Muon(linear)]
    gradient = torch.randn(8, 3, 2, 2)
    conv.weight.grad, linear.weight.grad = gradient, gradient.flatten(1)
    for each in optimizers:
        each.step()
    torch.testing.assert_close(conv.weight.flatten(1), linear.weight)


@pytest.mark.parametrize("conv", [DepthwiseConv(9, 3), nn.Conv2d(9, 3, 3)])
def test_depthwise_filters_and_last_layers_are_no_matrices(conv):
    (group,) = Muon(conv).param_groups
    assert not group["matrices"]
    assert len(group["params"]) == 2


def test_weights_that_are_made_of_others_are_no_matrices():
    network = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3))
    optimizer = Muon(network, lr=0.1)
    before = network.weight.detach().clone()
    network(torch.rand(1, 8, 4, 4)).square().mean().backward()
    optimizer.step()
    assert (network.weight - before).abs().max() > 0.01


def test_it_goes_on_from_its_state():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(1, 8), nn.Conv2d(8, 3, 3))
    optimizer = Muon(network)
    gradients(network, 0)
    optimizer.step()
    resumed = copy.deepcopy(network)
    other = Muon(resumed)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, on in ((network, optimizer), (resumed, other)):
        gradients(each, 1)
        on.step()
    for one, two in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_learns_what_it_is_given():
    torch.manual_seed(0)
    target, network = nn.Linear(8, 8), nn.Linear(8, 8)
    optimizer = Muon(network, lr=0.05, matrix_lr=0.05)
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 300)
        x = torch.randn(32, 8)
        loss = (network(x) - target(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-4


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="matrix_rate must be above 0"):
        Optimization(optimizer="muon", matrix_rate=0.0)
    for optimizer, decay in (("muon", -0.1), ("adam", 0.1)):
        with pytest.raises(ValueError, match="weight_decay must be 0 or more, and needs"):
            Optimization(optimizer=optimizer, weight_decay=decay)


def test_weights_decay_by_as_much_as_is_asked():
    network = nn.Conv2d(8, 8, 3)
    optimizer = Optimization(optimizer="muon", weight_decay=0.1).optimize(network)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1]
