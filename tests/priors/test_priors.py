"""Priors against closed forms and other implementations."""

import sys

import numpy as np
import pytest
from skimage.color import rgb2hsv

from kddn import Dehazer, filters
from kddn.errors import ModelError
from kddn.priors import PRIORS, color_attenuation, dark_channel, non_local


def scene(t):
    """Stripes with black in every patch, under haze of transmission `t` and airlight 0.9."""
    clear = np.zeros((120, 160, 3), np.float32)
    clear[::4] = (0.8, 0.5, 0.3)
    clear[:, 1::3] = (0.0, 0.4, 0.6)
    return clear, (clear * t + 0.9 * (1 - t)).astype(np.float32)


def test_dark_channel_is_the_minimum_of_the_patch():
    image = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    dark = dark_channel.dark_channel(image)
    assert dark[12, 20] == image[5:20, 13:28].min()
    assert dark[0, 39] == image[:8, 32:].min()


def test_transmission_follows_from_the_dark_channel():
    _, hazy = scene(0.4)
    t = dark_channel.estimate_transmission(hazy, np.full(3, 0.9, np.float32))
    np.testing.assert_allclose(t, 1 - dark_channel.OMEGA * 0.6, atol=1e-3)


def test_airlight_is_the_haziest_colour():
    _, hazy = scene(0.5)
    hazy[:30, :] = (0.9, 0.92, 0.95)
    np.testing.assert_allclose(dark_channel.estimate_airlight(hazy), (0.9, 0.92, 0.95), atol=1e-3)


def test_haze_is_removed_but_for_what_omega_leaves():
    clear, hazy = scene(0.5)
    hazy[:40], clear[:40] = 0.9, 0.9  # a sky to know the airlight by
    result = dark_channel.remove_haze(hazy)
    assert np.abs(result - clear)[60:].mean() < 0.3 * np.abs(hazy - clear)[60:].mean()


@pytest.mark.parametrize("name", PRIORS)
def test_priors_are_models_like_any_other(name):
    clear, hazy = scene(0.5)
    hazy[:40], clear[:40] = 0.9, 0.9
    picture = (hazy * 255).astype(np.uint8)
    result = Dehazer(name)(picture)
    assert result.shape == picture.shape
    assert result[60:].std() > 1.2 * picture[60:].std()
    for narrow in (picture[:1, :1], picture[:, :1], picture[:1]):
        assert Dehazer(name)(narrow).shape == narrow.shape


def test_depth_of_the_color_attenuation_prior_is_linear_in_hsv():
    image = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    hsv = rgb2hsv(image)
    expected = 0.121779 + 0.959710 * hsv[..., 2] - 0.780245 * hsv[..., 1]
    np.testing.assert_allclose(color_attenuation.estimate_depth(image), expected, atol=1e-5)


def test_its_airlight_is_of_the_deepest_and_brightest():
    image = np.full((100, 100, 3), 0.3, np.float32)
    depth = np.zeros((100, 100), np.float32)
    depth[:2, :5] = 1  # ten pixels: a thousandth
    image[:2, :5] = (0.7, 0.8, 0.75)
    image[50, 50] = 1  # brighter, but near
    np.testing.assert_allclose(color_attenuation.estimate_airlight(image, depth), (0.7, 0.8, 0.75))


def test_pixels_of_one_haze_line_get_their_share_of_it():
    airlight = np.array([0.9, 0.9, 0.9], np.float32)
    colours = np.array([[0.1, 0.2, 0.6], [0.7, 0.1, 0.2]], np.float32)
    t = np.random.default_rng(0).uniform(0.2, 1, (40, 60, 1)).astype(np.float32)
    t[:2] = 1
    which = np.indices((40, 60)).sum(0) % 2
    hazy = colours[which] * t + airlight * (1 - t)
    found, trust = non_local.estimate_transmission(hazy, airlight)
    assert np.abs(found - t[..., 0])[1:].max() < 0.02
    assert 0 <= trust.min() <= trust.max() <= 1


def test_smoothing_solves_its_equations():
    rng = np.random.default_rng(0)
    t, trust, guide = (rng.random((5, 7)) for _ in range(3))
    laplacian = np.zeros((35, 35))
    for a in range(35):
        for b in range(35):
            distance = abs(a // 7 - b // 7) + abs(a % 7 - b % 7)
            if distance == 1:
                weight = 0.1 / ((guide.flat[a] - guide.flat[b]) ** 2 + 1e-5)
                laplacian[a, b] = -weight
                laplacian[a, a] += weight
    expected = np.linalg.solve(np.diag(trust.ravel()) + laplacian, (trust * t).ravel())
    np.testing.assert_allclose(non_local.smooth(t, trust, guide).ravel(), expected, rtol=1e-6)


def test_points_lie_evenly_on_the_sphere():
    points = non_local._sphere(1000)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    distances = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(1000)
    assert distances.min(1).min() > 0.08
    assert distances.min(1).max() < 0.13


def test_without_scipy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    with pytest.raises(ModelError, match=r"pip install 'kddn\[train\]'"):
        non_local.remove_haze(scene(0.5)[1])


def test_inversion_undoes_haze():
    clear, hazy = scene(0.3)
    t = np.full(clear.shape[:2], 0.3, np.float32)
    undone = filters.invert(hazy, t, np.full(3, 0.9, np.float32))
    np.testing.assert_allclose(undone, clear, atol=1e-6)
