"""Any picture file in, the same kind of picture file out: a property over sizes, modes, formats."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, ExifTags, Image, ImageCms, PngImagePlugin

from helpers import encoded, hazy_photograph
from kddn import Dehazer, ImageError
from kddn.batch.plan import find
from kddn.io import files as files_of_kddn

MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "I;16", "P", "1"),
    "TIFF": ("RGB", "RGBA", "L", "CMYK", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
    "BMP": ("RGB", "L"),
    "PPM": ("RGB", "L"),
}
"""Modes that a format holds."""

COMES_BACK = {"P": "RGB", "1": "L"}
"""Modes that cannot hold new colours."""

METADATA = {
    "JPEG": {"exif", "icc_profile", "dpi", "xmp"},
    "PNG": {"exif", "icc_profile", "dpi"},
    "TIFF": {"exif", "icc_profile", "dpi"},
    "WEBP": {"exif", "icc_profile", "xmp"},
    "AVIF": {"exif", "icc_profile", "xmp"},
}
"""What a format says beside its pixels."""

PROFILES = {
    "RGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
}

side = st.one_of(st.integers(1, 97), st.sampled_from([1, 2, 3, 7, 251, 509]))


@st.composite
def files(draw):
    """A picture file with noise in it, and what it says."""
    name = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[name]))
    width, height = draw(side), draw(side)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16))
    else:
        rgba = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
        image = Image.fromarray(rgba).convert(mode)
    said = METADATA.get(name, set())
    options = {}
    if "exif" in said:
        exif = Image.Exif()
        exif[ExifTags.Base.Artist] = "Ansel"
        options["exif"] = exif
    if "icc_profile" in said and mode in PROFILES:
        options["icc_profile"] = PROFILES[mode]
    if "dpi" in said:
        options["dpi"] = (300, 300)
    if "xmp" in said:
        options["xmp"] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return name, mode, (width, height), options, buffer.getvalue()


@pytest.fixture(scope="module")
def dehazer():
    return Dehazer(working_size=48)


@settings(max_examples=120)
@given(files())
def test_any_file_comes_back_as_its_kind(dehazer, file):
    name, mode, size, options, content = file
    with Image.open(io.BytesIO(dehazer(content))) as clear:
        assert clear.format == name
        assert clear.size == size
        assert clear.mode == COMES_BACK.get(mode, mode)
        clear.load()
        if mode in ("RGBA", "LA") and name not in ("AVIF", "WEBP"):  # whose files are lossy
            with Image.open(io.BytesIO(content)) as hazy:
                alphas = [picture.getchannel("A").tobytes() for picture in (hazy, clear)]
            assert alphas[0] == alphas[1]
        if "exif" in options:
            assert clear.getexif()[ExifTags.Base.Artist] == "Ansel"
        if "icc_profile" in options:
            assert clear.info["icc_profile"] == options["icc_profile"]
        if "dpi" in options:
            assert [round(float(dots)) for dots in clear.info["dpi"]] == [300, 300]
        if "xmp" in options:
            assert clear.info["xmp"].rstrip(b"\0") == options["xmp"]


files_of_kddn._register_heif()


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def turned():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return exif


@pytest.mark.parametrize(
    ("mode", "options", "format"),
    [
        ("RGB", {"exif": turned()}, "tiff"),
        ("RGB", {"exif": turned(), "compression": "tiff_lzw"}, "tiff"),
        ("P", {"compression": "tiff_lzw"}, "tiff"),
        ("1", {"compression": "group4"}, "tiff"),
        ("RGB", {"compression": "jpeg"}, "tiff"),
        ("RGB", {"exif": turned(), "compression": "tiff_lzw"}, "jpg"),
    ],
)
def test_how_a_tiff_lays_out_its_pixels_stays_behind(dehazer, mode, options, format):
    image = hazy_photograph(60, 40).convert(mode)
    content = saved(image, "TIFF", **options)
    expected = dehazer(opened(content))
    found = opened(dehazer.encoded(content, format=format))
    assert found.size == expected.size == ((40, 60) if "exif" in options else (60, 40))
    difference = np.asarray(found.convert("RGB"), float) - np.asarray(expected.convert("RGB"))
    assert np.abs(difference).mean() < 3
    assert not {256, 257, 262, 273, 279} & set(found.getexif()) or format == "tiff"


def test_planes_apart_come_together(dehazer):
    pixels = np.asarray(hazy_photograph(60, 40))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    found = np.asarray(opened(dehazer(buffer.getvalue())), float)
    assert np.abs(found - dehazer(pixels)).max() <= 1


def test_jpeg_with_a_preview_behind_is_a_jpeg(dehazer):
    image = hazy_photograph(60, 40)
    content = saved(image, "MPO", save_all=True, append_images=[image.resize((30, 20))])
    assert opened(content).n_frames == 2
    found = opened(dehazer(content))
    assert (found.format, found.size) == ("JPEG", (60, 40))


def test_mpo_by_name_is_written_as_the_jpeg_that_it_is(dehazer, tmp_path):
    image, exif = hazy_photograph(60, 40), Image.Exif()
    exif[0x010F] = "Camera"
    image.save(tmp_path / "a.mpo", "MPO", save_all=True, append_images=[image], exif=exif)
    found = opened(dehazer(tmp_path / "a.mpo").read_bytes())
    assert (found.format, found.getexif()[0x010F]) == ("JPEG", "Camera")


def test_raw_and_heic_are_told_what_to_do(dehazer, tmp_path, monkeypatch):
    (tmp_path / "a.NEF").write_bytes(b"raw")
    with pytest.raises(ImageError, match=r"a.NEF: this is a camera's raw file; develop it first"):
        dehazer(tmp_path / "a.NEF")
    content = saved(hazy_photograph(60, 40), "HEIF")
    monkeypatch.setattr(files_of_kddn, "_register_heif", lambda: None)
    for name in [ending for ending, kind in Image.EXTENSION.items() if kind == "HEIF"]:
        monkeypatch.delitem(Image.EXTENSION, name)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    (tmp_path / "a.heic").write_bytes(content)
    hint = r"this is HEIC, which needs: pip install 'kddn\[heic\]'"
    for source in (tmp_path / "a.heic", content):
        with pytest.raises(ImageError, match=hint):
            dehazer(source)
    for name in ("data.h5", "field.grib", "old.xbm"):  # which Pillow knows by their names
        (tmp_path / name).write_bytes(b"no picture")
    assert [path.name for path in find([str(tmp_path)]).pictures] == ["a.heic"]


def test_what_can_be_read_alone_becomes_png(dehazer):
    assert files_of_kddn.writable("PSD") == "PNG"
    pixels = np.asarray(hazy_photograph(60, 40)).transpose(2, 0, 1).tobytes()
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 40, 60, 8, 3)
    photoshop = header + bytes(12) + bytes(2) + pixels
    assert opened(photoshop).format == "PSD"
    assert opened(dehazer(photoshop)).format == "PNG"


@pytest.mark.parametrize(("mode", "key"), [("RGB", (9, 8, 7)), ("L", 9)])
def test_the_colour_that_is_transparent_stays_so(dehazer, mode, key):
    image = hazy_photograph(60, 40).convert(mode)
    image.paste(key, (0, 0, 10, 10))
    found = opened(dehazer(saved(image, "PNG", transparency=key)))
    alpha = np.asarray(found.getchannel("A"))
    assert (alpha[:10, :10] == 0).all()
    assert (alpha[10:] == 255).all()


def test_what_is_transparent_of_one_bit_stays_so(dehazer):
    image = hazy_photograph(60, 40).convert("1")
    found = opened(dehazer(saved(image, "PNG", transparency=0)))
    np.testing.assert_array_equal(np.asarray(found.getchannel("A")), np.asarray(image) * 255)


def test_the_transparent_gray_of_16_bits_is_named(dehazer):
    image = Image.fromarray(np.full((40, 60), 30_000, np.uint16))
    content = saved(image, "PNG", transparency=30_000)
    assert files_of_kddn.open_picture(content).lost("PNG") == ("transparency",)


def test_xmp_of_png_stays(dehazer):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    content = saved(hazy_photograph(60, 40), "PNG", pnginfo=info)
    assert opened(dehazer(content)).info["xmp"] == b"<x:xmpmeta/>"


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_without_loss_stays_without(dehazer, lossless):
    image = hazy_photograph(60, 40)
    content = saved(image, "WEBP", lossless=lossless, quality=80)
    same = np.asarray(opened(dehazer(content, strength=0)), float)
    difference = np.abs(same - np.asarray(opened(content)))
    assert (difference.max() == 0) == lossless
    assert difference.mean() < 3


GRAY16 = (np.asarray(hazy_photograph(60, 40).convert("L")).astype(np.uint16)) * 257
RGB16 = np.asarray(hazy_photograph(60, 40)).astype(np.uint16) * 257
CUT = ("more than 8 bits a channel",)


@pytest.mark.parametrize(
    ("content", "lost"),
    [
        (b"P6 60 40 65535\n" + RGB16.astype(">u2").tobytes(), CUT),
        (b"P6\n# made by hand\n60 40\n255\n" + (RGB16 // 257).astype("u1").tobytes(), ()),
        (imagecodecs.jpeg2k_encode(RGB16, level=0), CUT),
        (imagecodecs.jpeg2k_encode((RGB16 // 257).astype(np.uint8), level=0), ()),
        (imagecodecs.avif_encode(RGB16 >> 6, bitspersample=10), CUT),
        (imagecodecs.avif_encode((RGB16 >> 8).astype(np.uint8)), ()),
        (b"P5 60 40 65535\n" + GRAY16.astype(">u2").tobytes(), ()),
    ],
    ids=["ppm", "ppm of 8", "jpeg 2000", "jpeg 2000 of 8", "avif", "avif of 8", "gray"],
)
def test_bits_that_are_cut_off_are_named(content, lost):
    assert files_of_kddn.open_picture(content).lost("TIFF") == lost


def test_deep_pictures_say_so_where_they_lose_it():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, RGB16, photometric="rgb", metadata=None)
    opened = files_of_kddn.open_picture(buffer.getvalue())
    assert opened.lost("PNG") == opened.lost("TIFF") == ()
    assert opened.lost("JPEG") == CUT


def test_gray_of_16_bits_in_32_comes_back(dehazer):
    content = b"P5 60 40 65535\n" + GRAY16.astype(">u2").tobytes()
    same = opened(dehazer(content, strength=0))
    assert same.mode == "I"
    np.testing.assert_array_equal(np.asarray(same), GRAY16)
    wide = Image.fromarray(GRAY16.astype(np.int32) * 100)
    with pytest.raises(ImageError, match=r"reach from \d+ to \d+; scale them to \[0, 65535\]"):
        dehazer(wide)


@pytest.mark.parametrize("format", ["png", "tiff", "ppm"])
def test_gray_of_16_bits_becomes_what_can_be_read_again(dehazer, format):
    content = b"P5 60 40 65535\n" + GRAY16.astype(">u2").tobytes()
    other = dehazer.in_memory(content, format=format, strength=0).content
    again = files_of_kddn.open_picture(other).photograph.pixels[..., 0]
    np.testing.assert_array_equal(again, GRAY16)


@pytest.mark.parametrize("size", [(240, 160), (64, 64)])
def test_an_icon_keeps_its_size(dehazer, size):
    content = saved(hazy_photograph(*size), "ICO")
    largest = opened(content).size
    assert opened(dehazer(content)).size == largest
    assert files_of_kddn.open_picture(content).lost("ICO") == ("its other sizes",)


def test_a_jpeg_of_rgb_stays_one(dehazer):
    image = hazy_photograph(60, 40)
    content = saved(image, "JPEG", keep_rgb=True, quality=90)
    same = opened(dehazer(content, strength=0))
    assert same.info["adobe_transform"] == 0
    assert np.abs(np.asarray(same, float) - np.asarray(opened(content))).mean() < 1


@pytest.mark.parametrize("format", ["AVIF", "HEIF", "WEBP"])
def test_what_is_encoded_anew_shows_no_loss(dehazer, format):
    content = saved(hazy_photograph(120, 80), format, quality=90)
    same = np.asarray(opened(dehazer(content, strength=0)), float)
    assert np.abs(same - np.asarray(opened(content))).mean() < 2


def test_channels_beyond_colour_are_named():
    buffer = io.BytesIO()
    pixels = np.zeros((40, 60, 5), np.uint8)
    tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None)
    assert files_of_kddn.open_picture(buffer.getvalue()).lost("TIFF") == ("further channels",)
    inks = np.zeros((40, 60, 5), np.uint8)
    buffer = io.BytesIO()
    alpha = ["unassalpha"]
    tifffile.imwrite(buffer, inks, photometric="separated", extrasamples=alpha, metadata=None)
    with pytest.raises(ImageError, match="a TIFF of kind SEPARATED, 5 samples of uint8"):
        files_of_kddn.open_picture(buffer.getvalue())


def test_a_png_named_jpg_that_has_transparency_is_told_what_to_do(tmp_path, dehazer):
    image = hazy_photograph(60, 40).convert("RGBA")
    image.save(tmp_path / "a.jpg", "PNG")
    with pytest.raises(ImageError, match=r"a.jpg: JPEG has no transparency; write PNG"):
        dehazer(tmp_path / "a.jpg")


def test_a_palette_of_nothing_but_transparency_stays_so(dehazer):
    image = Image.new("RGBA", (60, 40), (0, 0, 0, 0)).convert("P")
    found = opened(dehazer(saved(image, "PNG")))
    assert found.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("name", ["picture.eps", "picture.jpg"])
def test_postscript_is_never_run(tmp_path, monkeypatch, name):
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\necho run >> {tmp_path}/ran\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    path = tmp_path / name
    hazy_photograph(40, 30).save(path, "EPS")
    with pytest.raises(ImageError, match=f"{name} is not a picture in a known format"):
        Dehazer("dcp").file(path, tmp_path / "clear.png")
    assert not (tmp_path / "ran").exists()
    assert ".eps" not in files_of_kddn.readable_endings()


def test_errors_are_one_line_whatever_files_are_called(tmp_path):
    with pytest.raises(ImageError) as caught:
        Dehazer("dcp").file(tmp_path / "a\nb\x1b[2J.jpg", tmp_path / "clear.jpg")
    assert str(caught.value).endswith("/a b\\x1b[2J.jpg does not exist")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encoded(hazy_photograph(40, 30), "AVIF")[:-60], "its pixels cannot be read"),
        (
            b"Image type: Red image\r\nImage size (x*y): 4*3\r\n".ljust(511, b"\0") + b"\x1a",
            "mode 'Red image' is not handled",
        ),
    ],
    ids=["AVIF", "IM"],
)
@pytest.mark.filterwarnings("ignore:IM image format")
def test_whatever_a_decoder_raises_is_named(content, said):
    with pytest.raises(ImageError, match=said):
        Dehazer("dcp").encoded(content)
