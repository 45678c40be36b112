"""Photographs taken apart: pixels as RGB arrays, and how to put them together again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from kddn.errors import ImageError
from kddn.io.limits import load

Pixels = NDArray[Any]

_WORKED_ON = {
    **dict.fromkeys(("RGB", "RGBX", "YCbCr"), "RGB"),
    **dict.fromkeys(("RGBA", "RGBa"), "RGBA"),
    **dict.fromkeys(("L", "1"), "L"),
    **dict.fromkeys(("LA", "La"), "LA"),
    "CMYK": "CMYK",
}
"""Modes, and what they are converted to. Palettes become RGB or RGBA."""

_PREMULTIPLIED = {"RGBa", "La"}

_STRIP = 1 << 24
"""Pixels."""

_BAND = 1 << 18
"""Pixels computed at a time, so that memory does not grow with the picture."""

_COARSE = 256
"""Longest side, in pixels, of the grid that invisible colours are made up on."""


@dataclass(frozen=True)
class Photograph:
    """A picture taken apart: RGB pixels for the networks, and how to put it together again."""

    pixels: Pixels
    """Upright RGB, `h w 3`. Colours that no one sees, behind full transparency, are made up from
    those around them."""
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
    if array.is_floating_point() and array.element_size() < 4:
        array = array.float()  # NumPy has no bfloat16
    inner = from_array(np.ascontiguousarray(array.numpy().transpose(1, 2, 0)))

    def rebuild(pixels: Pixels) -> Any:
        clear = np.ascontiguousarray(inner.rebuild(pixels).transpose(2, 0, 1))
        return tensor.new_tensor(clear)  # on its device, in its type

    return Photograph(inner.pixels, inner.maximum, rebuild)


def from_array(array: Pixels) -> Photograph:
    """Take apart an array: `h w`, `h w 1`, `h w 3` or `h w 4`; uint8, uint16 or float in [0, 1].

    Alpha, the fourth channel, is kept as it is. Gray comes back as gray, and any byte order as what
    it was.

    Raises:
        ImageError: If shape or dtype are others, or a value is not finite.
    """
    if not array.dtype.isnative:
        inner = from_array(array.astype(array.dtype.newbyteorder("=")))
        return _then(inner, lambda clear: clear.astype(array.dtype))
    maximum = _maximum(array)
    if array.ndim == 2:
        return _then(from_array(array[..., None]), lambda clear: clear[..., 0])
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"an image array must be h w, h w 1, h w 3 or h w 4 and not empty; this is "
            f"{' '.join(map(str, array.shape))} (PyTorch's 3 h w: move the channels last)"
        )
    if array.shape[2] == 1:
        return Photograph(np.repeat(array, 3, axis=2), maximum, _mean_of_channels)
    if array.shape[2] == 4:
        return _with_alpha(array, maximum)
    return Photograph(array, maximum, lambda pixels: pixels)


def _then(inner: Photograph, last: Callable[[Any], Any]) -> Photograph:
    """One more step at the end of putting together."""
    rebuild = inner.rebuild  # which, unlike `inner`, does not hold on to the pixels
    return Photograph(inner.pixels, inner.maximum, lambda pixels: last(rebuild(pixels)))


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
    if (pixels == pixels[..., :1]).all():
        return pixels[..., :1].copy()
    mean: Pixels = pixels.mean(axis=2, keepdims=True)
    if np.issubdtype(pixels.dtype, np.integer):
        mean = np.rint(mean)
    return mean.astype(pixels.dtype)


def _with_alpha(array: Pixels, maximum: float) -> Photograph:
    """Take apart `h w 4`: what is behind full transparency has no say, and comes back as it was."""
    colours, alpha = array[..., :3], array[..., 3:]
    seen = alpha[..., 0] > 0
    if seen.all() or not seen.any():
        return Photograph(colours, maximum, lambda pixels: np.concatenate([pixels, alpha], axis=2))

    def rebuild(pixels: Pixels) -> Pixels:
        return np.concatenate([np.where(seen[..., None], pixels, colours), alpha], axis=2)

    return Photograph(_made_up(colours, seen), maximum, rebuild)


def _made_up(colours: Pixels, seen: NDArray[np.bool_]) -> Pixels:
    """Colours `h w 3` with those not seen made up from what is seen around them."""
    step = -(-max(seen.shape) // _COARSE)
    weight = seen[::step, ::step, None].astype(np.float32)
    if not weight.any():  # what is seen lies between the grid's points
        return np.where(seen[..., None], colours, colours[seen].mean(0).astype(colours.dtype))
    coarse = _spread(colours[::step, ::step] * weight, weight).astype(colours.dtype)
    height, width = seen.shape
    wide = coarse.repeat(step, axis=0)[:height].repeat(step, axis=1)[:, :width]
    return np.where(seen[..., None], colours, wide)


def _spread(weighted: Pixels, weight: Pixels) -> Pixels:
    """Weighted means of `h w c`, and where there is no weight, of wider and wider squares."""
    if weight.all():
        return weighted / weight
    odd = [(0, side % 2) for side in weight.shape[:2]] + [(0, 0)]
    halves = []
    for x in (weighted, weight):
        even = np.pad(x, odd)
        height, width, channels = even.shape
        halves.append(even.reshape(height // 2, 2, width // 2, 2, channels).sum((1, 3)))
    wide = _spread(*halves).repeat(2, axis=0).repeat(2, axis=1)
    wide = wide[: weight.shape[0], : weight.shape[1]]
    return np.where(weight > 0, weighted / np.maximum(weight, 1e-9), wide)


def from_pil(image: Image.Image) -> Photograph:
    """Take apart a PIL image, turned upright if its EXIF says so.

    RGB, RGBA, L, LA, CMYK, premultiplied modes and 16-bit gray come back in their mode; palettes
    come back as RGB or RGBA, and 1-bit images as L, since theirs cannot hold the new colours.

    Raises:
        ImageError: If its pixels cannot be read, or the mode cannot be handled.
    """
    if 0 in image.size:
        raise ImageError(f"it has no pixels: {image.width} x {image.height}")
    source = upright(image)
    if source.mode.startswith("I"):
        photograph = _from_whole_numbers(source)
    elif (mode := _workable_mode(source)) is None:
        raise ImageError(f"mode {source.mode!r} is not handled; convert it to RGB first")
    elif mode == "CMYK":
        photograph = _from_inks(np.asarray(source))
    else:
        photograph = _from_mode(source, mode)
    info, kind = dict(source.info), source.format
    info.pop("transparency", None)  # a colour's or a palette's; alpha holds it now

    def say_the_same(clear: Image.Image) -> Image.Image:
        clear.info = dict(info)
        clear.format = kind
        return clear

    return _then(photograph, say_the_same)


def _from_whole_numbers(source: Image.Image) -> Photograph:
    """Take apart gray of 16 bits, also where it lies in 32."""
    values = np.asarray(source)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"its values reach from {values.min()} to {values.max()}; scale them to [0, 65535]"
        )
    photograph = from_array(values.astype(np.uint16))
    if source.mode == "I":
        return _then(photograph, lambda clear: Image.fromarray(clear.astype(np.int32)))
    return _then(photograph, Image.fromarray)


def _from_mode(source: Image.Image, mode: str) -> Photograph:
    """Take apart what can be converted to RGB or RGBA and back."""
    back = source.mode if source.mode in _PREMULTIPLIED else mode
    wide = "RGBA" if mode in ("RGBA", "LA") else "RGB"
    for step in dict.fromkeys((mode, wide)):
        source = source if source.mode == step else source.convert(step)

    def narrow(clear: Pixels) -> Image.Image:
        picture = Image.fromarray(clear)
        for step in (mode, back):
            picture = picture if picture.mode == step else picture.convert(step)
        return picture

    return _then(from_array(_array(source)), narrow)


def _array(image: Image.Image) -> Pixels:
    """A picture's pixels: of a large one strip by strip, since Pillow would hold them thrice."""
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        return np.asarray(image)
    whole = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = np.asarray(image.crop((0, top, image.width, bottom)))
        whole[top:bottom] = strip.reshape(whole[top:bottom].shape)
    return whole if whole.shape[2] > 1 else whole[..., 0]


def _from_inks(inks: Pixels) -> Photograph:
    """Take apart CMYK, `h w 4`: what light the inks let through, and the inks for another light.

    Black ink stays what it is: where a place gets lighter or darker, it does so by black, and the
    other inks change only with the colour.
    """
    pixels = np.empty((*inks.shape[:2], 3), np.uint16)
    for rows in bands(inks):
        pixels[rows] = np.rint(_light(inks[rows]) * 65535)

    def rebuild(clear: Pixels) -> Image.Image:
        result = inks.copy()
        for rows in bands(inks):
            same = (clear[rows] == pixels[rows]).all(axis=2, keepdims=True)
            result[rows] = np.where(same, inks[rows], _mixed(inks[rows], clear[rows]))
        return Image.frombytes("CMYK", result.shape[1::-1], result.tobytes())

    return Photograph(pixels, 65535.0, rebuild)


def _light(inks: Pixels) -> Pixels:
    """What inks `h w 4` let through: RGB in [0, 1]."""
    through = 1 - inks / np.float32(255)
    return through[..., :3] * through[..., 3:]


def _mixed(inks: Pixels, clear: Pixels) -> Pixels:
    """Inks for other light, `h w 3` of 16 bits, black changed first."""
    through = 1 - inks / np.float32(255)
    white = through[..., 3:]  # what black lets through
    new = clear / np.float32(65535)
    before, after = (x.max(axis=2, keepdims=True) for x in (_light(inks), new))
    dark = before == 0
    whiter = np.where(dark, np.maximum(white, after), white * after / np.where(dark, 1, before))
    whiter = np.maximum(np.minimum(whiter, 1), after)
    colours = np.where(whiter > 0, new / np.where(whiter > 0, whiter, 1), through[..., :3])
    mixed: Pixels = np.rint(255 * (1 - np.concatenate([colours, whiter], axis=2)))
    return mixed.clip(0, 255)


def bands(pixels: Pixels) -> Iterator[slice]:
    """Rows of a picture, a few at a time, so that what is computed of them takes little memory."""
    step = max(1, _BAND // pixels.shape[1])
    for top in range(0, pixels.shape[0], step):
        yield slice(top, top + step)


def upright(image: Image.Image) -> Image.Image:
    """The image with its pixels read, turned as its EXIF orientation says.

    Raises:
        ImageError: If the pixels cannot be read.
    """
    try:
        load(image)
        if orientation(image) == 1:
            return image
    except MemoryError:
        raise
    except Exception as error:  # decoders' errors share no base class
        raise ImageError(f"its pixels cannot be read ({error})") from error
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # whatever EXIF that cannot be written again makes Pillow raise
        turned = image.transpose(_TURNS[orientation(image)])
        turned.info = {name: said for name, said in image.info.items() if name not in _ORIENTED}
    turned.format = image.format
    return turned


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes pictures upright, by EXIF's orientation."""

_ORIENTED = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""What Pillow calls that which says how pixels lie."""


def orientation(image: Image.Image) -> int:
    """What EXIF or XMP say of how the pixels lie: 1 to 8, 1 if upright or damaged."""
    try:
        said = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a damaged one makes Pillow raise
        return 1
    return said if said in range(2, 9) else 1


def _workable_mode(image: Image.Image) -> str | None:
    if image.mode in ("RGB", "L", "1") and "transparency" in image.info:  # one colour of PNG
        return "RGBA" if image.mode == "RGB" else "LA"
    if image.mode in ("P", "PA"):
        return "RGBA" if image.has_transparency_data else "RGB"
    return _WORKED_ON.get(image.mode)


def from_deep(pixels: Pixels, *, has_alpha: bool = True) -> Photograph:
    """Take apart the pixels of a deep picture: as `from_array`, and gray with one more: `h w 2`.

    Args:
        pixels: `h w` or `h w c`.
        has_alpha: Whether the last of 2 or 4 channels is transparency, rather than of no meaning.

    Raises:
        ImageError: As `from_array` does.
    """
    if pixels.ndim == 2 or pixels.shape[2] not in (2, 4):
        return from_array(pixels)
    if not has_alpha:
        last = pixels[..., -1:]
        return _then(
            from_array(pixels[..., :-1]), lambda clear: np.concatenate([clear, last], axis=2)
        )
    if pixels.shape[2] == 4:
        return from_array(pixels)
    inner = from_array(pixels[..., [0, 0, 0, 1]])

    def rebuild(clear: Pixels) -> Pixels:
        gray = _mean_of_channels(clear[..., :3])
        return np.concatenate([gray, clear[..., 3:]], axis=2)

    return _then(inner, rebuild)
