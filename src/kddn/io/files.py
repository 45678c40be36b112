"""Picture files in and out, with everything that they say beside pixels."""

import contextlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from kddn.errors import ImageError, SizeError
from kddn.io import high_bit_depth, metadata, tiff
from kddn.io.encode import DEEP_COLOUR, DEEP_GRAY, WELL, encode
from kddn.io.image import Photograph, from_deep, from_pil, orientation
from kddn.io.limits import MAXIMUM_PIXELS, MOST_BYTES, PROGRAMS, check_size, open_image
from kddn.io.metadata import Metadata

_JPEGS = ("JPEG", "MPO")
"""PIL's names of JPEG, the second with previews or other pictures behind the picture itself."""

_TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")
"""Those that any picture can be written with again."""

# fmt: off
_RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".k25", ".kdc",
    ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl",
    ".sr2", ".srf", ".srw", ".x3f",
}
# fmt: on
"""Endings of cameras' raw files."""

_HEIF = {".heic", ".heics", ".heif", ".heifs", ".hif"}
_NEEDS_HEIF = "this is HEIC, which needs: pip install 'kddn[heic]'"

_NOT_TO_BE_LOOKED_FOR = ("BUFR", "GRIB", "HDF5", "ICNS", "MSP", "XBM")
"""Formats of Pillow's that hold no pictures, or none that haze can be removed from."""

_DNG_VERSION = 50706
_IS_RAW = "this is a camera's raw file; develop it first, to a 16-bit TIFF at best"


@dataclass(frozen=True)
class Opened:
    """A picture file taken apart."""

    photograph: Photograph
    format: str
    """PIL's name of it."""
    encode: Callable[[Any, str], bytes]
    """The bytes of a file of a format: from what the photograph rebuilt, with the metadata of this
    one."""
    metadata: Metadata
    deep_in: frozenset[str] | None = None
    """Formats that keep its more than 8 bits a channel; None if it has no more."""
    further: bool = False
    """Whether it has a channel that only TIFF holds."""
    mode: str = "RGB"
    """PIL's name of what its pixels are."""

    def lost(self, format: str) -> tuple[str, ...]:
        """What the file says that a result in a format does not, by name."""
        cut_down = self.deep_in is not None and format not in self.deep_in
        bits = (metadata.BITS,) * cut_down
        channels = (metadata.CHANNELS,) * (self.further and format != "TIFF")
        more = _beyond_gif(self.mode) if format == "GIF" != self.format else ()
        return (*self.metadata.lost, *self.metadata.cannot_hold(format), *bits, *channels, *more)


def _beyond_gif(mode: str) -> tuple[str, ...]:
    """What of a picture of some mode a GIF has not."""
    colours = ("more than 256 colours",) * (mode not in ("1", "L", "LA", "P"))
    return (*colours, *("partial transparency",) * mode.endswith("A"))


def open_picture(source: Path | bytes, *, max_pixels: int = MAXIMUM_PIXELS) -> Opened:
    """Read a picture file, or one in memory, whole.

    Args:
        source: The file.
        max_pixels: How many pixels it may have, as its header says.

    Raises:
        ImageError: As `read` and `from_pil` do, always with the file's name.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    content = _content(source, max_pixels) if isinstance(source, Path) else source
    try:
        _refuse_raw(source, content)
        deep = high_bit_depth.read(content, max_pixels)
        if deep is not None:
            photograph = from_deep(deep.pixels, has_alpha=deep.has_alpha)
            said = deep.metadata
            further = deep.has_further
            mode = "RGBA" if deep.has_alpha else "RGB"
            return Opened(photograph, said.format, deep.encode, said, DEEP_COLOUR, further, mode)
        return _open(read(content, name, max_pixels=max_pixels), content)
    except ImageError as error:
        text = str(error)
        raise type(error)(text if text.startswith(name) else f"{name}: {text}") from error


def _open(image: Image.Image, content: bytes) -> Opened:
    said = metadata.read(image, content)
    kind = "JPEG" if image.format in _JPEGS else image.format or "PNG"
    quality = _quality(image, content)
    turned = orientation(image)
    mode = image.mode
    is_deep = mode.startswith("I")
    photograph = from_pil(image)
    height, width = photograph.pixels.shape[:2]
    said = said.upright(width, height, turned)

    def encode_like(clear: Image.Image, as_format: str) -> bytes:
        return encode(clear, as_format, said, quality)

    deep_in = DEEP_GRAY if is_deep else None
    return Opened(photograph, kind, encode_like, said, deep_in, mode=mode)


_LARGE = 1 << 30
"""Bytes that any file may have, however few pixels are allowed."""


def _content(path: Path, max_pixels: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > max(_LARGE, MOST_BYTES * max_pixels):  # before it fills the memory
            raise SizeError(
                f"{path} has {size / 1e9:,.1f} GB, more than pictures of {max_pixels / 1e6:,.0f} "
                "million pixels do; raise `max_pixels` if it is one"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened ({error.strerror})") from error


def check_ending(path: Path) -> None:
    """See by its name that a file is of no kind that cannot be read here.

    Raises:
        ImageError: If it is, with what to do.
    """
    if path.suffix.lower() in _RAW:
        raise ImageError(f"{path}: {_IS_RAW}")
    if path.suffix.lower() in _HEIF - _known_formats().keys():
        raise ImageError(f"{path}: {_NEEDS_HEIF}")


def _refuse_raw(source: Path | bytes, content: bytes) -> None:
    """See that it is no camera's raw file, of which Pillow would take the thumbnail.

    Raises:
        ImageError: If it is.
    """
    ending = source.suffix.lower() if isinstance(source, Path) else ""
    is_cr2 = content[:4] == b"II*\0" and content[8:11] == b"CR\2"
    if ending in _RAW or is_cr2 or content[4:12] == b"ftypcrx ":
        raise ImageError(_IS_RAW)


def read(
    source: Path | bytes, name: str | None = None, *, max_pixels: int = MAXIMUM_PIXELS
) -> Image.Image:
    """Open a picture file, or one in memory.

    Args:
        source: The file.
        name: What to call it.
        max_pixels: How many pixels it may have.

    Raises:
        ImageError: If it is missing, no picture, a camera's raw file, too large, or has several
            frames.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    _register_heif()
    try:
        image = open_image(source if isinstance(source, Path) else io.BytesIO(source), max_pixels)
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist") from None
    except SizeError as error:
        raise SizeError(f"{name}: {error}") from error
    except UnidentifiedImageError:
        if isinstance(source, bytes) and source[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            raise ImageError(f"{name}: {_NEEDS_HEIF}") from None
        raise ImageError(f"{name} is not a picture in a known format") from None
    except OSError as error:
        raise ImageError(f"{name} cannot be opened ({error})") from error
    except Exception as error:  # what damaged headers make Pillow's readers raise
        raise ImageError(f"{name} is damaged or cut short ({type(error).__name__})") from error
    try:
        check_size(*image.size, max_pixels)
        if image.mode not in Image.MODES:
            raise ImageError(f"mode {image.mode!r} is not handled; convert it to RGB first")
        tags = getattr(image, "tag_v2", {})
        if _DNG_VERSION in tags:
            raise ImageError(_IS_RAW)
        if _has_several(image):
            raise ImageError("it has several frames; split it into single pictures first")
    except ImageError as error:
        image.close()
        raise type(error)(f"{name}: {error}") from error
    return image


def _has_several(image: Image.Image) -> bool:
    """Whether a file holds pictures beside the first that are no smaller copies of it."""
    if image.format == "TIFF":
        _, *others = tiff.kinds_of_pages(image)
        return not all(tiff.is_overview(kind) for kind in others)
    return getattr(image, "n_frames", 1) > 1 and image.format not in _JPEGS


@cache
def _register_heif() -> None:
    """Lets Pillow read and write HEIC, where `kddn[heic]` is installed."""
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()


def _quality(image: Image.Image, content: bytes) -> dict[str, dict[str, Any]]:
    """How to write a picture as well as it was."""
    if image.format in _JPEGS:
        tables: dict[int, Any] = image.quantization  # type: ignore[attr-defined]
        # Of those with other numbers, Pillow does not say which channels had which.
        jpeg: dict[str, Any] = {"qtables": tables}
        if tables.keys() not in ({0}, {0, 1}):
            jpeg = dict(WELL["JPEG"])
        if (subsampling := JpegImagePlugin.get_sampling(image)) >= 0:
            jpeg["subsampling"] = subsampling
        elif image.layers == 3:  # type: ignore[attr-defined]
            jpeg["subsampling"] = "4:4:4"  # where Pillow cannot write what it was
        if image.info.get("adobe_transform") == 0 and image.mode == "RGB":
            jpeg["keep_rgb"] = True
        return {"JPEG": jpeg}
    if image.format == "WEBP":
        return {"WEBP": {**WELL["WEBP"], "lossless": _is_lossless_webp(content)}}
    if image.format == "TIFF" and (compression := image.info.get("compression")):
        known = compression in _TIFF_COMPRESSIONS
        return {"TIFF": {"compression": compression if known else "tiff_adobe_deflate"}}
    return {}


def _is_lossless_webp(content: bytes) -> bool:
    """Whether a WebP file's pixels are in a chunk named VP8L."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return False
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack("<4sI", content[place : place + 8])
        if name in (b"VP8L", b"VP8 "):
            return bool(name == b"VP8L")
        place += 8 + length + length % 2
    return False


def format_of(path: Path) -> str:
    """PIL's name of the format that a file name's ending stands for.

    Raises:
        ImageError: If the ending is unknown.
    """
    check_ending(path)
    name = _known_formats().get(path.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise ImageError(
            f"{path}: no picture format ends in {path.suffix!r}; use .jpg or .png, or for a folder "
            f"{path}/"
        )
    return "JPEG" if name in _JPEGS else name


def writable(format: str) -> str:
    """A format itself where it can be written, otherwise PNG, by PIL's names."""
    return format if format in Image.SAVE else "PNG"


def readable_endings() -> set[str]:
    """The endings, such as `.jpg`, of the files that can be read and written again.

    HEIC's are among them without `kddn[heic]` too, so that who has such files is told of it.
    """
    known = _known_formats().items()
    both = (Image.OPEN.keys() & Image.SAVE.keys()) - {*PROGRAMS, *_NOT_TO_BE_LOOKED_FOR}
    return {ending for ending, name in known if name in both} | _HEIF


def _known_formats() -> dict[str, str]:
    """PIL's names of formats, by the endings of files."""
    _register_heif()
    return Image.registered_extensions()
