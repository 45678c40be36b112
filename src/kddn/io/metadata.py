"""What a picture's file says beside its pixels.

What describes the result stays, what would lie about it goes (orientation, thumbnails, overviews,
signatures), and what a format cannot hold is named.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import ExifTags, Image, MpoImagePlugin, TiffImagePlugin, TiffTags

from kddn.io import jpeg2000, png, tiff, xmp
from kddn.io.exif import SUB_DIRECTORIES, exif_segment, read_whole, with_all_letters
from kddn.io.photoshop import CAPTIONS, image_resources, jpeg_segments, resource_parts

BITS = "more than 8 bits a channel"
"""What is lost where a picture is cut down to 8."""

CHANNELS = "further channels"
"""What is lost where a format holds colours and transparency alone."""

_XMP_TAG, _PROFILE_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 700, 34675, 33723, 34377
_OF_THE_HAZY = {37724: "Photoshop's layers", 52545: "content credentials (C2PA)"}
"""TIFF's tags that hold or sign the picture as it was."""
_LAYOUT_TAGS = frozenset(
    {*range(254, 260), 262, 266, 273, 274, 277, 278, 279, 284, 317, *range(320, 324), 324, 325, 330}
    | {338, 339, 347, *range(512, 522), *range(529, 533), _PROFILE_TAG}
)
"""TIFF's tags of how pixels are laid out, which only those who write them can know."""

_EXIF_TAGS = frozenset(
    {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)}
    | {*SUB_DIRECTORIES}
)
"""Tags of a TIFF's first directory that belong to EXIF, and mean something elsewhere too."""

_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)

_PLACES = (0x9214, 0xA214)
"""EXIF's tags of where the subject is, in the picture as it lay."""

_PPM = re.compile(rb"P\d\s+" + 2 * rb"(?:#[^\n]*\n\s*)*\d+\s+" + rb"(?:#[^\n]*\n\s*)*(\d+)")
"""A header, up to the largest value."""

_USUAL_TRANSFER = (1, 2, 6, 13, 14, 15)
"""What H.273 calls the curves of BT.709 and sRGB, under all of their names, or none."""

_RGB_ALONE = ("WEBP", "AVIF")
"""Formats in which gray becomes RGB."""

_HOLDS: dict[str, set[str]] = {
    "JPEG": {"EXIF", "XMP", "colour profile", "IPTC", "comment"},
    "PNG": {"EXIF", "XMP", "colour profile", "text"},
    "TIFF": {"EXIF", "XMP", "colour profile", "IPTC", "geographic tags"},
    "WEBP": {"EXIF", "XMP", "colour profile"},
    "AVIF": {"EXIF", "XMP", "colour profile"},
    "HEIF": {"EXIF", "XMP", "colour profile"},
    "GIF": {"comment"},
    "JPEG2000": {"comment"},
}
"""What each format can say."""


@dataclass(frozen=True)
class Metadata:
    """What a file says, true of an upright result of the same size."""

    format: str = ""
    """PIL's name of the file's."""
    exif: Image.Exif | None = None
    """Without orientation and thumbnail; of a TIFF, with its other tags."""
    xmp: bytes = b""
    profile: bytes = b""
    """ICC's."""
    dpi: tuple[float, float] | None = None
    iptc: bytes = b""
    """Photoshop's image resources, IPTC's captions and keywords among them."""
    comment: bytes = b""
    chunks: tuple[png.Chunk, ...] = ()
    """Of a PNG, but for EXIF and XMP."""
    lost: tuple[str, ...] = ()
    """What no result has."""

    def upright(self, width: int, height: int, orientation: int) -> "Metadata":
        """What stays true once pixels are turned, or mirrored, as they are to be seen.

        Args:
            width: That of the upright picture.
            height: That of the upright picture.
            orientation: EXIF's, 1 to 8, of the picture as it lay.
        """
        exif, lost = self.exif, self.lost
        if exif is not None:
            for tag in (ExifTags.Base.Orientation, 256, 257):
                exif.pop(tag, None)
            camera = exif.get_ifd(ExifTags.IFD.Exif)
            for tag, side in {40962: width, 40963: height}.items():
                if tag in camera:
                    camera[tag] = side
            for tag in _PLACES if orientation != 1 else ():
                camera.pop(tag, None)
        packet = xmp.without_thumbnails(xmp.upright(self.xmp, width, height))
        if orientation != 1 and (rest := xmp.without_regions(packet)) != packet:
            packet, lost = rest, (*lost, "where faces are")
        dpi = self.dpi[::-1] if self.dpi and orientation > 4 else self.dpi
        return replace(self, exif=exif, xmp=packet, dpi=dpi, lost=lost)

    def cannot_hold(self, format: str) -> tuple[str, ...]:
        """What of it a format cannot say, by name."""
        said = {
            "EXIF": self._exif_for(format),
            "XMP": self.xmp,
            "colour profile": self.profile,
            "IPTC": self.iptc,
            "comment": self.comment,
            "text": [kind for kind, _ in self.chunks if kind in (b"tEXt", b"zTXt", b"iTXt")],
            "geographic tags": [tag for tag in _GEO_TAGS if self.exif and tag in self.exif],
        }
        holds = _HOLDS.get(format, set())
        missing = [name for name, value in said.items() if value and name not in holds]
        if format in _RGB_ALONE and self.profile and self.profile[16:20] != b"RGB ":
            missing.append("colour profile")
        if format != "PNG" and {b"cICP", b"gAMA", b"cHRM"} & {kind for kind, _ in self.chunks}:
            missing.append("PNG's description of its colours")
        if format == "JPEG":  # whose segments end at 64 kB
            missing += [name for name in ("EXIF", "XMP") if len(self._segment(name)) > 65_500]
        return tuple(missing)

    def options(self, format: str) -> dict[str, Any]:
        """What to tell Pillow when it saves, of what it can write."""
        lost = self.cannot_hold(format)
        exif: Any = self._exif_for(format)
        options: dict[str, Any] = {}
        if format == "PNG":
            return options  # see `finish`
        if self.dpi and format in ("JPEG", "TIFF", "BMP"):
            options["dpi"] = self.dpi
        if self.profile and "colour profile" not in lost:
            options["icc_profile"] = self.profile
        if exif and "EXIF" not in lost:
            options["exif"] = exif if format == "TIFF" else exif_segment(exif)
        if self.xmp and "XMP" not in lost and format != "TIFF":
            options["xmp"] = self.xmp
        if self.comment and "comment" not in lost:
            options["comment"] = self.comment
        if format == "JPEG" and self.iptc:
            options["extra"] = jpeg_segments(self.iptc)
        return options

    def finish(self, content: bytes, format: str) -> bytes:
        """Add to a file what those who wrote it could not."""
        if format == "PNG":
            return png.with_chunks(content, self._png_chunks(content))
        if format == "TIFF" and self.exif:
            own = {int(tag): with_all_letters(self.exif.get_ifd(tag)) for tag in SUB_DIRECTORIES}
            return tiff.with_directories(content, own)
        return content

    def tiff_tags(self) -> list[tuple[int, int, int, Any, bool]]:
        """The tags of a TIFF's first directory, as tifffile takes them."""
        exif = self._exif_for("TIFF")
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        for tag in exif or ():
            if tag not in (282, 283, 296):
                directory[tag] = exif[tag]  # type: ignore[index]
        return [tiff.tifffile_tag(directory, tag) for tag in directory]

    def _exif_for(self, format: str) -> Image.Exif | None:
        """Those of the tags that a format takes."""
        if self.exif is None:
            return None
        # Copied by hand, for Pillow's do not share what they have read.
        chosen = Image.Exif()
        chosen.endian = self.exif.endian
        for tag in self.exif:
            if tag not in _LAYOUT_TAGS and (format == "TIFF" or tag in _EXIF_TAGS):
                value = self.exif.get_ifd(tag) if tag in SUB_DIRECTORIES else self.exif[tag]
                chosen[tag] = with_all_letters(value)
        if format == "TIFF":
            for tag in (_XMP_TAG, *SUB_DIRECTORIES):  # see `finish`
                chosen.pop(tag, None)
            if self.xmp:
                chosen[_XMP_TAG] = self.xmp
            if self.iptc:
                chosen[_PHOTOSHOP_TAG] = self.iptc
        return chosen if len(chosen) else None

    def _segment(self, name: str) -> bytes:
        if name == "XMP":
            return self.xmp
        exif = self._exif_for("JPEG")
        return exif_segment(exif) if exif else b""

    def _png_chunks(self, content: bytes) -> Iterator[png.Chunk]:
        if self.format == "PNG":
            yield from (part for part in self.chunks if png.fits(part, content))
        else:
            if self.profile:
                yield b"iCCP", b"ICC profile\0\0" + zlib.compress(self.profile)
            if self.dpi:
                yield b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in self.dpi), 1)
        if self.xmp:
            yield b"iTXt", png.XMP_KEYWORD + b"\0\0\0\0\0" + self.xmp
        if exif := self._exif_for("PNG"):
            yield b"eXIf", exif_segment(exif).removeprefix(b"Exif\0\0")


def read(image: Image.Image, content: bytes) -> Metadata:
    """What a picture's file says; its pixels need not have been read.

    Args:
        image: The file as Pillow opened it.
        content: Its bytes.
    """
    kind = image.format or ""
    info = image.info
    if kind == "TIFF":
        overviews = ("overviews",) * (len(tiff.kinds_of_pages(image)) > 1)
        profile, dpi = _bytes(info.get("icc_profile")), _dpi(info.get("dpi"))
        found = of_tiff(image.getexif(), profile, dpi, overviews)
        found = replace(found, xmp=found.xmp or _bytes(info.get("xmp")).rstrip(b"\0"))
    else:
        exif, damaged = _whole(image.getexif)
        found = Metadata(
            "JPEG" if kind == "MPO" else kind,
            exif=exif,
            xmp=_bytes(info.get("xmp")).rstrip(b"\0"),
            profile=_bytes(info.get("icc_profile")),
            dpi=_dpi(info.get("dpi")),
            iptc=image_resources(info.get("photoshop")),
            comment=_comment(_comments(image)),
            lost=damaged,
        )
    found = replace(found, lost=(*_more_than_pillow_reads(image, content), *found.lost))
    tags = getattr(image, "tag_v2", None)
    if tags is not None and not {*tags} >= {282, 283}:  # for which Pillow takes 1
        found = replace(found, dpi=None)
    if kind == "PNG":
        kept, lost = png.extras(content)
        if image.mode.startswith("I") and "transparency" in info:  # one gray of 16 bits
            lost = (*lost, "transparency")
        packet = found.xmp or png.xmp(content)
        return replace(found, chunks=kept, xmp=packet, lost=(*found.lost, *lost))
    if kind in ("JPEG", "MPO"):
        return _without_what_is_behind(found, image)
    if kind == "HEIF":
        return replace(found, lost=(*found.lost, *_heif_extras(info)))
    if kind == "JPEG2000":
        return _with_boxes(found, content)
    return found


def _with_boxes(found: Metadata, content: bytes) -> Metadata:
    """What a JPEG 2000 says, with what stands in boxes of its own."""
    boxes = jpeg2000.said(content)
    exif = found.exif
    damaged: tuple[str, ...] = ()
    if "exif" in boxes:
        exif, damaged = _whole(lambda: _loaded(boxes["exif"]))
    profile, packet = boxes.get("profile", b""), boxes.get("xmp", b"")
    lost = (*found.lost, *damaged)
    return replace(
        found, exif=exif, profile=found.profile or profile, xmp=found.xmp or packet, lost=lost
    )


def _more_than_pillow_reads(image: Image.Image, content: bytes) -> tuple[str, ...]:
    """What of the pixels themselves is cut off: bits, channels, other sizes."""
    lost = []
    if image.mode in ("RGB", "RGBA", "L", "LA") and _bits(image, content[: 1 << 20]) > 8:
        lost.append(BITS)
    tags = getattr(image, "tag_v2", {})
    if tags.get(277, 1) > len(image.getbands()) and image.mode != "P":
        lost.append(CHANNELS)
    if image.format == "ICO" and len(image.info.get("sizes", ())) > 1:
        lost.append("its other sizes")
    if image.format in ("AVIF", "HEIF") and _has_colours_of_its_own(content[: 1 << 20]):
        lost.append("the description of its colours")
    return tuple(lost)


def _comments(image: Image.Image) -> Any:
    """A picture's comment; those of a JPEG that has several, a line each."""
    several = [data for name, data in getattr(image, "applist", ()) if name == "COM"]
    return b"\n".join(several) if len(several) > 1 else image.info.get("comment")


def _has_colours_of_its_own(start: bytes) -> bool:
    """Whether an AVIF or HEIF says in numbers (nclx) that its colours are not sRGB's."""
    place = start.find(b"colrnclx") + 8
    if place < 8 or len(start) < place + 4:
        return False
    primaries, transfer = struct.unpack(">HH", start[place : place + 4])
    return primaries not in (1, 2) or transfer not in _USUAL_TRANSFER


def _bits(image: Image.Image, start: bytes) -> int:
    """Bits a channel in a file of which Pillow gives 8."""
    if image.format == "JPEG2000" and (place := start.find(b"\xff\x4f\xff\x51")) >= 0:
        return (int.from_bytes(start[place + 42 : place + 43]) & 0x7F) + 1
    if image.format == "AVIF" and (place := start.find(b"pixi")) >= 0:
        return int.from_bytes(start[place + 9 : place + 10])
    if image.format == "PPM" and (header := _PPM.match(start)):
        return int(header[1]).bit_length()
    if image.format == "SGI":
        return 8 * start[3]
    return int(image.info.get("bit_depth", 8))


def of_tiff(
    exif: Image.Exif, profile: bytes, dpi: tuple[float, float] | None, lost: tuple[str, ...] = ()
) -> Metadata:
    """What a TIFF says beside its pixels, as its tags and the directories behind them say it."""
    captions = _captions_in_numbers(exif) or _bytes(exif.get(_IPTC_TAG))
    try:
        exif, damaged = read_whole(exif)
    except Exception:  # whatever damaged directories make Pillow raise
        return Metadata("TIFF", None, b"", profile, dpi, lost=(*lost, "EXIF (damaged)"))
    lost = (*lost, *damaged)
    for tag, name in _OF_THE_HAZY.items():
        if exif.pop(tag, None) is not None:
            lost = (*lost, name)
    resources = resource_parts(_bytes(exif.pop(_PHOTOSHOP_TAG, None)))
    if captions:
        resources.setdefault(CAPTIONS, captions)
    packet = _bytes(exif.get(_XMP_TAG))
    return Metadata("TIFF", exif, packet, profile, dpi, image_resources(resources), lost=lost)


def _loaded(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


def _whole(load: Callable[[], Image.Exif]) -> tuple[Image.Exif | None, tuple[str, ...]]:
    """EXIF, or none where it is damaged all over, and what of it is lost."""
    try:
        return read_whole(load())
    except Exception:  # whatever a damaged one makes Pillow raise
        return None, ("EXIF (damaged)",)


def _captions_in_numbers(exif: Image.Exif) -> bytes:
    """IPTC's captions, taken out of a TIFF's tags where they are written as numbers of 32 bits.

    Pillow would read the first of these alone.
    """
    tags: Any = exif._info
    if tags is None or tags.tagtype.get(_IPTC_TAG) != TiffTags.LONG:
        return b""
    captions: bytes = tags._tagdata.get(_IPTC_TAG) or b""
    del exif[_IPTC_TAG]
    return captions


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return bytes(value) if isinstance(value, bytes | tuple) else b""


def _comment(value: Any) -> bytes:
    """A comment, unless it is an encoder's about itself."""
    comment = _bytes(value)
    return b"" if comment.startswith(_ENCODERS) else comment


_ENCODERS = (b"Created by OpenJPEG", b"Kakadu-", b"CREATOR: gd-jpeg")
"""How encoders begin comments about themselves."""


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(dots) for dots in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if across > 0 and down > 0 else None


def _without_what_is_behind(found: Metadata, image: Image.Image) -> Metadata:
    """A JPEG without what is behind its picture, and without the announcement of it."""
    lost = []
    packet = found.xmp
    behind = [kind for kind in _kinds_of_pictures(image)[1:] if "Thumbnail" not in kind]
    if xmp.announces_gain_map(packet):
        packet = xmp.without_gain_map(packet)
        lost.append("gain map")
    elif behind:
        lost.append("other pictures behind it")
    if xmp.announces_video(packet):
        packet = xmp.without_video(packet)
        lost.append("video behind it")
    if xmp.announces_more(packet):
        packet = xmp.without_more(packet)
        lost.append("extended XMP")
    if any(
        name == "APP11" and b"jumb" in data[:64] for name, data in getattr(image, "applist", [])
    ):
        lost.append("content credentials (C2PA)")
    return replace(found, xmp=packet, lost=(*found.lost, *lost))


def _kinds_of_pictures(image: Image.Image) -> list[str]:
    """What a JPEG of several pictures says of each."""
    if not isinstance(image, MpoImagePlugin.MpoImageFile):
        return []
    entries = (image.mpinfo or {}).get(0xB002, ())
    return [str(entry["Attribute"]["MPType"]) for entry in entries]


def _heif_extras(info: dict[Any, Any]) -> tuple[str, ...]:
    lost = []
    if info.get("depth_images"):
        lost.append("depth map")
    if any("hdrgainmap" in str(name) for name in info.get("aux") or ()):
        lost.append("gain map")
    return tuple(lost)
