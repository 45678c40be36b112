"""Hypothesis' strategies for what is damaged, and how."""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fuzzing import seeds
from helpers import encoded
from kddn.io.png import chunk, chunks


@dataclass(frozen=True)
class Case:
    """What is given to a target."""

    seed: str
    """What it was before."""
    damage: str
    """What was done to it."""
    content: bytes = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    """Of the target."""


Edit = tuple[str, Callable[[bytes], bytes]]
"""A change to a file, and its name."""

PLACES = st.floats(0, 1, exclude_max=True).map(lambda x: x**3)
"""Fractions of a file's length, most of them in its head."""

ABSURD = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 60_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Dimensions, lengths and counts."""


def _at(content: bytes, place: float) -> int:
    return int(place * len(content))


@st.composite
def _cut(draw: DrawFn) -> Edit:
    sixteenths = draw(st.integers(0, 15))
    return f"cut to {sixteenths}/16", lambda x: x[: len(x) * sixteenths // 16]


@st.composite
def _flip(draw: DrawFn) -> Edit:
    place, bits = draw(PLACES), draw(st.integers(1, 255))

    def edit(x: bytes) -> bytes:
        start = _at(x, place)
        return x[:start] + bytes(byte ^ bits for byte in x[start : start + 1]) + x[start + 1 :]

    return f"byte at {place:.3f} ^ {bits}", edit


@st.composite
def _number(draw: DrawFn) -> Edit:
    place, order, kind = draw(PLACES), draw(st.sampled_from("<>")), draw(st.sampled_from("BHI"))
    size = struct.calcsize(kind)
    value = draw(st.sampled_from(ABSURD) | st.integers(0, 256**size - 1)) % 256**size

    def edit(x: bytes) -> bytes:
        start = _at(x, place)
        return x[:start] + struct.pack(order + kind, value) + x[start + size :]

    return f"{value} ({order}{kind}) at {place:.3f}", edit


@st.composite
def _remove(draw: DrawFn) -> Edit:
    place, length = draw(PLACES), draw(st.integers(1, 64))
    return (
        f"{length} bytes at {place:.3f} removed",
        lambda x: x[: _at(x, place)] + x[_at(x, place) + length :],
    )


@st.composite
def _repeat(draw: DrawFn) -> Edit:
    place, length, times = draw(PLACES), draw(st.integers(1, 512)), draw(st.integers(2, 20))

    def edit(x: bytes) -> bytes:
        start = _at(x, place)
        return x[:start] + x[start : start + length] * times + x[start + length :]

    return f"{length} bytes at {place:.3f} {times} times", edit


@st.composite
def _insert(draw: DrawFn) -> Edit:
    place, more = draw(PLACES), draw(st.binary(min_size=1, max_size=64))
    return f"{more!r} at {place:.3f}", lambda x: x[: _at(x, place)] + more + x[_at(x, place) :]


EDITS: SearchStrategy[Edit] = st.one_of(
    _cut(), _flip(), _number(), _number(), _remove(), _repeat(), _insert()
)


@st.composite
def damaged(draw: DrawFn, contents: Mapping[str, bytes], most: int = 4) -> tuple[str, str, bytes]:
    """One of several files, changed in some places: its name, the changes, and its bytes."""
    name = draw(st.sampled_from(sorted(contents)))
    content, done = contents[name], []
    for said, edit in draw(st.lists(EDITS, min_size=1, max_size=most)):
        content = edit(content)
        done.append(said)
    if name.startswith("PNG") and draw(st.booleans()):  # so that decoders go on
        content = content[:8] + b"".join(chunk(*each) for each in chunks(content))
        done.append("checksums set right")
    return name, ", ".join(done), content


ENDINGS = (None, None, None, "png", "jpg", "tiff", "webp", "bmp")
"""Formats that results are asked for in, most often none."""

HOW = st.fixed_dictionaries(
    {"format": st.sampled_from(ENDINGS), "strength": st.sampled_from((1.0, 0.0, 1.5))}
)


def pictures() -> SearchStrategy[Case]:
    """Damaged pictures, and whole ones that say what is garbage."""
    files = damaged(seeds.pictures()) | garbage() | garbage()
    return st.builds(lambda found, how: Case(*found, how), files, HOW)


@st.composite
def garbage(draw: DrawFn) -> tuple[str, str, bytes]:
    """A whole picture whose EXIF, XMP, ICC profile and IPTC are damaged or made up."""
    kind = draw(st.sampled_from(sorted(_PUT)))
    orientation = draw(st.sampled_from((0, 1, 6, 8, 9, 255, 65535)))
    real = {
        "EXIF": seeds.exif(orientation),
        "XMP": seeds.XMP,
        "ICC": PROFILE,
        "IPTC": b"8BIM\4\4\0\0\0\0\0\x0a\x1c\2\x50\0\5a b c",
    }
    said: dict[str, bytes] = {}
    for name in draw(st.sets(st.sampled_from(sorted(real)), min_size=1)):
        whole, bad = st.just(real[name]), damaged({name: real[name]}).map(lambda found: found[2])
        said[name] = draw(st.one_of(whole, bad, bad, st.binary(max_size=200)))
    return f"{kind} garbage", f"orientation {orientation}, {said}", _PUT[kind](said)


PROFILE = seeds.ImageCms.ImageCmsProfile(seeds.ImageCms.createProfile("sRGB")).tobytes()


def _jpeg(said: Mapping[str, bytes]) -> bytes:
    marks = {
        "EXIF": (0xE1, b"Exif\0\0"),
        "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        "ICC": (0xE2, b"ICC_PROFILE\0\1\1"),
        "IPTC": (0xED, b"Photoshop 3.0\0"),
    }
    segments = b""
    for name, data in said.items():
        mark, head = marks[name]
        body = (head + data.removeprefix(b"Exif\0\0"))[:65_000]
        segments += struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body
    whole = seeds.pictures()["JPEG RGB"]
    return whole[:2] + segments + whole[2:]


def _png(said: Mapping[str, bytes]) -> bytes:
    heads = {
        "EXIF": (b"eXIf", b""),
        "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0"),
        "ICC": (b"iCCP", b"x\0\0"),
        "IPTC": (b"zTXt", b"Raw profile type iptc\0\0"),
    }
    whole, more = seeds.pictures()["PNG RGB"], b""
    for name, data in said.items():
        kind, head = heads[name]
        packed = zlib.compress(data) if kind in (b"iCCP", b"zTXt") else data
        more += chunk(kind, head + packed.removeprefix(b"Exif\0\0"))
    return whole[:33] + more + whole[33:]


def _webp(said: Mapping[str, bytes]) -> bytes:
    names = {"EXIF": b"EXIF", "XMP": b"XMP ", "ICC": b"ICCP"}
    width, height = (side - 1 for side in seeds.SIZE)
    flags = struct.pack("<I", 0b101100) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    parts = {b"VP8X": flags}
    parts |= {names[name]: data for name, data in said.items() if name in names}
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in parts.items()
    )
    body += seeds.pictures()["WEBP RGB"][12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(said: Mapping[str, bytes]) -> bytes:
    tags = {"XMP": 700, "ICC": 34675, "IPTC": 34377, "EXIF": 33723}
    more = {tags[name]: data for name, data in said.items()}
    return encoded(seeds.in_mode("RGB"), "TIFF", tiffinfo=more)


_PUT: dict[str, Callable[[Mapping[str, bytes]], bytes]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WEBP": _webp,
}
"""What puts metadata into a file, whatever they are."""


def videos() -> SearchStrategy[Case]:
    """Damaged containers and codecs; the result's container is the same or MKV."""
    endings = st.sampled_from((None, "mkv"))
    return st.builds(
        lambda found, ending: Case(*found, {"ending": ending}), damaged(seeds.videos()), endings
    )


def models() -> SearchStrategy[Case]:
    """Damaged cards and networks."""
    return damaged(seeds.models()).map(lambda found: Case(*found))


def checkpoints() -> SearchStrategy[Case]:
    """Damaged weights of other projects."""
    return damaged(seeds.checkpoints()).map(lambda found: Case(*found))


WORDS = st.text(st.characters(max_codepoint=0xFF), max_size=40).map(lambda x: x.encode("latin-1"))

HEADERS = st.sampled_from(
    (b"content-type", b"content-disposition", b"content-length", b"host", b"origin", b"accept",
     b"authorization", b"expect", b"transfer-encoding", b"range")
)  # fmt: skip

TYPES = (
    b"image/jpeg", b"application/octet-stream", b"multipart/form-data; boundary=x",
    b"multipart/form-data", b"text/html", b"",
)  # fmt: skip

PATHS = (
    "/v1/dehaze", "/v1/dehaze", "/v1/dehaze", "/v1/map", "/v1/models", "/metrics", "/healthz",
    "/readyz", "/", "/page/", "/page/../../secret", "/openapi.json", "/v1/none",
)  # fmt: skip

QUERIES = st.dictionaries(
    st.sampled_from(("model", "format", "strength", "full_resolution", "other")),
    st.sampled_from(("kddn-indoor", "png", "jpg", "gif", "1", "0.5", "nan", "inf", "-1", "1e999",
                     "true", "../../etc/passwd", "%00", "")) | st.text(max_size=10),
    max_size=3,
)  # fmt: skip


@st.composite
def requests(draw: DrawFn) -> Case:
    """Requests of any kind, most of them with a damaged picture."""
    seed, damage, content = draw(damaged(seeds.pictures(), 2))
    kind = draw(st.sampled_from(TYPES))
    if kind.startswith(b"multipart"):
        head = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        content = draw(damaged({"form": head + content + b"\r\n--x--\r\n"}, 2))[2]
    more = draw(st.lists(st.tuples(HEADERS, WORDS), max_size=2))
    options = {
        "method": draw(st.sampled_from(("POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT"))),
        "path": draw(st.sampled_from(PATHS)),
        "query": draw(QUERIES),
        "headers": [(b"host", b"localhost"), (b"content-type", kind), *more],
    }
    return Case(seed, damage, content, options)


CASES: dict[str, Callable[[], SearchStrategy[Case]]] = {
    "pictures": pictures,
    "requests": requests,
    "videos": videos,
    "models": models,
    "checkpoints": checkpoints,
}
"""Strategies by the target that they are for."""
