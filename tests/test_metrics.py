"""Metrics against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kddn.research.metrics import psnr, ssim


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
