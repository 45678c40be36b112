"""The local affine map against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kddn import affine
from kddn.filters import box_mean
from kddn.io import image as images


def reference_mean(x, radius):
    result = np.empty_like(x)
    for i, j in np.ndindex(x.shape[:2]):
        window = x[max(i - radius, 0) : i + radius + 1, max(j - radius, 0) : j + radius + 1]
        result[i, j] = window.mean(axis=(0, 1))
    return result


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 5))
def test_box_mean_is_the_mean_of_the_window(height, width, radius):
    x = np.random.default_rng(0).random((height, width, 2))
    np.testing.assert_allclose(box_mean(x, radius), reference_mean(x, radius))


def test_haze_of_one_transmission_is_removed_exactly():
    rng = np.random.default_rng(0)
    clear = rng.random((40, 60, 3))
    hazy = clear * 0.4 + 0.9 * 0.6
    small = np.s_[::2, ::2]
    fitted = affine.fit(hazy[small], clear[small], epsilon=1e-12)
    np.testing.assert_allclose(fitted.scale, 2.5, rtol=1e-4)
    np.testing.assert_allclose(fitted(hazy.astype(np.float32), 1.0), clear, atol=1e-4)


def test_flat_places_get_the_estimate():
    guide, target = np.full((8, 8, 3), 0.7), np.full((8, 8, 3), 0.4)
    fitted = affine.fit(guide, target)
    np.testing.assert_allclose(fitted(guide.astype(np.float32), 1.0), 0.4, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "maximum"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)]
)
def test_dtypes_round_and_clip(dtype, maximum):
    image = (np.linspace(0, 1, 24).reshape(4, 6, 1) * maximum).astype(dtype)
    result = affine.AffineMap(
        np.full((2, 2, 1), 1.5, np.float32), np.full((2, 2, 1), -0.1, np.float32)
    )
    mapped = result(image, maximum)
    assert mapped.dtype == dtype
    exact = (image / maximum * 1.5 - 0.1).clip(0, 1)
    step = 0 if dtype == np.float32 else 0.5 / maximum
    np.testing.assert_allclose(mapped / maximum, exact, atol=step + 1e-5)


def test_bands_leave_no_seam(monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (67, 41, 3)).astype(np.uint8)
    mapping = affine.AffineMap(
        rng.random((9, 7, 3)).astype(np.float32), rng.random((9, 7, 3)).astype(np.float32) / 4
    )
    whole = mapping(image, 255)
    monkeypatch.setattr(images, "_BAND", 41)
    np.testing.assert_array_equal(mapping(image, 255), whole)


def test_coefficients_are_interpolated_as_pillow_does():
    from PIL import Image

    coefficients = np.random.default_rng(0).random((5, 8)).astype(np.float32)
    enlarged = Image.fromarray(coefficients).resize((32, 20), Image.Resampling.BILINEAR)
    mapping = affine.AffineMap(coefficients[..., None], np.zeros((5, 8, 1), np.float32))
    ones = np.ones((20, 32, 1), np.float32)
    np.testing.assert_allclose(mapping(ones, 1.0)[..., 0], np.asarray(enlarged), atol=1e-6)


def test_strength_fades_between_nothing_and_everything():
    image = np.random.default_rng(0).random((6, 6, 3)).astype(np.float32)
    mapping = affine.AffineMap(
        np.full((2, 2, 3), 0.5, np.float32), np.full((2, 2, 3), 0.2, np.float32)
    )
    np.testing.assert_allclose(mapping.faded(0)(image, 1.0), image, atol=1e-7)
    half = (image + mapping(image, 1.0)) / 2
    np.testing.assert_allclose(mapping.faded(0.5)(image, 1.0), half, atol=1e-6)
