"""A picture in, the same kind of picture out."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kddn
from conftest import hazy_photograph
from kddn import Dehazer, ImageError, ModelError, tiles

DEMO = Path(__file__).parents[1] / "demo" / "aitzgorri.jpg"


@pytest.fixture(scope="module")
def dehazer():
    """The default model, at a working size below that of the pictures here."""
    return Dehazer(working_size=128)


def error(picture, truth):
    return np.abs(np.asarray(picture, float) - np.asarray(truth, float)).mean()


@pytest.mark.parametrize("full", [False, True])
def test_haze_is_removed(dehazer, full):
    with Image.open(DEMO) as image:
        clear = np.asarray(image.resize((400, 266)), float)
    t = np.linspace(0.4, 0.8, 266)[:, None, None]
    hazy = (clear * t + 240 * (1 - t)).round().astype(np.uint8)
    assert error(dehazer(hazy, full_resolution=full), clear) < 0.8 * error(hazy, clear)


def test_path_in_path_out(photo):
    result = kddn.dehaze(photo)
    assert result == photo.with_name("photo-dehazed.jpg")
    with Image.open(result) as clear, Image.open(photo) as hazy:
        assert (clear.size, clear.format, clear.mode) == (hazy.size, hazy.format, hazy.mode)
        assert error(clear, hazy) > 5


def test_an_existing_result_is_not_overwritten(photo, dehazer):
    output = photo.with_name("photo-dehazed.jpg")
    output.write_bytes(b"precious")
    with pytest.raises(ImageError, match=r"photo-dehazed.jpg exists already"):
        dehazer(photo)
    assert output.read_bytes() == b"precious"
    dehazer.file(photo, overwrite=True)
    assert output.read_bytes() != b"precious"


def test_bytes_in_bytes_out(photo, dehazer):
    content = dehazer(photo.read_bytes())
    with Image.open(io.BytesIO(content)) as clear:
        assert (clear.size, clear.format) == ((300, 200), "JPEG")


def test_all_kinds_agree(dehazer):
    hazy = hazy_photograph(300, 200)
    array = np.asarray(hazy)
    clear = dehazer(array)
    np.testing.assert_array_equal(np.asarray(dehazer(hazy)), clear)
    for other, scale in [
        ((array.astype(np.uint16) * 257), 257),
        ((array / 255).astype(np.float32), 1 / 255),
    ]:
        result = dehazer(other)
        assert result.dtype == other.dtype
        assert np.abs(result / scale - clear.astype(float)).max() < 8  # 8-bit working copy


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    channels=st.sampled_from([None, 1, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    full=st.booleans(),
)
def test_any_size_and_dtype_comes_back(dehazer, height, width, channels, dtype, full):
    shape = (height, width) if channels is None else (height, width, channels)
    array = np.random.default_rng(0).random(shape)
    array = (array * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)
    clear = dehazer(array, full_resolution=full)
    assert clear.shape == array.shape
    assert clear.dtype == array.dtype
    assert np.isfinite(clear).all()
    if dtype == np.float32:
        assert 0 <= clear.min() <= clear.max() <= 1


def test_the_input_is_left_alone(dehazer):
    array = np.asarray(hazy_photograph(300, 200)).copy()
    for full in (False, True):
        before = array.copy()
        dehazer(array, full_resolution=full)
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("full", [False, True])
def test_strength(dehazer, full):
    hazy = np.asarray(hazy_photograph(300, 200))
    np.testing.assert_array_equal(dehazer(hazy, strength=0.0, full_resolution=full), hazy)
    half = dehazer(hazy, strength=0.5, full_resolution=full).astype(float)
    whole = dehazer(hazy, full_resolution=full).astype(float)
    inside = (whole > 0) & (whole < 255)
    assert np.abs(half - (hazy + whole) / 2)[inside].max() <= 1.5
    with pytest.raises(ValueError, match="strength"):
        dehazer(hazy, strength=1.5)


def test_working_size_and_full_resolution_differ_but_agree_broadly(dehazer):
    hazy = np.asarray(hazy_photograph(620, 460))
    small, full = dehazer(hazy), dehazer(hazy, full_resolution=True)
    assert not np.array_equal(small, full)


def test_a_picture_below_the_working_size_is_done_at_its_own(dehazer):
    small = np.asarray(hazy_photograph(100, 80))
    np.testing.assert_array_equal(dehazer(small), dehazer(small, full_resolution=True))


def test_tiles_join_without_a_trace(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 64)
    monkeypatch.setattr(tiles, "OVERLAP", 16)
    picture = np.random.default_rng(0).integers(0, 256, (150, 203, 3)).astype(np.uint8)
    seen = []

    def engine(tile):
        seen.append(tile.shape)
        return tile

    np.testing.assert_allclose(tiles.run(engine, picture, 255.0), picture / 255, atol=1e-6)
    assert set(seen) == {(64, 64, 3)}
    assert len(seen) == 3 * 4


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ModelError, match="no model 'nonsense'; use kddn-photo"):
        Dehazer("nonsense")
    with pytest.raises(ModelError, match="no device 'abacus'"):
        Dehazer(device="abacus")
    with pytest.raises(ModelError, match="'cuda' is not available here"):
        Dehazer(device="cuda")
    with pytest.raises(ModelError, match=r"mine.onnx does not exist"):
        Dehazer(tmp_path / "mine.onnx")
    with pytest.raises(ImageError, match=r"no.jpg does not exist"):
        kddn.dehaze(tmp_path / "no.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"text.jpg is not a picture"):
        kddn.dehaze(tmp_path / "text.jpg")


def test_a_truncated_picture_is_named_and_leaves_nothing(photo):
    photo.write_bytes(photo.read_bytes()[:3000])
    with pytest.raises(ImageError, match=r"photo.jpg: its pixels cannot be read .*truncated"):
        kddn.dehaze(photo)
    assert list(photo.parent.iterdir()) == [photo]
