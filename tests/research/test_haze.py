"""Haze and its density against closed forms, on arrays and on tensors."""

import math

import numpy as np
import pytest
import torch

from kddn.research import haze

KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


def picture(kind, *shape):
    return kind(np.random.default_rng(0).random(shape))


@KINDS
def test_transmission_halves_at_the_half_depth(kind):
    t = haze.transmission(kind(np.array([0.0, math.log(2) / 1.5, 1.0])), 1.5)
    np.testing.assert_allclose(np.asarray(t), [1, 0.5, math.exp(-1.5)])


@KINDS
def test_no_transmission_is_airlight_and_full_transmission_is_clean(kind):
    clean = picture(kind, 2, 3, 4, 5)
    nothing, everything = kind(np.zeros((2, 1, 4, 5))), kind(np.ones((2, 1, 4, 5)))
    np.testing.assert_allclose(np.asarray(haze.scatter(clean, nothing, 0.8)), 0.8)
    np.testing.assert_allclose(np.asarray(haze.scatter(clean, everything, 0.8)), np.asarray(clean))


@KINDS
def test_airlight_may_have_a_colour(kind):
    clean, t = picture(kind, 3, 2, 2), kind(np.full((1, 2, 2), 0.25))
    airlight = kind(np.array([0.9, 0.8, 0.7]).reshape(3, 1, 1))
    hazy = haze.scatter(clean, t, airlight)
    np.testing.assert_allclose(
        np.asarray(hazy), 0.25 * np.asarray(clean) + 0.75 * np.asarray(airlight)
    )


def test_arrays_and_tensors_agree():
    hazy, clean = picture(np.asarray, 2, 3, 6, 7), picture(np.asarray, 2, 3, 6, 7)[:, ::-1].copy()
    ours = haze.density_from_residual(hazy, clean)
    theirs = haze.density_from_residual(torch.from_numpy(hazy), torch.from_numpy(clean))
    np.testing.assert_allclose(ours, theirs.numpy())


def test_sots_rule():
    assert haze.sots_haze(1) == haze.Haze(airlight=1.0, beta=0.6)
    assert haze.sots_haze(10) == haze.Haze(airlight=1.0, beta=1.5)


@pytest.mark.parametrize("index", [0, 11])
def test_sots_has_ten_hazes(index):
    with pytest.raises(ValueError, match="1 to 10"):
        haze.sots_haze(index)


def test_its_rule_fills_its_ranges():
    assert haze.its_haze(0.0, 0.0) == pytest.approx((0.7, 0.6))
    assert haze.its_haze(1.0, 1.0) == pytest.approx((1.0, 1.8))
    airlight, beta = haze.its_haze(torch.tensor([0.5, 0.0]), torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(airlight, torch.tensor([0.85, 0.7]))
    torch.testing.assert_close(beta, torch.tensor([0.6, 1.2]))


@KINDS
def test_norm_stretches_each_map_by_itself(kind):
    maps = kind(np.stack([np.array([[[2.0, 4.0], [3.0, 6.0]]]), np.array([[[0.0, 1], [0, 1]]])]))
    expected = [[[[0, 0.5], [0.25, 1]]], [[[0, 1], [0, 1]]]]
    np.testing.assert_allclose(np.asarray(haze.normalize(maps)), expected)


@KINDS
def test_constant_density_is_zero_not_nan(kind):
    flat = kind(np.full((2, 1, 3, 3), 0.7))
    assert np.all(np.asarray(haze.density_from_transmission(flat)) == 0)
    image = kind(np.full((2, 3, 3, 3), 0.7))
    assert np.all(np.asarray(haze.density_from_residual(image, image)) == 0)


@KINDS
def test_density_is_1_where_haze_is_densest(kind):
    t = kind(np.linspace(0.2, 0.9, 12).reshape(1, 1, 3, 4))
    density = np.asarray(haze.density_from_transmission(t))
    assert density[0, 0, 0, 0] == 1
    assert density[0, 0, -1, -1] == 0


@KINDS
def test_both_densities_agree_on_a_black_scene(kind):
    # There I = A (1 - t), so that the residual is proportional to 1 - t.
    t = kind(np.random.default_rng(1).uniform(0.1, 1, (1, 1, 5, 6)))
    clean = kind(np.zeros((1, 3, 5, 6)))
    residual = haze.density_from_residual(haze.scatter(clean, t, 0.9), clean)
    np.testing.assert_allclose(
        np.asarray(residual), np.asarray(haze.density_from_transmission(t)), atol=1e-12
    )
