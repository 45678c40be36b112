"""What a picture's file says beside its pixels.

What describes the result stays, what would lie about it goes (orientation, thumbnails, overviews,
signatures), and what a format cannot hold is named.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import ExifTags, Image, MpoImagePlugin, TiffImagePlugin

from kddn.errors import ImageError

Chunk = tuple[bytes, bytes]
"""Of a PNG: four letters, and what follows."""

BITS = "more than 8 bits a channel"
"""What is lost where a picture is cut down to 8."""

PNG = b"\x89PNG\r\n\x1a\n"

_COLOUR_CHUNKS = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"mDCV", b"cLLI"}
_OTHER_CHUNKS = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"oFFs", b"sTER"}
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Samples of PNG's colour types, as sBIT counts them."""

_THUMBNAILS = (0x0409, 0x040C)
"""Photoshop's image resources that hold a small picture."""

_XMP_TAG, _PROFILE_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 700, 34675, 33723, 34377
_MOST_PAGES = 1000
"""Pages of a TIFF that are looked at."""

_SUB_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_LAYOUT_TAGS = frozenset(
    {*range(254, 260), 262, 266, 273, 274, 277, 278, 279, 284, 317, *range(320, 324), 324, 325, 330}
    | {338, 339, 347, *range(512, 522), *range(529, 533), _PROFILE_TAG}
)
"""TIFF's tags of how pixels are laid out, which only those who write them can know."""

_EXIF_TAGS = frozenset(
    {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)}
    | {*_SUB_IFDS}
)
"""Tags of a TIFF's first directory that belong to EXIF, and mean something elsewhere too."""

_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)

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
    chunks: tuple[Chunk, ...] = ()
    """Of a PNG, but for EXIF and XMP."""
    lost: tuple[str, ...] = ()
    """What no result has."""

    def upright(self, width: int, height: int, *, turned: bool) -> "Metadata":
        """What stays true once pixels are turned as they are to be seen."""
        exif = self.exif
        if exif is not None:
            for tag in (ExifTags.Base.Orientation, 256, 257):
                exif.pop(tag, None)
            camera = exif.get_ifd(ExifTags.IFD.Exif)
            for tag, side in {40962: width, 40963: height}.items():
                if tag in camera:
                    camera[tag] = side
        xmp = _without_thumbnails(_upright_xmp(self.xmp))
        dpi = self.dpi[::-1] if self.dpi and turned else self.dpi
        return replace(self, exif=exif, xmp=xmp, dpi=dpi)

    def cannot_hold(self, format: str) -> tuple[str, ...]:
        """What of it a format cannot say, by name."""
        said = {
            "EXIF": self._exif_for(format),
            "XMP": self.xmp,
            "colour profile": self.profile,
            "IPTC": self._resources(),
            "comment": self.comment,
            "text": [kind for kind, _ in self.chunks if kind in (b"tEXt", b"zTXt", b"iTXt")],
            "geographic tags": [tag for tag in _GEO_TAGS if self.exif and tag in self.exif],
        }
        missing = [name for name, value in said.items() if value and name not in _holds(format)]
        if format != "PNG" and {b"cICP", b"gAMA", b"cHRM"} & {kind for kind, _ in self.chunks}:
            missing.append("PNG's description of its colours")
        if format == "JPEG":  # whose segments end at 64 kB
            missing += [name for name in ("EXIF", "XMP") if len(self._segment(name)) > 65_500]
        return tuple(missing)

    def options(self, format: str) -> dict[str, Any]:
        """What to tell Pillow when it saves, of what it can write."""
        lost, holds = self.cannot_hold(format), _holds(format)
        exif = self._exif_for(format)
        options: dict[str, Any] = {}
        if format == "PNG":
            return options  # see `finish`
        if self.dpi and format in ("JPEG", "TIFF", "BMP"):
            options["dpi"] = self.dpi
        if self.profile and "colour profile" in holds:
            options["icc_profile"] = self.profile
        if exif and "EXIF" in holds and "EXIF" not in lost:
            options["exif"] = exif
        if self.xmp and "XMP" in holds and "XMP" not in lost and format != "TIFF":
            options["xmp"] = self.xmp
        if self.comment and "comment" in holds:
            options["comment"] = self.comment
        if format == "JPEG" and (resources := self._resources()):
            options["extra"] = _photoshop_segments(resources)
        return options

    def finish(self, content: bytes, format: str) -> bytes:
        """Add to a file what those who wrote it could not."""
        if format == "PNG":
            return with_chunks(content, self._png_chunks(content))
        if format == "TIFF" and self.exif:
            return _with_directories(content, self.exif)
        return content

    def tiff_tags(self) -> list[tuple[int, int, int, Any, bool]]:
        """The tags of a TIFF's first directory, as tifffile takes them."""
        exif = self._exif_for("TIFF")
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        for tag in exif or ():
            if tag not in (282, 283, 296):
                directory[tag] = exif[tag]  # type: ignore[index]
        return [_tifffile_tag(directory, tag) for tag in directory]

    def _exif_for(self, format: str) -> Image.Exif | None:
        """Those of the tags that a format takes."""
        if self.exif is None:
            return None
        # Copied by hand, for Pillow's do not share what they have read.
        chosen = Image.Exif()
        chosen.endian = self.exif.endian
        for tag in self.exif:
            if tag not in _LAYOUT_TAGS and (format == "TIFF" or tag in _EXIF_TAGS):
                chosen[tag] = self.exif.get_ifd(tag) if tag in _SUB_IFDS else self.exif[tag]
        if format == "TIFF":
            for tag in (_XMP_TAG, *_SUB_IFDS):  # see `finish`
                chosen.pop(tag, None)
            if self.xmp:
                chosen[_XMP_TAG] = self.xmp
            if self.iptc:
                chosen[_PHOTOSHOP_TAG] = self.iptc
        return chosen if len(chosen) else None

    def _resources(self) -> bytes:
        """Photoshop's image resources, of a TIFF from its tags."""
        tags: Any = self.exif or {}
        if captions := _bytes(tags.get(_IPTC_TAG)):
            captions = _image_resources({0x0404: captions})
        return self.iptc or _bytes(tags.get(_PHOTOSHOP_TAG)) or captions

    def _segment(self, name: str) -> bytes:
        if name == "XMP":
            return self.xmp
        exif = self._exif_for("JPEG")
        return exif.tobytes() if exif else b""

    def _png_chunks(self, content: bytes) -> Iterator[Chunk]:
        if self.format == "PNG":
            samples = _SAMPLES.get(content[25], 0)
            for kind, data in self.chunks:
                if kind != b"sBIT" or len(data) == samples:
                    yield kind, data
        else:
            if self.profile:
                yield b"iCCP", b"ICC profile\0\0" + zlib.compress(self.profile)
            if self.dpi:
                yield b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in self.dpi), 1)
        if self.xmp:
            yield b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + self.xmp
        if exif := self._exif_for("PNG"):
            yield b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")


def _holds(format: str) -> set[str]:
    return _HOLDS.get(format, set())


def read(image: Image.Image, content: bytes) -> Metadata:
    """What a picture's file says; its pixels need not have been read.

    Args:
        image: The file as Pillow opened it.
        content: Its bytes.
    """
    kind = image.format or ""
    info = image.info
    found = Metadata(
        "JPEG" if kind == "MPO" else kind,
        exif=_exif(image),
        xmp=_bytes(info.get("xmp")).rstrip(b"\0"),
        profile=_bytes(info.get("icc_profile")),
        dpi=_dpi(info.get("dpi")),
        iptc=_image_resources(info.get("photoshop")),
        comment=_comment(info.get("comment")),
    )
    found = replace(found, lost=_more_than_pillow_reads(image, content))
    if kind == "PNG":
        kept, lost = _png_extras(content)
        return replace(found, chunks=kept, lost=lost)
    if kind in ("JPEG", "MPO"):
        return _without_gain_map(found, image)
    if kind == "HEIF":
        return replace(found, lost=(*found.lost, *_heif_extras(info)))
    if kind == "TIFF":
        exif = found.exif or Image.Exif()
        return replace(
            found,
            xmp=_bytes(exif.get(_XMP_TAG)) or found.xmp,
            lost=(*found.lost, *("overviews",) * (len(kinds_of_pages(image)) > 1)),
        )
    return found


def _more_than_pillow_reads(image: Image.Image, content: bytes) -> tuple[str, ...]:
    """What of the pixels themselves is cut off: bits, channels, other sizes."""
    lost = []
    if image.mode in ("RGB", "RGBA", "L", "LA") and _bits(image, content[: 1 << 20]) > 8:
        lost.append(BITS)
    tags = getattr(image, "tag_v2", {})
    if tags.get(277, 1) > len(image.getbands()) and image.mode != "P":
        lost.append("further channels")
    if image.format == "ICO" and len(image.info.get("sizes", ())) > 1:
        lost.append("its other sizes")
    return tuple(lost)


def _bits(image: Image.Image, start: bytes) -> int:
    """Bits a channel in a file of which Pillow gives 8."""
    if image.format == "JPEG2000" and (place := start.find(b"\xff\x4f\xff\x51")) >= 0:
        return (start[place + 42] & 0x7F) + 1
    if image.format == "AVIF" and (place := start.find(b"pixi")) >= 0:
        return start[place + 9]
    if image.format == "PPM" and (header := re.match(rb"P\d\s(?:#.*\s)*\d+\s+\d+\s+(\d+)", start)):
        return int(header[1]).bit_length()
    return int(image.info.get("bit_depth", 8))


def kinds_of_pages(image: Image.Image) -> list[int]:
    """What a TIFF says of each of its pages (NewSubfileType), readable or not."""
    file = image.fp  # type: ignore[attr-defined]
    before = file.tell()
    file.seek(0)
    header = file.read(16)
    header = header if header[2:4] in (b"+\0", b"\0+") else header[:8]  # + is BigTIFF's
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    kinds: list[int] = []
    places: set[int] = set()
    while (place := directory.next) and place not in places:
        if len(places) == _MOST_PAGES:  # each takes time, and a file may claim millions
            raise ImageError(f"it has more than {_MOST_PAGES} pages; split it into single pictures")
        places.add(place)
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(place)
        directory.load(file)
        kinds.append(int(directory.get(254, 0)))
    file.seek(before)
    return kinds


def is_overview(kind: int) -> bool:
    """Whether a page of a TIFF is a smaller copy of another, or its mask."""
    return bool(kind & 0b101)


def tiff(
    exif: Image.Exif, profile: bytes, dpi: tuple[float, float] | None, lost: tuple[str, ...] = ()
) -> Metadata:
    """What a TIFF says whose pixels Pillow does not read."""
    return Metadata("TIFF", exif, _bytes(exif.get(_XMP_TAG)), profile, dpi, lost=lost)


def _exif(image: Image.Image) -> Image.Exif | None:
    """EXIF, or none where it is damaged."""
    try:
        return read_whole(image.getexif())
    except Exception:  # whatever a damaged one makes Pillow raise
        return None


def read_whole(exif: Image.Exif) -> Image.Exif:
    """EXIF that no longer needs its file."""
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    if ExifTags.IFD.Interop in camera:
        camera[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    exif.get_ifd(ExifTags.IFD.GPSInfo)
    exif.tobytes()
    return exif


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return bytes(value) if isinstance(value, bytes | tuple) else b""


def _comment(value: Any) -> bytes:
    """A comment, unless it is an encoder's about itself."""
    comment = _bytes(value)
    return b"" if comment.startswith((b"Created by", b"Kakadu", b"CREATOR")) else comment


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(dots) for dots in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if across > 0 and down > 0 else None


def _image_resources(resources: Any) -> bytes:
    """Photoshop's image resources put together again, but for thumbnails."""
    parts = []
    for code, data in resources.items() if isinstance(resources, dict) else ():
        if isinstance(data, bytes) and code not in _THUMBNAILS:
            padded = data + b"\0" * (len(data) % 2)
            parts.append(b"8BIM" + struct.pack(">HHI", code, 0, len(data)) + padded)
    return b"".join(parts)


def _photoshop_segments(resources: bytes) -> bytes:
    """As JPEG's APP13, in as many segments as it takes."""
    name, size = b"Photoshop 3.0\0", 65_000
    parts = [resources[place : place + size] for place in range(0, len(resources), size)]
    return b"".join(
        b"\xff\xed" + struct.pack(">H", 2 + len(name) + len(part)) + name + part for part in parts
    )


def _without_gain_map(found: Metadata, image: Image.Image) -> Metadata:
    """A JPEG without what is behind its picture, and without the announcement of it."""
    lost = []
    xmp = found.xmp
    behind = [kind for kind in _kinds_of_pictures(image)[1:] if "Thumbnail" not in kind]
    if b"http://ns.adobe.com/hdr-gain-map/" in xmp:
        prefix = _prefix(xmp, rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/")
        xmp = re.sub(rb'\s%s:\w+="[^"]*"' % prefix, b"", xmp)
        xmp = re.sub(rb"<%s:(\w+)>.*?</%s:\1>" % (prefix, prefix), b"", xmp, flags=re.S)
        directory = _prefix(xmp, rb"http://ns\.google\.com/photos/1\.0/container/")
        xmp = re.sub(
            rb"<%s:Directory>.*?</%s:Directory>" % (directory, directory), b"", xmp, flags=re.S
        )
        lost.append("gain map")
    elif behind:
        lost.append("other pictures behind it")
    if any(
        name == "APP11" and b"jumb" in data[:64] for name, data in getattr(image, "applist", [])
    ):
        lost.append("content credentials (C2PA)")
    return replace(found, xmp=xmp, lost=tuple(lost))


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


def _prefix(xmp: bytes, namespace: bytes) -> bytes:
    """What a namespace is called in an XMP packet; of a namespace that it lacks, what no one is."""
    found = re.search(rb"""xmlns:([\w.-]+)\s*=\s*["']%s["']""" % namespace, xmp)
    return re.escape(found[1]) if found else b"(?!)"


def _upright_xmp(xmp: bytes) -> bytes:
    """XMP that says that the picture is upright."""
    tiff = _prefix(xmp, rb"http://ns\.adobe\.com/tiff/1\.0/")
    xmp = re.sub(rb"""(\b%s:Orientation\s*=\s*["'])\d(["'])""" % tiff, rb"\g<1>1\2", xmp)
    return re.sub(rb"(<%s:Orientation>\s*)\d(\s*<)" % tiff, rb"\g<1>1\2", xmp)


def _without_thumbnails(xmp: bytes) -> bytes:
    prefix = _prefix(xmp, rb"http://ns\.adobe\.com/xap/1\.0/")
    pattern = rb"<%s:Thumbnails>.*?</%s:Thumbnails>" % (prefix, prefix)
    return re.sub(pattern, b"", xmp, flags=re.S)


def _chunks(content: bytes) -> Iterator[Chunk]:
    """A PNG's chunks, in their order, those that are cut short left out."""
    place = len(PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        data = content[place + 8 : place + 8 + length]
        if len(data) == length:
            yield content[place + 4 : place + 8], data
        place += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(content: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A PNG with more chunks, behind its header."""
    after_header = len(PNG) + 25
    more = b"".join(_chunk(kind, data) for kind, data in chunks)
    return content[:after_header] + more + content[after_header:]


def _png_extras(content: bytes) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """Chunks that stay, and what is lost with the others."""
    kept, lost = [], []
    for kind, data in _chunks(content):
        known = kind in _COLOUR_CHUNKS | _OTHER_CHUNKS
        copied = kind[:1].islower() and kind[3:].islower()  # the standard's "safe to copy"
        if _is_exif_or_xmp(kind, data):
            continue
        if kind == b"iCCP" and not _is_profile(data):
            lost.append("colour profile (damaged)")
        elif known or (copied and kind not in (b"eXIf", b"hIST", b"sPLT")):
            kept.append((kind, data))
        elif kind == b"caBX":
            lost.append("content credentials (C2PA)")
    return tuple(kept), tuple(lost)


def _is_exif_or_xmp(kind: bytes, data: bytes) -> bool:
    """Whether a chunk says what is written anew, as text too."""
    if kind == b"iTXt":
        return data.startswith(_XMP_KEYWORD + b"\0")
    return kind in (b"tEXt", b"zTXt") and bool(
        re.match(rb"Raw profile type (exif|APP1|xmp)\0", data)
    )


def _is_profile(data: bytes) -> bool:
    _, _, packed = data.partition(b"\0")
    try:
        return len(zlib.decompress(packed[1:])) >= 128
    except zlib.error:
        return False


def _tifffile_tag(
    directory: TiffImagePlugin.ImageFileDirectory_v2, tag: int
) -> tuple[int, int, int, Any, bool]:
    kind, value = directory.tagtype[tag], directory[tag]
    if isinstance(value, str | bytes):
        return tag, kind, 0 if isinstance(value, str) else len(value), value, True
    values = list(value) if isinstance(value, tuple) else [value]
    count = len(values)
    if kind in (5, 10):  # fractions
        values = [part for v in values for part in (v.numerator, v.denominator)]
    return tag, kind, count, tuple(values) if len(values) > 1 else values[0], True


def _with_directories(content: bytes, exif: Image.Exif) -> bytes:
    """A TIFF with EXIF's and GPS's directories at its end, which neither writer writes."""
    directories = {tag: exif.get_ifd(tag) for tag in _SUB_IFDS}
    directories = {tag: values for tag, values in directories.items() if values}
    if not directories or content[:4] != b"II*\0":
        return content
    (first,) = struct.unpack("<L", content[4:8])
    (count,) = struct.unpack("<H", content[first : first + 2])
    end = first + 2 + 12 * count
    entries = [content[place : place + 12] for place in range(first + 2, end, 12)]
    added = b"\0" * (len(content) % 2)
    for tag, values in directories.items():
        directory = TiffImagePlugin.ImageFileDirectory_v2(group=tag)
        for key, value in values.items():
            directory[key] = value
        place = len(content) + len(added)
        data = directory.tobytes(place)
        added += data + b"\0" * (len(data) % 2)
        entries = [entry for entry in entries if entry[:2] != struct.pack("<H", tag)]
        entries.append(struct.pack("<HHLL", tag, 4, 1, place))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    place = len(content) + len(added)
    added += struct.pack("<H", len(entries)) + b"".join(entries) + content[end : end + 4]
    return content[:4] + struct.pack("<L", place) + content[8:] + added
