"""Metrics against scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kddn.research.evaluation.metrics import ciede2000, ms_ssim, perceptual_distance, psnr, ssim
from kddn.research.nets.vgg import VGG


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((3, 40, 50, 3)).astype(np.float32)
    blurred = (truth + np.roll(truth, 1, axis=1) + np.roll(truth, 1, axis=2)) / 3
    return blurred + rng.normal(0, 0.05, truth.shape).astype(np.float32), truth


def batch(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def test_psnr_equals_scikit_image(images):
    ours = psnr(*map(batch, images)).numpy()
    theirs = [
        peak_signal_noise_ratio(truth, image, data_range=1)
        for image, truth in zip(*images, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_ssim_equals_scikit_image(images):
    ours = ssim(*map(batch, images)).numpy()
    theirs = [
        structural_similarity(
            truth,
            image,
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for image, truth in zip(*images, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_equal_images():
    image = torch.rand(1, 3, 20, 20)
    assert psnr(image, image).item() == float("inf")
    assert ssim(image, image).shape == (1,)
    assert ssim(image, image).item() == pytest.approx(1)


def test_ciede2000_equals_scikit_image(images):
    ours = ciede2000(*map(batch, images)).numpy()
    theirs = [
        deltaE_ciede2000(rgb2lab(image.clip(0, 1)), rgb2lab(truth)).mean()
        for image, truth in zip(*images, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


channel = st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0])


@given(st.tuples(channel, channel, channel), st.tuples(channel, channel, channel))
def test_ciede2000_of_single_colours_equals_scikit_image(one, other):
    pixels = [np.array(rgb, np.float64).reshape(1, 1, 1, 3) for rgb in (one, other)]
    ours = ciede2000(*map(batch, pixels)).item()
    theirs = deltaE_ciede2000(*map(rgb2lab, pixels)).item()
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def halved(x):
    return x[: len(x) // 2 * 2].reshape(len(x) // 2, 2, x.shape[1] // 2, 2, 3).mean((1, 3))


def contrast_and_structure(x, y):
    """Of one scale, by scipy, where windows fit."""

    def mean(image):
        smooth = ndimage.gaussian_filter(image, (1.5, 1.5, 0), radius=5)
        return smooth[5:-5, 5:-5]

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    local = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    luminance = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    return local.mean(), (luminance * local).mean()


def test_ms_ssim_equals_an_independent_computation():
    rng = np.random.default_rng(0)
    truth = ndimage.gaussian_filter(rng.random((192, 224, 3)), (3, 3, 0))
    truth = (truth - truth.min()) / (truth.max() - truth.min())
    image = (0.8 * truth + 0.1 + rng.normal(0, 0.02, truth.shape)).clip(0, 1)
    ours = ms_ssim(batch(image[None]), batch(truth[None])).item()
    expected = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        structure, whole = contrast_and_structure(image, truth)
        expected *= (whole if weight == 0.1333 else structure) ** weight
        image, truth = halved(image), halved(truth)
    assert ours == pytest.approx(expected, abs=2e-3)
    assert ms_ssim(torch.rand(2, 3, 160, 300), torch.rand(2, 3, 160, 300)).isnan().all()


def test_perceptual_distance_grows_with_blur():
    torch.manual_seed(0)
    vgg = VGG(16).eval()
    truth = torch.rand(2, 3, 48, 48)
    blurred = [ndimage.gaussian_filter(truth.numpy(), (0, 0, s, s)) for s in (0.5, 1.0)]
    with torch.no_grad():
        none, some, more = (
            perceptual_distance(torch.as_tensor(x), truth, vgg) for x in (truth.numpy(), *blurred)
        )
        features = [[f.numpy() for f in vgg(torch.as_tensor(x))] for x in (blurred[1], truth)]
    assert none.tolist() == [0, 0]
    assert (more > some).all()
    assert (some > 0).all()
    expected = np.zeros(2)
    for x, y in zip(*features, strict=True):  # by hand: of length 1 at each place
        x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (x, y))
        expected += ((x - y) ** 2).sum(1).mean((1, 2))
    np.testing.assert_allclose(more, expected, rtol=1e-3)
