"""Haze and its density against closed forms."""

import math

import numpy as np
import pytest
import torch

from kddn.research import haze


def picture(*shape):
    return torch.from_numpy(np.random.default_rng(0).random(shape))


def test_transmission_halves_at_the_half_depth():
    t = haze.transmission(torch.as_tensor(np.array([0.0, math.log(2) / 1.5, 1.0])), 1.5)
    np.testing.assert_allclose(np.asarray(t), [1, 0.5, math.exp(-1.5)])


def test_no_transmission_is_airlight_and_full_transmission_is_clean():
    clean = picture(2, 3, 4, 5)
    nothing, everything = (
        torch.as_tensor(np.zeros((2, 1, 4, 5))),
        torch.as_tensor(np.ones((2, 1, 4, 5))),
    )
    np.testing.assert_allclose(np.asarray(haze.scatter(clean, nothing, 0.8)), 0.8)
    np.testing.assert_allclose(np.asarray(haze.scatter(clean, everything, 0.8)), np.asarray(clean))


def test_airlight_may_have_a_colour():
    clean, t = picture(3, 2, 2), torch.as_tensor(np.full((1, 2, 2), 0.25))
    airlight = torch.as_tensor(np.array([0.9, 0.8, 0.7]).reshape(3, 1, 1))
    hazy = haze.scatter(clean, t, airlight)
    np.testing.assert_allclose(
        np.asarray(hazy), 0.25 * np.asarray(clean) + 0.75 * np.asarray(airlight)
    )


def test_sots_rule():
    assert haze.sots_haze(1) == haze.Haze(airlight=1.0, beta=0.6)
    assert haze.sots_haze(10) == haze.Haze(airlight=1.0, beta=1.5)


@pytest.mark.parametrize("index", [0, 11])
def test_sots_has_ten_hazes(index):
    with pytest.raises(ValueError, match="1 to 10"):
        haze.sots_haze(index)


def test_norm_stretches_each_map_by_itself():
    maps = torch.as_tensor(
        np.stack([np.array([[[2.0, 4.0], [3.0, 6.0]]]), np.array([[[0.0, 1], [0, 1]]])])
    )
    expected = [[[[0, 0.5], [0.25, 1]]], [[[0, 1], [0, 1]]]]
    np.testing.assert_allclose(np.asarray(haze.normalize(maps)), expected)


def test_constant_density_is_zero_not_nan():
    flat = torch.as_tensor(np.full((2, 1, 3, 3), 0.7))
    assert np.all(np.asarray(haze.density_from_transmission(flat)) == 0)
    image = torch.as_tensor(np.full((2, 3, 3, 3), 0.7))
    assert np.all(np.asarray(haze.density_from_residual(image, image)) == 0)


def test_density_is_1_where_haze_is_densest():
    t = torch.as_tensor(np.linspace(0.2, 0.9, 12).reshape(1, 1, 3, 4))
    density = np.asarray(haze.density_from_transmission(t))
    assert density[0, 0, 0, 0] == 1
    assert density[0, 0, -1, -1] == 0


def test_both_densities_agree_on_a_black_scene():
    # There I = A (1 - t), so that the residual is proportional to 1 - t.
    t = torch.as_tensor(np.random.default_rng(1).uniform(0.1, 1, (1, 1, 5, 6)))
    clean = torch.as_tensor(np.zeros((1, 3, 5, 6)))
    residual = haze.density_from_residual(haze.scatter(clean, t, 0.9), clean)
    np.testing.assert_allclose(
        np.asarray(residual), np.asarray(haze.density_from_transmission(t)), atol=1e-12
    )
