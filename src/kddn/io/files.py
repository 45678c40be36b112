"""Picture files in and out: whole or not at all, with everything that they say beside pixels."""

import contextlib
import glob
import io
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from kddn.errors import ImageError
from kddn.io import high_bit_depth
from kddn.io.image import Photograph, from_deep, from_pil

_JPEGS = ("JPEG", "MPO")
"""PIL's names of JPEG, the second with previews or other pictures behind the picture itself."""

_LAYOUT = frozenset(
    {*range(254, 260), 262, 273, 277, 278, 279, 284, 317, 320, *range(322, 326), 330, 338, 339, 347}
    | {*range(512, 522), *range(529, 533), ExifTags.Base.InterColorProfile}
)
"""TIFF's tags of how pixels are laid out, which only those who write them can know."""

_TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")
"""Those that any picture can be written with again."""


@dataclass(frozen=True)
class Opened:
    """A picture file taken apart."""

    photograph: Photograph
    format: str
    """PIL's name of it."""
    encode: Callable[[Any, str], bytes]
    """The bytes of a file of a format: from what the photograph rebuilt, with the metadata of this
    one."""


def open_picture(source: Path | bytes) -> Opened:
    """Read a picture file, or one in memory, whole.

    Raises:
        ImageError: As `read` and `from_pil` do, always with the file's name.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    content = _content(source) if isinstance(source, Path) else source
    try:
        found = high_bit_depth.read(content)
        if found is not None:
            return Opened(from_deep(found.pixels), found.format, found.encode)
        image = read(content, name)
        image.info["lossless"] = _is_lossless_webp(content)
        return Opened(
            from_pil(image),
            "JPEG" if image.format in _JPEGS else image.format or "PNG",
            lambda clear, as_format: encode(clear, image, as_format),
        )
    except ImageError as error:
        text = str(error)
        raise ImageError(text if text.startswith(name) else f"{name}: {text}") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened ({error.strerror})") from error


def read(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Open a picture file, or one in memory.

    Raises:
        ImageError: If it is missing, no picture, too large, or has several frames.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    _register_heif()
    try:
        image = Image.open(source if isinstance(source, Path) else io.BytesIO(source))
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture in a known format") from None
    except (OSError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name} cannot be opened ({error})") from error
    if getattr(image, "n_frames", 1) > 1 and image.format not in _JPEGS:
        image.close()
        raise ImageError(f"{name} has several frames; split it into single pictures first")
    return image


@cache
def _register_heif() -> None:
    """Lets Pillow read and write HEIC, where `kddn[heic]` is installed."""
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()


def encode(image: Image.Image, source: Image.Image, format: str) -> bytes:
    """The bytes of a picture file, with the source's metadata and, for JPEG, its quality.

    Args:
        image: What to encode.
        source: Where metadata and quality come from.
        format: PIL's name of the format.

    Raises:
        ImageError: If the format cannot hold the picture.
    """
    options: dict[str, Any] = {
        key: source.info[key] for key in ("icc_profile", "dpi", "xmp") if source.info.get(key)
    }
    exif = source.getexif()
    for tag in (ExifTags.Base.Orientation, *_LAYOUT):  # the orientation has been applied
        exif.pop(tag, None)
    if exif:
        options["exif"] = exif
    if format == "JPEG":
        options |= _jpeg_quality(source)
    elif format == "WEBP":
        options |= {"lossless": source.info.get("lossless", False), "quality": 95}
    elif format == "TIFF" and source.info.get("compression") not in (None, *_TIFF_COMPRESSIONS):
        options["compression"] = "tiff_adobe_deflate"
    elif format == "PNG" and "xmp" in options:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt(
            "XML:com.adobe.xmp", options.pop("xmp").decode(errors="replace")
        )
    buffer = io.BytesIO()
    try:
        image.save(buffer, format, **options)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ImageError(f"{format} cannot hold a picture of mode {image.mode}: {error}") from error
    return buffer.getvalue()


def _jpeg_quality(source: Image.Image) -> dict[str, Any]:
    if source.format not in _JPEGS:
        return {"quality": 95, "subsampling": "4:4:4"}
    quality: dict[str, Any] = {"qtables": source.quantization}  # type: ignore[attr-defined]
    if (subsampling := JpegImagePlugin.get_sampling(source)) >= 0:
        quality["subsampling"] = subsampling
    return quality


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
    _register_heif()
    name = Image.registered_extensions().get(path.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise ImageError(f"{path}: no picture format ends in {path.suffix!r}; use .jpg or .png")
    return name


def readable_endings() -> set[str]:
    """The endings, such as `.jpg`, of the files that can be read and written again."""
    _register_heif()
    known = Image.registered_extensions().items()
    return {ending for ending, name in known if name in Image.OPEN and name in Image.SAVE}


def check_free(path: Path, *, overwrite: bool) -> None:
    """Make sure that a result may be written there.

    Raises:
        ImageError: If the file exists and may not be overwritten.
    """
    if path.exists() and not overwrite:
        raise ImageError(
            f"{path} exists already; remove it, ask to overwrite, or name another output"
        )


def write(content: bytes, path: Path, *, overwrite: bool) -> None:
    """Write a file whole or not at all: under another name first.

    What a process that was killed left unfinished of the same file is removed.

    Raises:
        ImageError: If it exists and may not be overwritten, or cannot be written.
    """
    check_free(path, overwrite=overwrite)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise ImageError(f"{path} cannot be written ({error.strerror})") from error


def remove_abandoned(path: Path) -> None:
    """Remove what processes that are gone left unfinished of a file."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        process = part.name.removeprefix(f".{path.name}.").split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            part.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name != "posix":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
