"""Photographs in and out: what is not pixels stays."""

import io
import weakref

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, JpegImagePlugin

from helpers import hazy_photograph
from kddn.errors import ImageError
from kddn.io import files
from kddn.io import image as images


@pytest.mark.parametrize(
    ("mode", "comes_back"),
    [
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("L", "L"),
        ("LA", "LA"),
        ("CMYK", "CMYK"),
        ("P", "RGB"),
        ("1", "L"),
        ("YCbCr", "RGB"),
        ("I;16", "I;16"),
    ],
)
def test_modes(mode, comes_back):
    if mode == "I;16":
        source = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    else:
        source = hazy_photograph(30, 20).convert(mode)
    photograph = images.from_pil(source)
    assert photograph.pixels.shape == (20, 30, 3)
    again = photograph.rebuild(photograph.pixels)
    assert (again.mode, again.size) == (comes_back, (30, 20))
    difference = np.abs(np.asarray(again.convert(mode), float) - np.asarray(source, float))
    assert difference.max() <= 3


def test_transparent_palettes_keep_their_transparency():
    source = Image.new("P", (4, 4), 0)
    source.putpalette([255, 0, 0, 0, 255, 0])
    source.putpixel((1, 1), 1)
    source.info["transparency"] = 1
    photograph = images.from_pil(source)
    again = photograph.rebuild(photograph.pixels)
    assert again.mode == "RGBA"
    assert again.getpixel((1, 1))[3] == 0
    assert again.getpixel((0, 0)) == (255, 0, 0, 255)


def test_alpha_is_untouched():
    source = hazy_photograph(30, 20).convert("RGBA")
    source.putalpha(Image.linear_gradient("L").resize((30, 20)))
    photograph = images.from_pil(source)
    again = photograph.rebuild(np.zeros_like(photograph.pixels))
    np.testing.assert_array_equal(np.asarray(again)[..., 3], np.asarray(source)[..., 3])
    assert np.asarray(again)[..., :3].max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation):
    source = hazy_photograph(30, 20)
    source.getexif()[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    source.save(buffer, "PNG", exif=source.getexif())
    opened = files.open_picture(buffer.getvalue())
    upright = opened.photograph.rebuild(opened.photograph.pixels)
    assert upright.size == ((20, 30) if orientation >= 5 else (30, 20))
    again = images.upright(files.read(opened.encode(upright, "PNG")))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(upright))
    expected = ImageOps.exif_transpose(files.read(buffer.getvalue()))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(expected))


def test_metadata_is_carried_over():
    source = hazy_photograph(30, 20)
    exif = source.getexif()
    exif[ExifTags.Base.Artist] = "Ansel"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = 50.0
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("JPEG", "PNG", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        source.save(buffer, name, exif=exif, icc_profile=profile, dpi=(300, 300))
        opened = files.open_picture(buffer.getvalue())
        same = opened.photograph.rebuild(opened.photograph.pixels)
        again = files.read(opened.encode(same, name))
        assert again.getexif()[ExifTags.Base.Artist] == "Ansel"
        if name != "TIFF":  # whose writer in Pillow leaves out this directory, so it was not there
            assert again.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] == 50
        assert again.info["icc_profile"] == profile
        if name != "WEBP":  # which has no place for it
            assert [round(float(d)) for d in again.info["dpi"]] == [300, 300]


def test_jpeg_keeps_its_quality():
    buffer = io.BytesIO()
    hazy_photograph(64, 64).save(buffer, "JPEG", quality=71, subsampling="4:2:2")
    source = files.read(buffer.getvalue())
    opened = files.open_picture(buffer.getvalue())
    same = opened.photograph.rebuild(opened.photograph.pixels)
    again = files.read(opened.encode(same, "JPEG"))
    assert again.quantization == source.quantization
    assert JpegImagePlugin.get_sampling(again) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_arrays_come_back_as_they_were(dtype, shape):
    array = np.random.default_rng(0).random(shape)
    array = (array * (1 if dtype in (np.float32, np.float64) else np.iinfo(dtype).max)).astype(
        dtype
    )
    photograph = images.from_array(array)
    assert photograph.pixels.shape == (5, 7, 3)
    again = photograph.rebuild(photograph.pixels)
    assert again.dtype == dtype
    np.testing.assert_allclose(again, array, rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros((3, 5, 7), np.uint8), "move the channels last"),
        (np.zeros((0, 5, 3), np.uint8), "not empty"),
        (np.zeros((5, 7, 3), np.int32), "not int32"),
        (np.full((5, 7, 3), 128.0), r"in \[0, 1\]"),
        (np.full((5, 7, 3), np.nan), "not finite"),
    ],
)
def test_unusable_arrays_are_refused(array, cause):
    with pytest.raises(ImageError, match=cause):
        images.from_array(array)


def test_animations_are_refused(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    frames[0].save(tmp_path / "video.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="several frames"):
        files.read(tmp_path / "video.gif")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_large_pictures_are_read_strip_by_strip(monkeypatch, mode):
    source = hazy_photograph(60, 41).convert(mode)
    expected = images.from_pil(source).pixels
    monkeypatch.setattr(images, "_STRIP", 60 * 7 + 3)
    np.testing.assert_array_equal(images.from_pil(source).pixels, expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_puts_together_holds_on_to_no_pixels(mode):
    photograph = images.from_pil(hazy_photograph(60, 40).convert(mode))
    pixels, rebuild = weakref.ref(photograph.pixels), photograph.rebuild
    clear = photograph.pixels.copy()
    del photograph
    assert pixels() is None
    assert rebuild(clear).mode == mode
