"""Colour pictures of more than 8 bits a channel, which Pillow would cut down: PNG and TIFF."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from kddn.errors import ImageError

Pixels = NDArray[Any]

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_KEPT_CHUNKS = (b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME")
_XMP, _ICC, _ORIENTATION = 700, 34675, 274
_KEPT_TAGS = {270: "s", 271: "s", 272: "s", 306: "s", 315: "s", 33432: "s", _XMP: "B"}
"""Description, maker, model, date, artist, copyright and XMP, with their types."""


@dataclass(frozen=True)
class DeepPicture:
    """A deep picture taken out of its file, upright."""

    pixels: Pixels
    """`h w` or `h w c` with 2, 3 or 4 channels; uint16 or float."""
    format: str
    """PNG or TIFF."""
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What a PNG says beside its pixels."""
    tags: dict[int, Any] = field(default_factory=dict)
    """What a TIFF says beside its pixels."""
    profile: bytes | None = None
    """The ICC profile."""
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    """EXIF of a PNG, without orientation."""

    def encode(self, clear: Pixels, format: str) -> bytes:
        """A file of other pixels with the same metadata.

        Args:
            clear: As `pixels`.
            format: PNG and TIFF keep the depth (PNG has 16 bits at most), others get 8 bits.
        """
        if format == "PNG":
            return self._png(clear)
        if format == "TIFF":
            return self._tiff(clear)
        maximum = 65535 if clear.dtype == np.uint16 else 1
        shallow = Image.fromarray((clear / maximum * 255).round().astype(np.uint8))
        if format == "JPEG" and shallow.mode in ("RGBA", "LA"):
            raise ImageError("JPEG has no transparency; write PNG, TIFF or WebP")
        buffer = io.BytesIO()
        options: dict[str, Any] = {"icc_profile": self.profile} if self.profile else {}
        options |= {"dpi": self.dpi} if self.dpi else {}
        options |= {"quality": 95, "subsampling": "4:4:4"} if format == "JPEG" else {}
        options |= {"exif": self.exif} if self.exif else {}
        try:
            shallow.save(buffer, format, **options)
        except (OSError, ValueError, KeyError) as error:
            raise ImageError(f"{format} cannot hold a picture like this ({error})") from error
        return buffer.getvalue()

    def _png(self, clear: Pixels) -> bytes:
        if clear.dtype != np.uint16:
            clear = (clear * 65535).round().astype(np.uint16)
        content: bytes = _codecs().png_encode(np.ascontiguousarray(clear))
        chunks = list(self.chunks)
        if self.format != "PNG":
            if self.profile:
                chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(self.profile)))
            if self.dpi:
                metres = [round(dots / 0.0254) for dots in self.dpi]
                chunks.append((b"pHYs", struct.pack(">IIB", *metres, 1)))
        after_header = len(_PNG) + 25
        extra = b"".join(_chunk(kind, data) for kind, data in chunks)
        return content[:after_header] + extra + content[after_header:]

    def _tiff(self, clear: Pixels) -> bytes:
        import tifffile

        _codecs()  # tifffile compresses with them
        buffer = io.BytesIO()
        grey = clear.ndim == 2 or clear.shape[2] == 2
        alpha = clear.ndim == 3 and clear.shape[2] in (2, 4)
        tags = [
            (code, kind, 0 if kind == "s" else len(self.tags[code]), self.tags[code], True)
            for code, kind in _KEPT_TAGS.items()
            if code in self.tags
        ]
        options: dict[str, Any] = {}
        if self.dpi:
            options = {"resolution": self.dpi, "resolutionunit": "INCH"}
        tifffile.imwrite(
            buffer,
            clear,
            photometric="minisblack" if grey else "rgb",
            planarconfig="contig" if clear.ndim == 3 else None,
            extrasamples=["unassalpha"] if alpha else None,
            compression="deflate",
            predictor=True,
            iccprofile=self.profile,
            extratags=tags,
            metadata=None,
            software=False,
            **options,
        )
        return buffer.getvalue()


def read(content: bytes) -> DeepPicture | None:
    """Take a deep colour picture out of its file; None for files that Pillow reads whole.

    Raises:
        ImageError: If it is one but damaged, has several pages, or the libraries are missing.
    """
    try:
        if content.startswith(_PNG):
            return _read_png(content)
        if content.startswith(_TIFF):
            return _read_tiff(content)
    except ImageError:
        raise
    except Exception as error:  # the libraries' own errors share no base class
        raise ImageError(f"its pixels cannot be read ({error})") from error
    return None


def _read_png(content: bytes) -> DeepPicture | None:
    depth, colour = content[24:26]
    if depth < 16 or colour == 0:  # Pillow keeps 16-bit grey
        return None
    pixels: Pixels = _codecs().png_decode(content)
    with Image.open(io.BytesIO(content)) as shallow:
        exif, profile = shallow.getexif(), shallow.info.get("icc_profile")
        dpi = shallow.info.get("dpi")
    orientation = exif.pop(ExifTags.Base.Orientation, 1)
    chunks = [(kind, data) for kind, data in _chunks(content) if kind in _KEPT_CHUNKS]
    said = exif.tobytes() if exif else None
    if said:
        chunks.append((b"eXIf", said.removeprefix(b"Exif\0\0")))
    turned = _turn(pixels, orientation)
    return DeepPicture(turned, "PNG", chunks, profile=profile, dpi=dpi, exif=said)


def _read_tiff(content: bytes) -> DeepPicture | None:
    if not _tiff_is_deep(content):
        return None
    _codecs()
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        if len(file.pages) > 1:
            raise ImageError("it has several pages; split it into single pictures first")
        page = file.pages.first
        pixels = page.asarray()
        tags = {tag.code: tag.value for tag in page.tags.values()}
        if page.axes == "SYX":  # planes apart
            pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    if page.photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        raise ImageError(f"a deep TIFF of kind {kind} is not handled; make it RGB or grey")
    if pixels.dtype not in (np.uint16, np.float16, np.float32, np.float64) or pixels.ndim > 3:
        raise ImageError(f"a TIFF of {pixels.dtype} is not handled; make it uint16 or float")
    return DeepPicture(
        _turn(pixels, tags.get(_ORIENTATION, 1)),
        "TIFF",
        tags=tags,
        profile=tags.get(_ICC),
        dpi=_tiff_dpi(tags),
    )


def _tiff_is_deep(content: bytes) -> bool:
    """Whether a TIFF has samples of more than 8 bits that Pillow would cut down or not read."""
    try:
        with Image.open(io.BytesIO(content)) as shallow:
            bits = shallow.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
            return max(bits) > 8 and not shallow.mode.startswith("I;16")
    except OSError:
        return True  # such as float colour


def _tiff_dpi(tags: dict[int, Any]) -> tuple[float, float] | None:
    if 282 not in tags or 283 not in tags:
        return None
    unit = {2: 1.0, 3: 2.54}.get(int(tags.get(296, 2)))
    if unit is None:
        return None
    (x, per_x), (y, per_y) = tags[282], tags[283]
    return (x / per_x * unit, y / per_y * unit) if per_x and per_y else None


_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels.swapaxes(0, 1), 2),
    8: np.rot90,
}
"""What makes pixels upright, by EXIF's orientation."""


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    turn = _TURNS.get(int(orientation))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _codecs() -> Any:
    try:
        import imagecodecs
        import tifffile  # noqa: F401 - the two come together
    except ImportError as error:
        raise ImageError(
            "it has more than 8 bits a channel, which needs: pip install 'kddn[high-bit-depth]'"
        ) from error
    return imagecodecs
