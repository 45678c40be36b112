"""TIFF's pages and directories: what Pillow and tifffile leave to others."""

import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image, TiffImagePlugin

from kddn.errors import ImageError
from kddn.io.exif import with_kinds

MOST_PAGES = 1000
"""Pages of a file that are looked at."""


def check_pages(count: int) -> None:
    """See that a file has no more pages than are looked at: it may claim millions.

    Raises:
        ImageError: If it has.
    """
    if count > MOST_PAGES:
        raise ImageError(f"it has more than {MOST_PAGES} pages; split it into single pictures")


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
        places.add(place)
        check_pages(len(places))
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(place)
        directory.load(file)
        kind = directory.get(254, 0)
        kinds.append(kind if isinstance(kind, int) else 0)
    file.seek(before)
    return kinds


def is_overview(kind: int) -> bool:
    """Whether a page of a TIFF is a smaller copy of another, or its mask."""
    return bool(kind & 0b101)


def tifffile_tag(
    directory: TiffImagePlugin.ImageFileDirectory_v2, tag: int
) -> tuple[int, int, int, Any, bool]:
    """A tag as tifffile takes it."""
    kind, value = directory.tagtype[tag], directory[tag]
    if isinstance(value, str):
        value = value.encode("latin-1", "replace") + b"\0"  # bytes, for ASCII does not hold all
    if isinstance(value, bytes):
        return tag, kind, len(value), value, True
    values = list(value) if isinstance(value, tuple) else [value]
    count = len(values)
    if kind in (5, 10):  # fractions
        values = [part for v in values for part in (v.numerator, v.denominator)]
    return tag, kind, count, tuple(values) if len(values) > 1 else values[0], True


def with_directories(content: bytes, directories: Mapping[int, dict[int, Any]]) -> bytes:
    """A TIFF with EXIF's and GPS's directories, by tag, at its end, which neither writer writes."""
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
        data = with_kinds(directory.tobytes(place), 0, "<")
        added += data + b"\0" * (len(data) % 2)
        entries = [entry for entry in entries if entry[:2] != struct.pack("<H", tag)]
        entries.append(struct.pack("<HHLL", tag, 4, 1, place))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    place = len(content) + len(added)
    added += struct.pack("<H", len(entries)) + b"".join(entries) + content[end : end + 4]
    return content[:4] + struct.pack("<L", place) + content[8:] + added
