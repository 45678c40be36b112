"""Photographs taken apart: pixels as RGB arrays, and how to put them together again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

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
    if image.mode in ("RGB", "L") and "transparency" in image.info:  # one colour of PNG
        return {"RGB": "RGBA", "L": "LA"}[image.mode]
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
        clear.info.pop("transparency", None)  # a colour's or a palette's; alpha holds it now
        clear.format = source.format
        return clear

    return Photograph(photograph.pixels, photograph.maximum, rebuild)


def from_deep(pixels: Pixels) -> Photograph:
    """Take apart the pixels of a deep picture; as `from_array`, and grey with alpha: `h w 2`."""
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # grey and alpha
        inner, alpha = from_array(pixels[..., :1]), pixels[..., 1:]
        return Photograph(
            inner.pixels,
            inner.maximum,
            lambda clear: np.concatenate([inner.rebuild(clear), alpha], axis=2),
        )
    return from_array(pixels)
