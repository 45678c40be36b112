"""Colour of more than 8 bits a channel: nothing is cut down, nothing is lost."""

import io
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from kddn import Dehazer, ImageError
from kddn.errors import SizeError
from kddn.io import files, high_bit_depth
from kddn.io import image as images
from kddn.io import png as png_files
from kddn.io.compare import write_comparison

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gradient(channels, dtype=np.uint16, height=40, width=56):
    """Steps finer than 8 bits."""
    ramp = np.linspace(0.2, 0.9, height * width * channels).reshape(height, width, channels)
    return (ramp * 65535).astype(np.uint16) if dtype == np.uint16 else ramp.astype(dtype)


def png(pixels):
    """A 16-bit PNG with a resolution, a profile and EXIF that says: turn right."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ansel"
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG", dpi=(300, 300), icc_profile=PROFILE, exif=exif)
    kept = (b"pHYs", b"iCCP", b"eXIf")
    chunks = [chunk for chunk in png_files.chunks(buffer.getvalue()) if chunk[0] in kept]
    assert len(chunks) == 3
    content = imagecodecs.png_encode(pixels)
    return content[:33] + b"".join(png_files.chunk(*chunk) for chunk in chunks) + content[33:]


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_png_comes_back_upright_with_all_it_had(channels):
    pixels = gradient(channels)
    opened = files.open_picture(png(pixels))
    assert opened.photograph.maximum == 65535
    same = opened.photograph.rebuild(opened.photograph.pixels)
    content = opened.encode(same, "PNG")
    np.testing.assert_array_equal(imagecodecs.png_decode(content), np.rot90(pixels, -1))
    with Image.open(io.BytesIO(content)) as again:
        assert again.info["icc_profile"] == PROFILE
        assert [round(dots) for dots in again.info["dpi"]] == [300, 300]
        assert again.getexif()[ExifTags.Base.Artist] == "Ansel"
        assert ExifTags.Base.Orientation not in again.getexif()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate"])
def test_deep_tiff_comes_back_with_all_it_had(dtype, compression):
    pixels = gradient(3, dtype)
    content = tiff(
        pixels,
        photometric="rgb",
        compression=compression,
        iccprofile=PROFILE,
        resolution=(240, 240),
        resolutionunit="INCH",
        extratags=[(315, "s", 0, "Ansel", True), (700, "B", 5, b"<xmp>", True)],
    )
    opened = files.open_picture(content)
    again = opened.encode(opened.photograph.rebuild(opened.photograph.pixels), "TIFF")
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), pixels)
        assert page.tags[315].value == "Ansel"
        assert bytes(page.tags[700].value) == b"<xmp>"
        assert bytes(page.tags[34675].value) == PROFILE
        assert page.tags[282].value[0] / page.tags[282].value[1] == pytest.approx(240)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_as_pillow_does(orientation):
    pixels = gradient(3)
    content = tiff(pixels, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    found = files.open_picture(content).photograph.pixels
    shallow = Image.fromarray((pixels // 257).astype(np.uint8))
    shallow.getexif()[ExifTags.Base.Orientation] = orientation
    np.testing.assert_array_equal(found // 257, np.asarray(images.upright(shallow)))


def test_haze_is_removed_in_all_16_bits():
    dehazer = Dehazer(working_size=32)
    clear = imagecodecs.png_decode(dehazer(imagecodecs.png_encode(gradient(3))))
    assert clear.dtype == np.uint16
    assert len(np.unique(clear)) > 2000


@pytest.mark.parametrize(("format", "mode"), [("JPEG", "RGB"), ("WEBP", "RGB"), ("PNG", None)])
def test_another_format_gets_what_it_can_hold(format, mode):
    opened = files.open_picture(
        tiff(gradient(3, np.float32), photometric="rgb", iccprofile=PROFILE)
    )
    content = opened.encode(opened.photograph.rebuild(opened.photograph.pixels), format)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == format
        assert image.info["icc_profile"] == PROFILE
        if mode is None:
            assert imagecodecs.png_decode(content).dtype == np.uint16
        else:
            assert image.mode == mode
            wanted = gradient(3, np.float32) * 255
            assert np.abs(np.asarray(image, float) - wanted).max() < 6


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("height", [1, 40])
def test_a_channel_that_is_no_ones_is_not_taken_for_transparency(channels, format, height):
    kind = "rgb" if channels == 4 else "minisblack"
    content = tiff(
        gradient(channels, height=height), photometric=kind, extrasamples=["unspecified"]
    )
    opened = files.open_picture(content)
    written = opened.encode(opened.photograph.rebuild(opened.photograph.pixels), format)
    with Image.open(io.BytesIO(written)) as image:
        assert (len(image.getbands()), image.size) == (channels - 1, (56, height))
    assert "further channels" in opened.lost(format)
    assert opened.lost("TIFF") == ()


def test_floats_a_little_above_white_are_white():
    pixels = gradient(4, np.float32)
    pixels[0] = 1.0005
    opened = files.open_picture(tiff(pixels, photometric="rgb", extrasamples=["unassalpha"]))
    for kind, white in (("PNG", 65535), ("WEBP", 255)):
        written = opened.encode(opened.photograph.rebuild(opened.photograph.pixels), kind)
        decoded = imagecodecs.png_decode(written) if kind == "PNG" else imread(written)
        assert (decoded[0, :, 3] == white).all()


def imread(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("channels", [1, 3])
def test_12_bits_reach_white(channels):
    pixels = (gradient(channels) >> 4).squeeze()
    kind = "rgb" if channels == 3 else "minisblack"
    buffer = io.BytesIO()
    packed = imagecodecs.packints_encode(pixels.reshape(pixels.shape[0], -1), 12)
    with tifffile.TiffWriter(buffer) as file:
        strips = iter([packed])
        options = {"shape": pixels.shape, "dtype": np.uint16, "photometric": kind}
        file.write(strips, bitspersample=12, rowsperstrip=len(pixels), metadata=None, **options)
    opened = files.open_picture(buffer.getvalue())
    wanted = np.rint(pixels * (65535 / 4095)).reshape(*pixels.shape[:2], -1)
    np.testing.assert_array_equal(opened.photograph.pixels[..., :channels], wanted)


def test_exif_of_a_png_goes_into_a_jpeg():
    opened = files.open_picture(png(gradient(3)))
    clear = opened.photograph.rebuild(opened.photograph.pixels)
    with Image.open(io.BytesIO(opened.encode(clear, "JPEG"))) as shallow:
        assert shallow.getexif()[ExifTags.Base.Artist] == "Ansel"


def test_what_a_format_cannot_hold_is_named():
    opened = files.open_picture(png(gradient(2)))
    with pytest.raises(ImageError, match="BMP has no transparency"):
        opened.encode(opened.photograph.rebuild(opened.photograph.pixels), "BMP")


def test_inks_are_not_taken_for_light():
    content = tiff(gradient(4), photometric="separated", compression="deflate")
    with pytest.raises(
        ImageError, match="a TIFF of kind SEPARATED, 4 samples of uint16, is not handled"
    ):
        files.open_picture(content)


def test_deep_pictures_are_compared(tmp_path):
    paths = tmp_path / "before.tiff", tmp_path / "after.png", tmp_path / "both.png"
    paths[0].write_bytes(tiff(gradient(3, np.float32), photometric="rgb"))
    Image.fromarray(gradient(1)[..., 0]).save(paths[1])
    write_comparison(*paths)
    with Image.open(paths[2]) as sheet:
        halves = np.split(np.asarray(sheet.convert("L"), float)[40:], [56], axis=1)
    assert all(20 < half[:, 10:-10].std() < 120 for half in halves)


def test_transparency_cannot_become_jpeg():
    opened = files.open_picture(imagecodecs.png_encode(gradient(4)))
    with pytest.raises(ImageError, match="JPEG has no transparency"):
        opened.encode(opened.photograph.rebuild(opened.photograph.pixels), "JPEG")


def test_what_pillow_reads_whole_is_left_to_it():
    for picture, name in [
        (Image.new("RGB", (8, 8)), "PNG"),
        (Image.new("RGB", (8, 8)), "TIFF"),
        (Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG"),
        (Image.fromarray(np.zeros((8, 8), np.uint16)), "TIFF"),
        (Image.new("RGB", (8, 8)), "JPEG"),
    ]:
        buffer = io.BytesIO()
        picture.save(buffer, name)
        assert high_bit_depth.read(buffer.getvalue()) is None


def test_damage_and_several_pages_are_named(tmp_path):
    path = tmp_path / "deep.png"
    path.write_bytes(imagecodecs.png_encode(gradient(3))[:-500])
    with pytest.raises(ImageError, match=r"deep.png: it is damaged or cut short"):
        files.open_picture(path)
    pages = tiff(np.stack([gradient(3), gradient(3)]), photometric="rgb")
    with pytest.raises(ImageError, match="several pages"):
        files.open_picture(pages)


def test_a_missing_library_is_named_and_nothing_is_cut_down(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for content in (png(gradient(3)), tiff(gradient(3), photometric="rgb")):
        with pytest.raises(ImageError, match=r"pip install 'kddn\[high-bit-depth\]'"):
            files.open_picture(content)


def test_heic_is_read_and_written(tmp_path):
    import pillow_heif

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ansel"
    source = Image.fromarray((gradient(3, height=64, width=96) // 257).astype(np.uint8))
    source.save(tmp_path / "a.heic", exif=exif.tobytes(), quality=95)
    result = Dehazer(working_size=32).file(tmp_path / "a.heic").path
    with Image.open(result) as clear:
        assert (clear.format, clear.size) == ("HEIF", (96, 64))
        assert clear.getexif()[ExifTags.Base.Artist] == "Ansel"


@pytest.mark.parametrize("format", ["png", "jpg"])
def test_half_floats_reach_white(format):
    white = tiff(np.ones((8, 9, 3), np.float16), photometric="rgb")
    with Image.open(io.BytesIO(Dehazer("dcp").encoded(white, format=format, strength=0))) as image:
        assert np.asarray(image.convert("RGB")).min() == 255


def test_frames_of_a_16_bit_png_are_not_dropped():
    content = png(gradient(3))
    frames = png_files.chunk(b"acTL", (2).to_bytes(4, "big") + bytes(4))
    with pytest.raises(ImageError, match="has several frames; split it"):
        files.open_picture(content[:33] + frames + content[33:])


def test_pictures_within_a_tiff_are_not_unpacked():
    content = tiff(gradient(3), photometric="rgb", tile=(48, 64), compression="png")
    with pytest.raises(ImageError, match="a TIFF of uint16 packed as PNG is not handled; pack it"):
        files.open_picture(content)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
def test_tiffs_are_read_however_plainly_packed(compression):
    content = tiff(gradient(3), photometric="rgb", compression=compression)
    np.testing.assert_array_equal(files.open_picture(content).photograph.pixels, gradient(3))


def test_samples_count_as_pixels_do():
    content = tiff(gradient(60), photometric="rgb", planarconfig="contig", extrasamples=[0] * 57)
    files.open_picture(content, max_pixels=40 * 56 * 8)
    with pytest.raises(SizeError, match="its pixels have 120 bytes each, 0 MB, where 0 MB are"):
        files.open_picture(content, max_pixels=40 * 56 * 7)


def test_64_bits_become_32():
    opened = files.open_picture(tiff(gradient(3, np.float64), photometric="rgb"))
    assert opened.photograph.pixels.dtype == np.float32
    np.testing.assert_allclose(opened.photograph.pixels, gradient(3, np.float64), atol=1e-7)
