"""What the figures are means of, and what their intervals resample."""

import pytest

from kddn.research.data import load_nyu, sots_pair
from kddn.research.evaluation import Score, score, summarize
from kddn.research.metrics import psnr, ssim


def test_the_hazy_input_scores_what_the_metrics_say(nyu):
    scores = list(score({"hazy": lambda hazy: hazy}, nyu, [1350]))
    assert [s.haze for s in scores] == list(range(1, 11))
    pair = sots_pair(load_nyu(nyu, [1350]), 0, 4)
    assert scores[3].psnr == pytest.approx(psnr(pair.hazy, pair.clean).item(), abs=1e-4)
    assert scores[3].ssim == pytest.approx(ssim(pair.hazy, pair.clean).item(), abs=1e-4)
    assert scores[0].psnr > scores[9].psnr


def test_intervals_resample_scenes_not_images():
    rows = [Score("a", 1, haze, 20.0 + haze, 0.5, 0.1) for haze in range(1, 11)]
    alone = summarize(rows)
    assert alone.psnr == alone.psnr_low == alone.psnr_high == pytest.approx(25.5)
    rows += [Score("a", 2, haze, 30.0 + haze, 0.9, 0.3) for haze in range(1, 11)]
    both = summarize(rows)
    assert (both.images, both.psnr, both.ssim) == (20, pytest.approx(30.5), pytest.approx(0.7))
    assert (both.psnr_low, both.psnr_high) == pytest.approx((25.5, 35.5))
    assert both.seconds == pytest.approx(0.2)
