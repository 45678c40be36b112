"""Photographs in and out: pixels as RGB arrays, and everything else kept as it was."""

import contextlib
import glob
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from kddn import deep
from kddn.errors import ImageError

Pixels = NDArray[Any]

_WITHOUT_ALPHA = {"RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "L": "L", "LA": "L", "CMYK": "CMYK"}
"""Modes worked on, and what they are without alpha. Others are converted to one of these first."""


@dataclass(frozen=True)
class Photograph:
    """A picture taken apart: RGB pixels for the networks, and how to put it together again."""

    pixels: Pixels
    """Upright RGB, `h w 3`."""
    maximum: float
    """What stands for white: 255, 65535 or 1."""
    rebuild: Callable[[Pixels], Any]
    """Makes what was taken apart, with new pixels."""


def from_any(x: Any) -> Photograph:
    """Take apart a PIL image, an array, or one image as a PyTorch tensor.

    Raises:
        ImageError: If it is none of these, or not such as those functions take.
    """
    if isinstance(x, Image.Image):
        return from_pil(x)
    if is_tensor(x):
        return from_tensor(x)
    if isinstance(x, np.ndarray):
        return from_array(x)
    raise ImageError(
        "a picture must be a path, bytes, a PIL image, an array or a PyTorch tensor, "
        f"not {type(x).__name__}"
    )


def is_tensor(x: Any) -> bool:
    """Whether something is a PyTorch tensor; PyTorch need not be there to ask."""
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def from_tensor(tensor: Any) -> Photograph:
    """Take apart a PyTorch tensor: `1 h w`, `3 h w` or `4 h w`; uint8, or float in [0, 1].

    It comes back on its device and in its type; gradients do not pass.

    Raises:
        ImageError: As `from_array` does.
    """
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ImageError(
            "an image tensor must be 3 h w or b 3 h w with 1, 3 or 4 channels; this is "
            + " ".join(map(str, tensor.shape))
        )
    array = tensor.detach().cpu()
    if array.is_floating_point():
        array = array.float()  # NumPy has no bfloat16
    inner = from_array(np.ascontiguousarray(array.numpy().transpose(1, 2, 0)))

    def rebuild(pixels: Pixels) -> Any:
        clear = np.ascontiguousarray(inner.rebuild(pixels).transpose(2, 0, 1))
        return tensor.new_tensor(clear)  # on its device, in its type

    return Photograph(inner.pixels, inner.maximum, rebuild)


def from_array(array: Pixels) -> Photograph:
    """Take apart an array: `h w`, `h w 1`, `h w 3` or `h w 4`; uint8, uint16 or float in [0, 1].

    Alpha, the fourth channel, is kept as it is. Grey comes back as grey.

    Raises:
        ImageError: If shape or dtype are others, or a value is not finite.
    """
    maximum = _maximum(array)
    if array.ndim == 2:
        inner = from_array(array[..., None])
        return Photograph(inner.pixels, maximum, lambda pixels: inner.rebuild(pixels)[..., 0])
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"an image array must be h w, h w 1, h w 3 or h w 4 and not empty; this is "
            f"{' '.join(map(str, array.shape))} (PyTorch's 3 h w: move the channels last)"
        )
    if array.shape[2] == 1:
        return Photograph(np.repeat(array, 3, axis=2), maximum, _mean_of_channels)
    if array.shape[2] == 4:
        alpha = array[..., 3:]
        return Photograph(
            array[..., :3], maximum, lambda pixels: np.concatenate([pixels, alpha], axis=2)
        )
    return Photograph(array, maximum, lambda pixels: pixels)


def _maximum(array: Pixels) -> float:
    if array.dtype == np.uint8:
        return 255.0
    if array.dtype == np.uint16:
        return 65535.0
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"an image array must be uint8, uint16 or float, not {array.dtype}")
    if not np.isfinite(array).all():
        raise ImageError("the image array holds values that are not finite; replace them first")
    if array.size and (array.min() < -1e-3 or array.max() > 1 + 1e-3):
        raise ImageError(
            f"a float image array must lie in [0, 1], not [{array.min():g}, {array.max():g}]; "
            "divide it by its maximum"
        )
    return 1.0


def _mean_of_channels(pixels: Pixels) -> Pixels:
    mean: Pixels = pixels.mean(axis=2, keepdims=True)
    if np.issubdtype(pixels.dtype, np.integer):
        mean = np.rint(mean)
    return mean.astype(pixels.dtype)


def from_pil(image: Image.Image) -> Photograph:
    """Take apart a PIL image, turned upright if its EXIF says so.

    RGB, RGBA, L, LA, CMYK and 16-bit grey come back in their mode; palettes come back as RGB or
    RGBA, and 1-bit images as L, since theirs cannot hold the new colours.

    Raises:
        ImageError: If its pixels cannot be read, or the mode cannot be handled.
    """
    source = upright(image)
    if source.mode.startswith("I;16"):
        return _rebuilt_by(from_array(np.asarray(source, np.uint16)), source, Image.fromarray)
    mode = _workable_mode(source)
    if mode is None:
        raise ImageError(f"mode {source.mode!r} is not handled; convert it to RGB first")
    converted = source.convert(mode)
    alpha = converted.getchannel("A") if mode in ("RGBA", "LA") else None
    rgb = np.asarray(converted.convert("RGB"))

    def rebuild(pixels: Pixels) -> Image.Image:
        clear = Image.fromarray(pixels).convert(_WITHOUT_ALPHA[mode])
        if alpha is not None:
            clear.putalpha(alpha)
        return clear

    return _rebuilt_by(from_array(rgb), source, rebuild)


def upright(image: Image.Image) -> Image.Image:
    """The image with its pixels read, turned as its EXIF orientation says.

    Raises:
        ImageError: If the pixels cannot be read.
    """
    try:
        turned = ImageOps.exif_transpose(image)
        turned.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"its pixels cannot be read ({error})") from error
    return turned


def _workable_mode(image: Image.Image) -> str | None:
    if image.mode in _WITHOUT_ALPHA:
        return "RGB" if image.mode == "RGBX" else image.mode
    if image.mode in ("P", "PA"):
        return "RGBA" if image.has_transparency_data else "RGB"
    return {"1": "L", "YCbCr": "RGB"}.get(image.mode)


def _rebuilt_by(
    photograph: Photograph, source: Image.Image, to_image: Callable[[Pixels], Image.Image]
) -> Photograph:
    def rebuild(pixels: Pixels) -> Image.Image:
        clear = to_image(photograph.rebuild(pixels))
        clear.info = dict(source.info)
        clear.info.pop("transparency", None)  # belongs to palettes; alpha holds it now
        clear.format = source.format
        return clear

    return Photograph(photograph.pixels, photograph.maximum, rebuild)


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
        found = deep.read(content)
        if found is not None:
            return Opened(_from_deep(found.pixels), found.format, found.encode)
        image = read(content, name)
        return Opened(
            from_pil(image),
            image.format or "PNG",
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


def _from_deep(pixels: Pixels) -> Photograph:
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # grey and alpha
        inner, alpha = from_array(pixels[..., :1]), pixels[..., 1:]
        return Photograph(
            inner.pixels,
            inner.maximum,
            lambda clear: np.concatenate([inner.rebuild(clear), alpha], axis=2),
        )
    return from_array(pixels)


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
    if getattr(image, "n_frames", 1) > 1:
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
    exif.pop(ExifTags.Base.Orientation, None)  # it has been applied
    if exif:
        options["exif"] = exif
    if format == "JPEG":
        options |= _jpeg_quality(source)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"{format} cannot hold a picture of mode {image.mode}: {error}") from error
    return buffer.getvalue()


def _jpeg_quality(source: Image.Image) -> dict[str, Any]:
    if source.format != "JPEG":
        return {"quality": 95, "subsampling": "4:4:4"}
    quality: dict[str, Any] = {"qtables": source.quantization}  # type: ignore[attr-defined]
    if (subsampling := JpegImagePlugin.get_sampling(source)) >= 0:
        quality["subsampling"] = subsampling
    return quality


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
