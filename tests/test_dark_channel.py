"""Dark channel prior against closed forms."""

import numpy as np

from kddn import Dehazer, dark_channel


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


def test_it_is_a_model_like_any_other():
    _, hazy = scene(0.5)
    picture = (hazy * 255).astype(np.uint8)
    assert Dehazer("dcp")(picture).std() > picture.std()
