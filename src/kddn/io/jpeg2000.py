"""JPEG 2000's boxes, of whose profiles, EXIF and XMP Pillow reads none."""

import struct
from collections.abc import Iterator

_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
"""What a box that holds one begins with."""

_METHODS = (b"\2", b"\3")
"""Of saying colours: by a profile, of three kinds of value or of any."""


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box, up to the first that is cut short."""
    place = 0
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        begin = place + 8
        if length == 1:  # the length stands behind, in 64 bits
            length, begin = int.from_bytes(content[begin : begin + 8], "big"), begin + 8
        end = place + length if length else len(content)
        if not begin <= end <= len(content):
            return
        yield kind, content[begin:end]
        place = end


def said(content: bytes) -> dict[str, bytes]:
    """What a file says beside its pixels: of `profile`, `exif` and `xmp` those that are there."""
    found = {}
    for kind, data in boxes(content):
        if kind == b"jp2h":
            for inner, colours in boxes(data):
                if inner == b"colr" and colours[:1] in _METHODS:
                    found["profile"] = colours[3:]
        elif kind == b"uuid" and data.startswith(_EXIF):
            found["exif"] = data[len(_EXIF) :]
        elif kind == b"uuid" and data.startswith(_XMP):
            found["xmp"] = data[len(_XMP) :]
    return found
