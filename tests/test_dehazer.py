"""A picture in, the same kind of picture out."""

import copy
import io
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kddn
from helpers import DEMO, hazy_photograph
from kddn import Dehazer, ImageError, ModelError
from kddn.inference import tiles
from kddn.inference.estimators import OnnxNetwork
from kddn.inference.models import find_model
from kddn.inference.transmission import estimate_transmission


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
    fine = np.random.default_rng(0).random((40, 30, 3))
    for same in (hazy, fine, fine[..., 0], fine.astype(np.float32)[..., :1]):
        np.testing.assert_array_equal(dehazer(same, strength=0.0, full_resolution=full), same)
    half = dehazer(hazy, strength=0.5, full_resolution=full).astype(float)
    whole = dehazer(hazy, full_resolution=full).astype(float)
    inside = (whole > 0) & (whole < 255)
    assert np.abs(half - (hazy + whole) / 2)[inside].max() <= 1.5
    more = dehazer(hazy, strength=1.5, full_resolution=full).astype(float)
    inside &= (more > 0) & (more < 255)
    assert np.abs(more - (1.5 * whole - 0.5 * hazy))[inside].max() <= 2
    with pytest.raises(ValueError, match=r"strength must lie in \[0, 1.5\]"):
        dehazer(hazy, strength=1.6)


@pytest.mark.parametrize("model", ["kddn-photo", "kddn-indoor"])
def test_the_network_sees_the_working_size_or_every_pixel(model, monkeypatch):
    seen = []
    run = OnnxNetwork.run

    def watched(self, image, outputs):
        seen.append(image.shape)
        return run(self, image, outputs)

    monkeypatch.setattr(OnnxNetwork, "run", watched)
    dehazer = Dehazer(model, working_size=128)
    hazy = np.asarray(hazy_photograph(608, 448))
    dehazer(hazy)
    dehazer(hazy, full_resolution=True)
    assert [max(shape) for shape in seen] == [128, 608]


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


def test_a_device_that_does_not_start_is_an_error_unless_it_was_chosen_for_you(monkeypatch):
    here = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: here)
    begin = onnxruntime.InferenceSession

    def fall_back(content, options, providers, enable_fallback):
        return begin(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr("onnxruntime.InferenceSession", fall_back)
    with pytest.raises(ModelError, match="device 'cuda' could not be started"):
        Dehazer(device="cuda")
    assert OnnxNetwork(find_model("kddn-photo")).device == "cpu"


def test_a_device_that_breaks_is_left_without_a_word(monkeypatch, capfd):
    """ONNX Runtime's own way of falling back prints to standard output."""
    here = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: here)
    create = onnxruntime.InferenceSession._create_inference_session

    def broken(session, providers, *more, **options):
        if "CUDAExecutionProvider" in providers:
            raise ValueError("no driver")
        return create(session, providers, *more, **options)

    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", broken)
    assert OnnxNetwork(find_model("kddn-photo")).device == "cpu"
    with pytest.raises(ModelError, match="cannot be run on cuda: no driver"):
        Dehazer(device="cuda")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("size", [0, -5])
def test_a_card_without_a_size_is_no_card(tmp_path, size):
    source = find_model("kddn-photo").path
    shutil.copy(source, tmp_path / "mine.onnx")
    card = json.loads(source.with_suffix(".json").read_text()) | {"working_size": size}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=f"is no model card .*working_size {size}"):
        Dehazer(tmp_path / "mine.onnx")


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


def test_lists_come_back_as_lists(dehazer, photo):
    hazy = np.asarray(hazy_photograph(40, 30))
    clear = dehazer([hazy, hazy])
    assert isinstance(clear, list)
    np.testing.assert_array_equal(clear[1], dehazer(hazy))
    assert dehazer([photo]) == [photo.with_name("photo-dehazed.jpg")]
    assert dehazer([]) == []


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_come_back_as_tensors(dehazer, dtype):
    array = np.asarray(hazy_photograph(60, 40))
    hazy = torch.from_numpy(array.copy()).permute(2, 0, 1)
    hazy = hazy if dtype == torch.uint8 else (hazy.float() / 255).to(dtype)
    clear = dehazer(torch.stack([hazy, hazy]))
    assert (clear.dtype, clear.shape) == (dtype, (2, 3, 40, 60))
    expected = torch.from_numpy(dehazer(array)).permute(2, 0, 1).float()
    got = clear[1].float() * (1 if dtype == torch.uint8 else 255)
    off = (got - expected).abs()  # floats are made small without rounding, which the map takes up
    assert (off.max() < 5) & (off.mean() < 1)
    with pytest.raises(ImageError, match="must be 3 h w or b 3 h w"):
        dehazer(torch.zeros(5, 40, 60))


def test_what_is_no_picture_is_refused(dehazer):
    with pytest.raises(ImageError, match="not dict"):
        dehazer({})


def test_the_result_has_the_pictures_date(photo, dehazer):
    os.utime(photo, ns=(10**18, 10**18 + 123456000))
    assert dehazer(photo).stat().st_mtime_ns == 10**18 + 123456000


def test_transmission_is_that_of_the_haze(dehazer):
    with Image.open(DEMO) as image:
        clear = np.asarray(image.resize((400, 266)), float)
    for t in (0.3, 0.6):
        hazy = (clear * t + 240 * (1 - t)).round().astype(np.uint8)
        estimated = dehazer.transmission(hazy)
        assert estimated.shape == (266, 400)
        assert 0 <= estimated.min() <= estimated.max() <= 1
        assert abs(estimated.mean() - t) < 0.15
    with Image.open(DEMO) as image:
        expected = dehazer.transmission(image)
    for same in (DEMO, str(DEMO), DEMO.read_bytes()):
        np.testing.assert_array_equal(dehazer.transmission(same), expected)


def test_transmission_of_a_known_result_is_exact():
    rng = np.random.default_rng(0)
    clear = rng.random((60, 80, 3)).astype(np.float32) * 0.7
    t = np.linspace(0.2, 0.9, 80, dtype=np.float32)[None, :, None]
    hazy = clear * t + 0.95 * (1 - t)
    hazy[:16, :16] = clear[:16, :16] = 0.95  # where the airlight shows
    estimated = estimate_transmission(hazy, clear)
    assert np.abs(estimated - t[..., 0])[20:].max() < 0.05
    np.testing.assert_allclose(estimate_transmission(clear, clear), 1)


def test_threads_share_a_dehazer(dehazer):
    hazy = [np.asarray(hazy_photograph(200 + 10 * i, 150)) for i in range(8)]
    alone = [dehazer(each) for each in hazy]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(dehazer, hazy), alone, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "again", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy]
)
def test_a_dehazer_can_be_sent_elsewhere(again):
    made = Dehazer(working_size=64, max_pixels=10**6)
    copied = again(made)
    assert (copied.working_size, copied.max_pixels) == (64, 10**6)
    picture = np.asarray(hazy_photograph(40, 30))
    np.testing.assert_array_equal(copied(picture), made(picture))
