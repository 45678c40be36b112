"""Any picture file in, the same kind of picture file out: a property over sizes, modes, formats."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from kddn import Dehazer

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
