"""PNG's chunks: which stay when the pixels change."""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator

Chunk = tuple[bytes, bytes]
"""Four letters, and what follows."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

XMP_KEYWORD = b"XML:com.adobe.xmp"

_RAW_XMP = (b"Raw profile type xmp\0", b"Raw profile type APP1\0")
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
"""How a JPEG's segment begins that holds XMP."""
_MOST_TEXT = 16 << 20
"""Bytes that packed text may have."""

_COLOUR = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"mDCV", b"cLLI"}
_OTHERS = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"oFFs", b"sTER"}
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Samples of the colour types, as sBIT counts them."""


def chunks(content: bytes) -> Iterator[Chunk]:
    """A PNG's chunks, in their order, those that are cut short left out."""
    place = len(SIGNATURE)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        data = content[place + 8 : place + 8 + length]
        if len(data) == length:
            yield content[place + 4 : place + 8], data
        place += 12 + length


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(content: bytes, more: Iterable[Chunk]) -> bytes:
    """A PNG with more chunks, behind its header."""
    after_header = len(SIGNATURE) + 25
    added = b"".join(chunk(kind, data) for kind, data in more)
    return content[:after_header] + added + content[after_header:]


def extras(content: bytes) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """Chunks that stay, and what is lost with the others."""
    kept, lost = [], []
    for kind, data in chunks(content):
        known = kind in _COLOUR | _OTHERS
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
        return data.startswith(XMP_KEYWORD + b"\0")
    return kind in (b"tEXt", b"zTXt") and bool(
        re.match(rb"Raw profile type (exif|APP1|xmp)\0", data)
    )


def xmp(content: bytes) -> bytes:
    """The XMP packet, which may stand behind the pixels too; b"" where there is none."""
    start = XMP_KEYWORD + b"\0"
    for kind, data in chunks(content):
        if kind != b"iTXt" or not data.startswith(start):
            continue
        is_packed, rest = data[len(start) :][:1] == b"\1", data[len(start) + 2 :]
        text = b"".join(rest.split(b"\0", 2)[2:])  # behind a language and a keyword in it
        try:
            return zlib.decompressobj().decompress(text, _MOST_TEXT) if is_packed else text
        except zlib.error:
            continue
    return raw_xmp(content)


def raw_xmp(content: bytes) -> bytes:
    """An XMP packet that ImageMagick wrote as text: its length, and its bytes as hexadecimals."""
    for kind, data in chunks(content):
        if kind not in (b"tEXt", b"zTXt") or not data.startswith(_RAW_XMP):
            continue
        _, _, text = data.partition(b"\0")
        try:
            if kind == b"zTXt":
                text = zlib.decompressobj().decompress(text[1:], _MOST_TEXT)
            packet = bytes.fromhex("".join(text.decode("ascii").split()[2:]))
        except (ValueError, zlib.error):
            continue
        packet = packet.removeprefix(_XMP_SEGMENT)
        if b"xmpmeta" in packet or b"rdf:RDF" in packet:
            return packet
    return b""


def _is_profile(data: bytes) -> bool:
    _, _, packed = data.partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], 128)) == 128
    except zlib.error:
        return False


def fits(part: Chunk, content: bytes) -> bool:
    """Whether a chunk may stand in a file of this header: sBIT has a number for each sample."""
    kind, data = part
    return kind != b"sBIT" or len(data) == _SAMPLES.get(content[25], 0)


_chunk, _chunks = chunk, chunks
"""By the names that scripts from before 0.1 call them."""
