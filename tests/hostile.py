"""Bodies that no one sends who means well, made here."""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from helpers import encoded, hazy_photograph
from kddn.io.files import _register_heif

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO")

HUGE = 60_000
"""Pixels a side that headers claim."""


def bodies() -> Iterator[tuple[str, bytes]]:
    """Each with its name."""
    yield from truncated()
    yield from corrupted()
    yield from claimed()
    yield from packed()
    yield from others()


def pictures() -> Iterator[tuple[str, bytes]]:
    """One of each format."""
    _register_heif()
    image = hazy_photograph(96, 64)
    for kind in FORMATS:
        options = {"sizes": [(64, 64)]} if kind == "ICO" else {}
        picture = image.convert("P") if kind == "GIF" else image
        yield kind, encoded(picture, kind, **options)


def truncated() -> Iterator[tuple[str, bytes]]:
    """Pictures that end too early."""
    for kind, content in pictures():
        for part in (0.02, 0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
            yield f"{kind} to {part:.0%}", content[: int(len(content) * part)]


def corrupted() -> Iterator[tuple[str, bytes]]:
    """Pictures whose heads, or whose bodies, are zeros."""
    for kind, content in pictures():
        yield f"{kind} without its first bytes", bytes(4) + content[4:]
        yield f"{kind} without its head", bytes(24) + content[24:]
        yield f"{kind} without its body", content[:12].ljust(len(content), b"\0")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, rows: bytes = b"") -> bytes:
    """A PNG of gray pixels that may not be there."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    end = chunk(b"IDAT", rows or zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + end


def claimed() -> Iterator[tuple[str, bytes]]:
    """A few bytes that claim billions of pixels, in each format."""
    of = dict(pictures())
    size = struct.pack(">HH", 64, 96)  # height before width
    yield "JPEG of 3.6 Gpx", of["JPEG"].replace(b"\x08" + size, b"\x08" + b"\xea\x60" * 2, 1)
    yield "PNG of 3.6 Gpx", png(HUGE, HUGE)
    yield "PNG of 4 Gpx in one row", png(2**31 - 1, 2)
    side = (16383).to_bytes(2, "little")
    simple = bytearray(encoded(hazy_photograph(96, 64), "WEBP"))
    place = simple.index(b"\x9d\x01\x2a") + 3
    simple[place : place + 4] = side * 2
    yield "WEBP of 268 Mpx", bytes(simple)
    extended = struct.pack("<I", 0)[:4] + (HUGE - 1).to_bytes(3, "little") * 2
    riff = b"VP8X" + struct.pack("<I", 10) + extended + bytes(simple[12:])
    yield "WEBP of 3.6 Gpx", b"RIFF" + struct.pack("<I", len(riff) + 4) + b"WEBP" + riff
    for kind, order in (("II", "<"), ("MM", ">")):
        yield f"TIFF {kind} of 3.6 Gpx", tiff(order, HUGE)
    gif = bytearray(of["GIF"])
    gif[6:10] = struct.pack("<HH", HUGE, HUGE)
    yield "GIF of 3.6 Gpx", bytes(gif)
    bmp = bytearray(of["BMP"])
    bmp[18:26] = struct.pack("<ii", HUGE, HUGE)
    yield "BMP of 3.6 Gpx", bytes(bmp)
    for kind in ("AVIF", "HEIF"):
        before = struct.pack(">II", 96, 64)
        yield f"{kind} of 3.6 Gpx", of[kind].replace(before, struct.pack(">II", HUGE, HUGE))
    before, after = struct.pack(">II", 96, 64), struct.pack(">II", HUGE, HUGE)
    turned = struct.pack(">II", 64, 96)
    yield "JPEG2000 of 3.6 Gpx", of["JPEG2000"].replace(before, after).replace(turned, after)
    for magic in ("P1", "P2", "P3", "P4", "P5", "P6"):
        yield f"PPM {magic} of 3.6 Gpx", f"{magic} {HUGE} {HUGE} 255\n".encode() + bytes(50)
    yield "PFM of 3.6 Gpx", f"PF\n{HUGE} {HUGE}\n-1.0\n".encode() + bytes(50)
    ico = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, 200, 22)
    yield "ICO that holds a PNG of 3.6 Gpx", ico + png(HUGE, HUGE)
    yield (
        "PSD of 900 Mpx",
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(14),
    )
    sgi = struct.pack(">HBBHHHH", 474, 1, 1, 3, HUGE, HUGE, 3)
    yield "SGI of 3.6 Gpx", sgi + bytes(600)
    pcx = struct.pack("<BBBBHHHH", 10, 5, 1, 8, 0, 0, HUGE, HUGE)
    yield "PCX of 3.6 Gpx", pcx + bytes(53) + b"\3" + struct.pack("<H", HUGE + 1) + bytes(600)
    yield "QOI of 3.6 Gpx", b"qoif" + struct.pack(">II", HUGE, HUGE) + b"\3\0" + bytes(50)
    yield "FITS of 3.6 Gpx", fits(HUGE)
    yield (
        "XBM of 3.6 Gpx",
        f"#define x_width {HUGE}\n#define x_height {HUGE}\n".encode()
        + (b"static char x_bits[] = {\n0x00 };"),
    )


def fits(side: int) -> bytes:
    """A FITS of that many pixels a side, none of which are there."""
    said = ("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   = 2")
    cards = (*said, f"NAXIS1  = {side}", f"NAXIS2  = {side}", "END")
    return "".join(f"{card:80}" for card in cards).ljust(2880).encode() + bytes(2880)


def tiff(order: str, side: int, *, pages: int = 1, packed: bytes = bytes(100)) -> bytes:
    """A TIFF of pages of gray pixels, packed by deflate; those behind the first are overviews."""
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(packed))
    place, directories = 8 + len(packed), []
    for page in range(pages):
        tags = [(254, 1 if page else 0), (256, side), (257, side), (258, 8), (259, 8), (262, 1)]
        tags += [(273, 8), (277, 1), (278, side), (279, len(packed))]
        entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
        place += 2 + len(entries) + 4
        after = place if page + 1 < pages else 0
        directories.append(struct.pack(order + "H", len(tags)) + entries)
        directories.append(struct.pack(order + "I", after))
    return start + packed + b"".join(directories)


def packed() -> Iterator[tuple[str, bytes]]:
    """Little that becomes much."""
    zeros = zlib.compress(bytes(1 << 28), 9)
    profile = chunk(b"iCCP", b"x\0\0" + zeros)
    yield "PNG with a profile of 256 MB", png(64, 64, profile)
    yield "PNG with a text of 256 MB", png(64, 64, chunk(b"zTXt", b"x\0\0" + zeros))
    unicode = chunk(b"iTXt", b"x\0\1\0\0\0" + zeros)
    yield "PNG with another text of 256 MB", png(64, 64, unicode)
    many = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20), 9))
    yield "PNG with many texts", png(64, 64, *[many] * 500)
    yield "PNG that ends in the middle", png(9_000, 9_000, rows=zlib.compress(bytes(1 << 16)))
    yield "TIFF that unpacks to 256 MB", tiff("<", HUGE, packed=zeros)
    yield "TIFF that leads round in a circle", tiff("<", 64)[:-4] + struct.pack("<I", 108)
    yield "TIFF of 400,000 pages", tiff("<", 64, pages=400_000)
    gif = encoded(Image.new("P", (1, 1)), "GIF")
    frame = gif[gif.rindex(b"," + bytes(4) + b"\1\0\1\0") : -1]
    yield "GIF of 1,000,000 frames", gif[:-1] + frame * 1_000_000 + b";"
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + b"\xff\xff" + bytes(65_000)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 60_000) + exif[:60_000]
    jpeg = encoded(hazy_photograph(96, 64), "JPEG")
    yield "JPEG of many EXIF segments, cut", jpeg[:2] + segment * 200 + jpeg[2:900]


def others() -> Iterator[tuple[str, bytes]]:
    """What is no picture."""
    samples = {
        "nothing but zeros": bytes(100_000),
        "one byte": b"\xff",
        "text": b"A picture of a mountain.\n" * 1000,
        "HTML": b"<!doctype html><img src=x onerror=alert(1)>",
        "SVG that asks elsewhere": b'<svg xmlns="http://www.w3.org/2000/svg">'
        b'<image href="http://127.0.0.1/"/></svg>',
        "XML that grows": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
        "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
        "PostScript with a head": b"\xc5\xd0\xd3\xc6" + bytes(26) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "ZIP": b"PK\3\4" + bytes(100),
        "ELF": b"\x7fELF" + bytes(100),
        "MP4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100),
        "raw file": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
        "pickle": b"\x80\4\x95" + bytes(20) + b"cos\nsystem\n",
        "JSON": b'{"url": "file:///etc/passwd"}',
        "path": b"/etc/passwd",
        "address": b"http://127.0.0.1:8000/v1/dehaze",
        "base64 of a picture": b"data:image/png;base64,iVBORw0KGgo=",
    }
    yield from samples.items()
    for kind in (b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        yield f"{kind!r} and noise", kind + bytes(range(256)) * 40
    for kind in (b"avif", b"heic", b"mif1", b"jp2 "):
        box = b"\0\0\0\x18ftyp" + kind + b"\0\0\0\0" + kind * 2
        yield f"{kind!r} without more", box + struct.pack(">I", 2**31) + b"meta" + bytes(64)
