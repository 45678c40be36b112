"""Colour pictures of more than 8 bits a channel, which Pillow would cut down: PNG and TIFF."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from kddn.errors import ImageError, SizeError
from kddn.io import metadata, png, tiff
from kddn.io.encode import encode
from kddn.io.image import bands
from kddn.io.limits import MAXIMUM_PIXELS, MOST_BYTES, check_size, open_image
from kddn.io.metadata import Metadata

Pixels = NDArray[Any]

_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PROFILE = 34675
_PLAIN = (
    "NONE",
    "LZW",
    "DEFLATE",
    "ADOBE_DEFLATE",
    "PACKBITS",
    "LZMA",
    "ZSTD",
)
"""How pixels may be packed, by tifffile's names: others hold pictures of their own, whose size
nobody has checked."""
_ALPHA = {1: "assocalpha", 2: "unassalpha"}
"""TIFF's kinds of a further sample that are transparency; others are no one's."""


@dataclass(frozen=True)
class DeepPicture:
    """A picture of a high bit depth taken out of its file, upright."""

    pixels: Pixels
    """`h w` or `h w c` with 2, 3 or 4 channels; uint16 or float. Alpha is straight."""
    metadata: Metadata
    extra: str = "unassalpha"
    """What the last of 2 or 4 channels is: `unassalpha`, `assocalpha` or `unspecified`."""

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is transparency."""
        return self._has_more and self.extra in _ALPHA.values()

    @property
    def has_further(self) -> bool:
        """Whether the last channel is no one's, which only TIFF holds."""
        return self._has_more and not self.has_alpha

    @property
    def _has_more(self) -> bool:
        return self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)

    def encode(self, clear: Pixels, format: str) -> bytes:
        """A file of other pixels, with the same metadata.

        Args:
            clear: As `pixels`.
            format: PNG and TIFF keep the depth (PNG has 16 bits at most), others get 8 bits.

        Raises:
            ImageError: If the format cannot hold the picture.
        """
        if format != "TIFF" and self.has_further:
            clear = clear[..., 0] if clear.shape[2] == 2 else clear[..., :3]
        if format == "PNG":
            if clear.dtype != np.uint16:
                clear = (clear.astype(np.float32) * 65535).round().clip(0, 65535).astype(np.uint16)
            content: bytes = _codecs().png_encode(np.ascontiguousarray(clear))
        elif format == "TIFF":
            content = self._tiff(clear)
        else:
            maximum = 65535 if clear.dtype == np.uint16 else 1
            shallow = Image.fromarray((clear / maximum * 255).round().clip(0, 255).astype(np.uint8))
            return encode(shallow, format, self.metadata)
        return self.metadata.finish(content, format)

    def _tiff(self, clear: Pixels) -> bytes:
        import tifffile

        _codecs()  # tifffile compresses with them
        gray = clear.ndim == 2 or clear.shape[2] == 2
        if self.has_alpha and self.extra == "assocalpha":
            clear = premultiplied(clear)
        options: dict[str, Any] = {}
        if self.metadata.dpi:
            options = {"resolution": self.metadata.dpi, "resolutionunit": "INCH"}
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            clear,
            photometric="minisblack" if gray else "rgb",
            planarconfig="contig" if clear.ndim == 3 else None,
            extrasamples=[self.extra] if clear.ndim == 3 and clear.shape[2] in (2, 4) else None,
            compression="deflate",
            predictor=True,
            iccprofile=self.metadata.profile or None,
            extratags=self.metadata.tiff_tags(),
            metadata=None,
            software=False,
            **options,
        )
        return buffer.getvalue()


def premultiplied(pixels: Pixels) -> Pixels:
    """Colours times the alpha behind them, in [0, 1]."""
    maximum = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1

    def product(colours: Pixels, alpha: Pixels) -> Pixels:
        return colours.astype(np.float64) * alpha / maximum

    return _by_alpha(product, pixels)


def straight(pixels: Pixels) -> Pixels:
    """The other way: colours as they are behind the transparency."""
    maximum = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1

    def quotient(colours: Pixels, alpha: Pixels) -> Pixels:
        colours = colours.astype(np.float64) * maximum
        found = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
        return found.clip(0, maximum)

    return _by_alpha(quotient, pixels)


def _by_alpha(change: Callable[[Pixels, Pixels], Pixels], pixels: Pixels) -> Pixels:
    """Pixels whose colours are changed by what is given them and alpha, some rows at a time."""
    result = pixels.copy()
    for rows in bands(pixels):
        new = change(pixels[rows, :, :-1], pixels[rows, :, -1:])
        result[rows, :, :-1] = np.rint(new) if pixels.dtype.kind == "u" else new
    return result


def read(content: bytes, max_pixels: int = MAXIMUM_PIXELS) -> DeepPicture | None:
    """Take a picture of a high bit depth out of its file; None for files that Pillow reads whole.

    Args:
        content: The file.
        max_pixels: How many pixels it may have, as its header says.

    Raises:
        ImageError: If it is one but damaged, too large, has several pages, or the libraries are
            missing.
    """
    try:
        if content.startswith(png.SIGNATURE):
            return _read_png(content, max_pixels)
        if content.startswith(_TIFF):
            return _read_tiff(content, max_pixels)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # the libraries' own errors share no base class
        raise ImageError(f"it is damaged or cut short ({type(error).__name__})") from error
    return None


def _read_png(content: bytes, max_pixels: int) -> DeepPicture | None:
    header = content[16:26]
    if len(header) < 10 or header[8] < 16 or header[9] == 0:  # Pillow keeps 16-bit gray
        return None
    width, height = (int.from_bytes(header[place : place + 4], "big") for place in (0, 4))
    check_size(width, height, max_pixels)
    frames = next((data for kind, data in png.chunks(content) if kind == b"acTL"), b"")
    if int.from_bytes(frames[:4], "big") > 1:
        raise ImageError("it has several frames; split it into single pictures first")
    pixels: Pixels = _codecs().png_decode(content)
    with open_image(io.BytesIO(content)) as shallow:
        said = metadata.read(shallow, content)
    key = next((data for kind, data in png.chunks(content) if kind == b"tRNS"), b"")
    if pixels.shape[2] == 3 and len(key) == 6:  # the colour that is transparent
        seen = (pixels != np.frombuffer(key, ">u2")).any(axis=2, keepdims=True)
        pixels = np.concatenate([pixels, np.where(seen, np.uint16(65535), np.uint16(0))], axis=2)
    return _upright(pixels, said)


def _read_tiff(content: bytes, max_pixels: int) -> DeepPicture | None:
    if not _tiff_is_deep(content):
        return None
    _codecs()
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        if len(file.pages) == 0:
            raise ImageError("it is damaged or cut short (no page in it)")
        page = file.pages.first
        others = list(islice(file.pages, 1, tiff.MOST_PAGES + 1))
        tiff.check_pages(1 + len(others))
        kinds = [int(getattr(other, "subfiletype", 0)) for other in others]
        if not all(map(tiff.is_overview, kinds)):
            raise ImageError("it has several pages; split it into single pictures first")
        check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_kind(page)
        _check_bytes(page, max_pixels)
        pixels = page.asarray()
        if pixels.dtype == np.float64:  # of which no camera's picture has need
            pixels = pixels.astype(np.float32)
        if page.dtype == np.uint16 and page.bitspersample < 16:
            white = (1 << page.bitspersample) - 1
            pixels = np.rint(pixels * (65535 / white)).astype(np.uint16)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels
        tags = {tag.code: tag.value for tag in page.tags.values()}
        extra = [int(kind) for kind in page.extrasamples]
        big, order, place = file.is_bigtiff, file.byteorder, page.offset
        lost = ("overviews",) * bool(kinds)
        if page.axes == "SYX":  # planes apart
            pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
        if page.photometric == tifffile.PHOTOMETRIC.RGB and pixels.shape[-1] > 4:
            pixels, lost = pixels[..., : 4 if extra[0] in _ALPHA else 3], (*lost, metadata.CHANNELS)
            extra = extra if pixels.shape[-1] == 4 else []
    if pixels.ndim > 3:
        raise ImageError("a TIFF of several pictures in depth is not handled; split it first")
    exif = Image.Exif()
    exif.bigtiff, exif.endian = big, order
    exif.load_from_fp(io.BytesIO(content), place)
    profile = tags.get(_PROFILE) or b""
    said = metadata.of_tiff(exif, profile, _tiff_dpi(tags), lost)
    kind = _ALPHA.get(extra[0], "unspecified") if extra else "unassalpha"
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return _upright(straight(pixels) if kind == "assocalpha" else pixels, said, kind)


def _check_kind(page: Any) -> None:
    """See that pixels are of a kind that is handled.

    Raises:
        ImageError: If not.
    """
    import tifffile

    known = [tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB]
    if page.dtype == np.uint16:
        known.append(tifffile.PHOTOMETRIC.MINISWHITE)
    many = page.photometric != tifffile.PHOTOMETRIC.RGB and page.samplesperpixel > 2
    if page.photometric not in known or many or page.dtype == np.uint8:
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        samples = f"{page.samplesperpixel} samples of {page.dtype}"
        if page.dtype == np.uint8:  # which Pillow has not read
            samples += f" packed as {tifffile.COMPRESSION(page.compression).name}"
        raise ImageError(f"a TIFF of kind {kind}, {samples}, is not handled; make it RGB or gray")
    if page.dtype not in (np.uint16, np.float16, np.float32, np.float64):
        raise ImageError(f"a TIFF of {page.dtype} is not handled; make it uint16 or float")


def _check_bytes(page: Any, max_pixels: int) -> None:
    """See that pixels take no more memory than those of as many as are allowed.

    Raises:
        ImageError: If they do, or are packed as pictures of their own, which may be of any size.
    """
    import tifffile

    packed = tifffile.COMPRESSION(page.compression).name
    if packed not in _PLAIN:
        raise ImageError(
            f"a TIFF of {page.dtype} packed as {packed} is not handled; pack it as LZW or ZIP"
        )
    each = page.samplesperpixel * page.dtype.itemsize
    whole = page.imagewidth * page.imagelength * each
    if whole > MOST_BYTES * max_pixels:
        raise SizeError(
            f"its pixels have {each} bytes each, {whole / 1e6:,.0f} MB, where "
            f"{MOST_BYTES * max_pixels / 1e6:,.0f} MB are allowed; raise `max_pixels` if you "
            "trust it"
        )


def _upright(pixels: Pixels, said: Metadata, extra: str = "unassalpha") -> DeepPicture:
    exif = said.exif
    orientation = exif.get(ExifTags.Base.Orientation, 1) if exif is not None else 1
    turn = _TURNS.get(orientation)
    upright = pixels if turn is None else np.ascontiguousarray(turn(pixels))
    height, width = upright.shape[:2]
    return DeepPicture(upright, said.upright(width, height, orientation), extra)


def _tiff_is_deep(content: bytes) -> bool:
    """Whether a TIFF has samples of more than 8 bits that Pillow would cut down or not read."""
    try:
        with open_image(io.BytesIO(content)) as shallow:
            bits = shallow.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
            whole = shallow.mode.startswith("I;16") and max(bits) == 16
            is_negative = shallow.tag_v2.get(262) == 0  # type: ignore[attr-defined]
            return max(bits) > 8 and (is_negative or not whole)
    except OSError:
        return True  # such as float colour


def _tiff_dpi(tags: dict[int, Any]) -> tuple[float, float] | None:
    if 282 not in tags or 283 not in tags:
        return None
    unit = {2: 1.0, 3: 2.54}.get(int(tags.get(296, 2)))
    if unit is None:
        return None
    (x, per_x), (y, per_y) = tags[282], tags[283]
    return (x / per_x * unit, y / per_y * unit) if x and y and per_x and per_y else None


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


def _codecs() -> Any:
    try:
        import imagecodecs
        import tifffile  # noqa: F401 - the two come together
    except ImportError as error:
        raise ImageError(
            "it has more than 8 bits a channel, which needs: pip install 'kddn[high-bit-depth]'"
        ) from error
    return imagecodecs
