"""Files that cameras, scanners and other programs write and that few expect."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, TiffTags

from helpers import hazy_photograph
from kddn import ImageError
from kddn.errors import TakenError
from kddn.io import files, limits, metadata, png, writing
from kddn.io.exif import exif_segment

CAPTIONS = b"\x1c\x02\x78\0\x0dA hill in fog"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/'
    b'regions/">%s</rdf:Description></rdf:RDF></x:xmpmeta>'
)
REGIONS = (
    b'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Seq><rdf:li mwg-rs:Name="Eva'
    b'"/></rdf:Seq></mwg-rs:RegionList></mwg-rs:Regions>'
)


def resource(code, data):
    return b"8BIM" + struct.pack(">HHI", code, 0, len(data)) + data + b"\0" * (len(data) % 2)


def pixels(dtype=np.uint8, channels=3):
    ramp = np.linspace(20, 230, 40 * 60 * channels).reshape(40, 60, channels).squeeze()
    return (ramp * (257 if dtype == np.uint16 else 1)).astype(dtype)


def tiff_of(values, **options):
    buffer = io.BytesIO()
    options = {"photometric": "rgb", "metadata": None} | options
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def jpeg(**options):
    buffer = io.BytesIO()
    hazy_photograph(60, 40).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def again(content, kind=None):
    """A file that is read and written with the same pixels, and what that loses."""
    opened = files.open_picture(content)
    kind = kind or opened.format
    same = opened.photograph.rebuild(opened.photograph.pixels)
    return opened.encode(same, kind), opened.lost(kind)


def exif_of(group, tag, kind, count, value):
    """EXIF of a maker, an artist, and one tag of a directory behind, byte by byte."""
    strings = b"Canon\0Ansel\0"
    at_strings = 8 + 2 + 3 * 12 + 4
    at_group = at_strings + len(strings)
    entries = [(271, 2, 6, at_strings), (315, 2, 6, at_strings + 6), (group, 4, 1, at_group)]
    first = struct.pack("<H", 3) + b"".join(struct.pack("<HHLL", *each) for each in entries)
    inner = struct.pack("<HHHL", 1, tag, kind, count)
    place = at_group + 2 + 12 + 4
    inner += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<L", place)
    inner += bytes(4) + (value if len(value) > 4 else b"")
    return b"Exif\0\0II*\0" + struct.pack("<L", 8) + first + bytes(4) + strings + inner


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_of_16_bits_whose_white_is_zero_is_no_negative(order):
    gray = pixels(np.uint16, 1)
    content = tiff_of(gray, photometric="miniswhite", byteorder=order)
    np.testing.assert_array_equal(
        files.open_picture(content).photograph.pixels[..., 0], 65535 - gray
    )
    page = tifffile.TiffFile(io.BytesIO(again(content)[0])).pages.first
    assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    np.testing.assert_array_equal(page.asarray(), 65535 - gray)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_keeps_nothing_of_the_hazy_picture(dtype):
    small, kept = resource(0x040C, b"a small picture"), resource(0x040F, b"abcd")
    tags = [(37724, b"layers"), (52545, b"signed"), (34377, small + kept)]
    content = tiff_of(
        pixels(dtype), extratags=[(tag, 7, len(value), value, True) for tag, value in tags]
    )
    result, lost = again(content)
    assert {"Photoshop's layers", "content credentials (C2PA)"} <= set(lost)
    found = tifffile.TiffFile(io.BytesIO(result)).pages.first.tags
    assert 37724 not in found
    assert 52545 not in found
    assert found[34377].value == kept


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [TiffTags.LONG, TiffTags.UNDEFINED])
@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_captions_stay_beside_other_resources_of_photoshops(dtype, kind, format):
    padded = CAPTIONS + b"\0\0"
    numbers = struct.unpack("<5L", padded) if kind == TiffTags.LONG else padded
    others = resource(0x040F, b"abcd")
    tags = [(33723, kind, len(numbers), numbers, True), (34377, 7, len(others), others, True)]
    result, lost = again(tiff_of(pixels(dtype), extratags=tags), format)
    assert not {"IPTC", "further channels"} & set(lost)
    assert resource(0x0404, padded) in result
    assert others in result


WRONG = {
    "below the sea": (34853, 6, 10, 1, struct.pack("<ll", -5, 1)),
    "version as text": (34853, 0, 2, 8, b"2.2.0.0\0"),
    "time as text": (34853, 7, 2, 9, b"12:00:00\0"),
    "place as text": (34853, 2, 2, 8, b"48.1234\0"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "16 bit"])
def test_a_tag_of_another_type_goes_alone_and_is_named(wrong, format):
    said = exif_of(*wrong)
    if format == "16 bit":
        content = png.with_chunks(imagecodecs.png_encode(pixels(np.uint16)), [(b"eXIf", said[6:])])
    else:
        content = jpeg(exif=said)
    result, lost = again(content, "PNG" if format == "16 bit" else format)
    assert "damaged entries of EXIF" in lost
    with Image.open(io.BytesIO(result)) as image:
        found = image.getexif()
        assert found[ExifTags.Base.Artist] == "Ansel"
        assert wrong[1] not in found.get_ifd(34853)


def test_exif_that_cannot_be_written_again_does_not_keep_a_picture_lying():
    said = exif_of(*WRONG["below the sea"])
    turned = said.replace(struct.pack("<HHLL", 271, 2, 6, 50), struct.pack("<HHLL", 274, 3, 1, 6))
    assert turned != said
    assert files.open_picture(jpeg(exif=turned)).photograph.pixels.shape == (60, 40, 3)


def test_tags_keep_the_types_that_exif_gives_them():
    for tag, kind, value in (
        (37500, 7, b"Nikon\0\2\1"),
        (37510, 7, b"ASCII\0\0\0hello"),
        (37380, 10, struct.pack("<ll", 2, 3)),
    ):
        content = jpeg(exif=exif_of(34665, tag, kind, 1 if kind == 10 else len(value), value))
        entry = struct.pack("<HHL", tag, kind, 1 if kind == 10 else len(value))
        for target in ("JPEG", "PNG", "WEBP", "TIFF"):
            result, lost = again(content, target)
            assert lost == ()
            assert entry in result, (tag, target)


def test_a_tiff_may_have_as_many_pixels_as_any_other(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    content = tiff_of(pixels(), compression="deflate")
    assert files.open_picture(content).photograph.pixels.shape == (40, 60, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize(
    ("primaries", "transfer", "named"), [(1, 13, False), (12, 13, True), (9, 16, True)]
)
def test_colours_told_in_numbers_are_named_where_they_are_no_srgb(primaries, transfer, named):
    content = imagecodecs.avif_encode(
        pixels(), level=90, primaries=primaries, transfer=transfer, matrix=6
    )
    assert ("the description of its colours" in again(content)[1]) == named
    assert ("the description of its colours" in again(content, "PNG")[1]) == named


@pytest.mark.parametrize("segment", [b"", b"http://ns.adobe.com/xap/1.0/\0"])
def test_xmp_that_imagemagick_wrote_as_text_stays(segment):
    packet = XMP % b""
    data = segment + packet
    name = b"APP1" if segment else b"xmp"
    text = b"\n" + name + b"\n%8d\n" % len(data) + data.hex().encode() + b"\n"
    buffer = io.BytesIO()
    hazy_photograph(60, 40).save(buffer, "PNG")
    content = png.with_chunks(
        buffer.getvalue(), [(b"tEXt", b"Raw profile type " + name + b"\0" + text)]
    )
    with Image.open(io.BytesIO(again(content)[0])) as image:
        assert image.info["xmp"] == packet
    broken = png.with_chunks(buffer.getvalue(), [(b"zTXt", b"Raw profile type xmp\0\0broken")])
    assert again(broken)[1] == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_where_the_subject_is_goes_with_any_turn(orientation):
    said = Image.Exif()
    said[ExifTags.Base.Orientation] = orientation
    said.get_ifd(ExifTags.IFD.Exif)[0x9214] = (10, 5, 4, 4)
    result, lost = again(jpeg(exif=said, xmp=XMP % REGIONS))
    with Image.open(io.BytesIO(result)) as image:
        assert (0x9214 in image.getexif().get_ifd(ExifTags.IFD.Exif)) == (orientation == 1)
        assert image.info["xmp"] == (XMP % REGIONS if orientation == 1 else XMP % b"")
    assert ("where faces are" in lost) == (orientation != 1)


def test_the_transparent_colour_of_16_bits_stays_transparent():
    values = pixels(np.uint16)
    key = struct.pack(">3H", *values[3, 4].tolist())
    content = png.with_chunks(imagecodecs.png_encode(values), [(b"tRNS", key)])
    result = imagecodecs.png_decode(again(content)[0])
    alpha = np.full((40, 60), 65535)
    alpha[3, 4] = 0
    np.testing.assert_array_equal(result[..., :3], values)
    np.testing.assert_array_equal(result[..., 3], alpha)


def test_what_is_not_handled_is_told_for_what_it_is():
    content = tiff_of(pixels(channels=4), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="of kind MINISBLACK, 4 samples of uint8 packed as NONE"):
        files.open_picture(content)
    five = np.concatenate([pixels(np.uint16), pixels(np.uint16)[..., :2]], 2)
    many = tiff_of(five, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="MINISBLACK, 5 samples of uint16, is not handled"):
        files.open_picture(many)


@pytest.mark.parametrize(("first", "channels"), [("unassalpha", 4), ("unspecified", 3)])
def test_a_saved_selection_beside_16_bit_colour_goes_and_is_named(first, channels):
    five = np.concatenate([pixels(np.uint16), pixels(np.uint16)[..., :2]], 2)
    result, lost = again(tiff_of(five, extrasamples=[first, "unspecified"]))
    assert lost == (metadata.CHANNELS,)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(result)), five[..., :channels])


def test_a_tiff_that_begins_with_the_letters_of_a_raw_file_is_none():
    values = pixels()
    values[0, 0] = (67, 82, 2 + 1)
    rows = values.tobytes()
    at_bits = 8 + len(rows) + 2 + 12 * 10 + 4
    entries = [(256, 60), (257, 40), (258, at_bits), (259, 1), (262, 2), (273, 8), (277, 3)]
    entries += [(278, 40), (279, len(rows)), (284, 1)]
    packed = b"".join(
        struct.pack("<HHLL", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, value)
        for tag, value in entries
    )
    content = b"II*\0" + struct.pack("<L", 8 + len(rows)) + rows + struct.pack("<H", 10) + packed
    opened = files.open_picture(content + bytes(4) + struct.pack("<3H", 8, 8, 8))
    np.testing.assert_array_equal(opened.photograph.pixels, values)


def test_a_png_may_hold_a_profile_of_more_than_a_megabyte():
    buffer = io.BytesIO()
    profile = bytes(3 << 20)
    hazy_photograph(60, 40).save(buffer, "PNG", icc_profile=profile)
    with limits.open_image(io.BytesIO(buffer.getvalue())) as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize(("kind", "written"), [("440", 0), ("411", 0), ("444", 0), ("420", 2)])
def test_chroma_keeps_at_least_its_resolution(kind, written):
    from PIL import JpegImagePlugin

    content = imagecodecs.jpeg8_encode(pixels(), level=90, subsampling=kind)
    with Image.open(io.BytesIO(again(content)[0])) as image:
        assert JpegImagePlugin.get_sampling(image) == written


def test_comments_are_peoples_unless_they_are_known_to_be_an_encoders():
    ours = b"Created by Jane Doe, from the tower"
    with Image.open(io.BytesIO(again(jpeg(comment=ours))[0])) as image:
        assert image.info["comment"] == ours
    with Image.open(io.BytesIO(again(jpeg(comment=b"CREATOR: gd-jpeg v1.0"))[0])) as image:
        assert "comment" not in image.info


def test_a_link_that_leads_nowhere_is_called_so(tmp_path):
    link = tmp_path / "a.png"
    link.symlink_to(tmp_path / "gone.png")
    with pytest.raises(TakenError, match=r"a\.png is a link that leads nowhere"):
        writing.check_free(link, overwrite=False)


def test_containers_of_one_name_are_told_apart(monkeypatch):
    if not Path("/proc/self/ns/pid").exists():
        pytest.skip("no /proc")
    here = writing._host()
    monkeypatch.setattr(writing, "_container", lambda: b"another")
    writing._host.cache_clear()
    there = writing._host()
    writing._host.cache_clear()
    assert here.partition(".")[0] == there.partition(".")[0]
    assert here != there


@pytest.mark.parametrize("size", [(0, 0), (4, 0)])
def test_pictures_without_pixels_are_refused(size):
    from kddn.io.image import from_pil

    for mode in ("RGB", "I;16", "P"):
        with pytest.raises(ImageError, match="it has no pixels"):
            from_pil(Image.new(mode, size))


def test_directories_of_either_byte_order_get_their_types():
    said = Image.Exif()
    said.endian = ">"
    said.get_ifd(ExifTags.IFD.Exif)[37500] = b"Nikon\0\2\1"
    assert struct.pack(">HHL", 37500, 7, 8) in exif_segment(said)
