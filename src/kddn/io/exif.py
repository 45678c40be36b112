"""EXIF: read whole, without what is damaged, and written with the types that it gives its tags."""

import struct
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

SUB_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""Tags that lead to directories of EXIF's own."""

_DAMAGED = "damaged entries of EXIF"


def read_whole(exif: Image.Exif) -> tuple[Image.Exif, tuple[str, ...]]:
    """EXIF that no longer needs its file, without what cannot be written again, and its name."""
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    if ExifTags.IFD.Interop in camera:
        camera[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    exif.get_ifd(ExifTags.IFD.GPSInfo)
    try:
        exif.tobytes()
    except Exception:  # values of another type than their tags', such as heights below the sea
        for group in SUB_DIRECTORIES:
            _drop_damaged(exif.get_ifd(group), group)
        _drop_damaged(exif, None)
        exif.tobytes()
        return exif, (_DAMAGED,)
    return exif, ()


def _drop_damaged(tags: Any, group: int | None) -> None:
    """Remove the tags of a directory that cannot be written."""
    for tag in list(tags):
        directory = TiffImagePlugin.ImageFileDirectory_v2(group=group)
        try:
            directory[tag] = tags[tag]
            directory.tobytes(8)
        except Exception:  # whatever a value of another type makes Pillow raise
            if group is None and tag in SUB_DIRECTORIES:
                continue
            del tags[tag]


class _Text(str):
    """What Pillow has read byte by byte (as Latin-1), and is to write so."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:
        return super().encode("latin-1", errors)


def with_all_letters(value: Any) -> Any:
    """A tag's value, of which Pillow writes all letters, not ASCII's alone."""
    if isinstance(value, dict):
        return {tag: with_all_letters(each) for tag, each in value.items()}
    return _Text(value) if isinstance(value, str) else value


_KINDS = {
    37500: 7,
    37510: 7,
    37121: 7,
    41728: 7,
    41729: 7,
    41730: 7,
    37377: 10,
    37379: 10,
    37380: 10,
}
"""Types of EXIF's tags that Pillow would write as bytes and fractions without a sign."""


def exif_segment(exif: Image.Exif) -> bytes:
    """EXIF as a segment, every tag of the type that EXIF gives it."""
    content = exif.tobytes()
    head = len(b"Exif\0\0")
    order = "<" if content[head : head + 2] == b"II" else ">"
    (first,) = struct.unpack(order + "L", content[head + 4 : head + 8])
    for tag, place in _entries(content, head + first, order):
        if tag == ExifTags.IFD.Exif:
            (camera,) = struct.unpack(order + "L", content[place + 8 : place + 12])
            return with_kinds(content, head + camera, order)
    return content


def with_kinds(content: bytes, place: int, order: str) -> bytes:
    """A file in which EXIF's tags, in the directory at a place, have the types that EXIF gives."""
    changed = bytearray(content)
    for tag, entry in _entries(content, place, order):
        (kind,) = struct.unpack(order + "H", content[entry + 2 : entry + 4])
        if (kind, _KINDS.get(tag)) in ((1, 7), (5, 10)):  # as long
            changed[entry + 2 : entry + 4] = struct.pack(order + "H", _KINDS[tag])
    return bytes(changed)


def _entries(content: bytes, place: int, order: str) -> list[tuple[int, int]]:
    """Tags of a directory at a place, and where their entries are."""
    (count,) = struct.unpack(order + "H", content[place : place + 2])
    entries = range(place + 2, place + 2 + 12 * count, 12)
    return [(struct.unpack(order + "H", content[here : here + 2])[0], here) for here in entries]
