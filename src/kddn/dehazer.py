"""Hazy picture in, clear picture out: estimate small, apply at full size."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kddn.affine import AffineMap
from kddn.errors import ImageError
from kddn.filters import Floats
from kddn.inference import tiles
from kddn.inference.estimators import Estimator, ImageEstimator, open_estimator
from kddn.inference.models import DEFAULT, find_model
from kddn.inference.transmission import estimate_transmission, haze_fraction
from kddn.io import files, writing
from kddn.io import image as images
from kddn.io.limits import MAXIMUM_PIXELS
from kddn.io.memory import give_back

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = "-dehazed"
"""What is added to a file's name for its result."""

FULL_MAP = 2048
"""Longest side, in pixels, that a model whose output is a map estimates at when asked for full
resolution: its maps are smooth, so more pixels would only cost memory."""

MAXIMUM_STRENGTH = 1.5
"""Beyond, noise and errors of the estimate grow faster than what is won."""

_GRAY = 2.5 / 255
"""By how much the channels of a gray picture may differ."""

_log = logging.getLogger(__name__)

Same = TypeVar(
    "Same",
    Path,
    bytes,
    Image.Image,
    "Tensor",
    NDArray[np.uint8],
    NDArray[np.uint16],
    NDArray[np.float32],
    NDArray[np.float64],
    NDArray[Any],
    list[Path],
    list[bytes],
    list[Image.Image],
    list["Tensor"],
    list[NDArray[Any]],
)
"""What comes back as what it was."""


@dataclass(frozen=True)
class FileResult:
    """A file that was written."""

    path: Path
    size: tuple[int, int]
    """Width and height."""
    haze: float
    """Mean of `1 - t` over the picture, as estimated: 0 is clear, 1 is white."""
    sha256: str
    """Of the file."""
    lost: tuple[str, ...] = ()
    """What the picture's file said that this one does not, by name: what its format cannot hold,
    and what would no longer be true."""


@dataclass(frozen=True)
class Encoded:
    """A picture file in memory that was made."""

    content: bytes
    format: str
    """PIL's name of it."""
    size: tuple[int, int]
    """Width and height."""
    haze: float
    """As of `FileResult`."""
    lost: tuple[str, ...] = ()
    """As of `FileResult`."""


class Dehazer:
    """Removes haze from pictures; made once, used for many.

    Args:
        model: Name of a model (`kddn models` lists them), or an `.onnx` file with its card.
        device: `auto`, `cpu`, `cuda`, `directml` or `coreml`. One that is missing is an error.
        working_size: Longest side, in pixels, to estimate haze at; the model's own by default.
        max_pixels: How many pixels a picture file may have, as its header says: a guard against
            files that claim more than there is memory for.
        threads: Threads that a CPU estimates one picture with: by default one a core, which is
            fastest for one picture. For several at a time, 1 gets more done.

    It can be pickled and copied: the copy opens the model anew.

    Raises:
        ModelError: If the model or the device cannot be used.

    Examples:
        >>> import numpy as np
        >>> from kddn import Dehazer
        >>> dehazer = Dehazer()
        >>> clear = dehazer(np.full((48, 64, 3), 200, np.uint8))
        >>> clear.shape, clear.dtype
        ((48, 64, 3), dtype('uint8'))
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        device: str = "auto",
        *,
        working_size: int | None = None,
        max_pixels: int = MAXIMUM_PIXELS,
        threads: int | None = None,
    ) -> None:
        self.model = find_model(model)
        self._asked = model
        self.device = device
        self.max_pixels = max_pixels
        self.working_size = self.model.working_size if working_size is None else working_size
        if self.working_size < 1:
            raise ValueError(f"working_size must be 1 or more, not {self.working_size}")
        self._threads = threads
        self._estimator = self._open()

    def _open(self) -> Estimator:
        """What runs the model."""
        return open_estimator(self.model, self.device, self._threads)

    def __reduce__(self) -> tuple[Any, ...]:
        again = partial(
            Dehazer,
            working_size=self.working_size,
            max_pixels=self.max_pixels,
            threads=self._threads,
        )
        return again, (self._asked, self.device)

    @overload
    def __call__(self, x: str, strength: float = 1.0, full_resolution: bool = False) -> Path: ...

    @overload
    def __call__(
        self, x: list[str], strength: float = 1.0, full_resolution: bool = False
    ) -> list[Path]: ...

    @overload
    def __call__(self, x: Same, strength: float = 1.0, full_resolution: bool = False) -> Same: ...

    def __call__(self, x: Any, strength: float = 1.0, full_resolution: bool = False) -> Any:
        """Remove haze and give back the same kind of thing, of the same size.

        Args:
            x: A picture file's path, its bytes, a PIL image, an array (`h w`, `h w 1`, `h w 3` or
                `h w 4`; uint8, uint16, or float in [0, 1]), a PyTorch tensor (`3 h w` or
                `b 3 h w`; uint8, or float in [0, 1]), or a list of such things.
            strength: How much of the haze to remove, from 0 (none) over 1 (what is found) to 1.5.
            full_resolution: Run the network on the picture's own pixels, in tiles where it is
                large, rather than at the working size: slow, and for most models worse. A network
                whose output is a map gets up to `FULL_MAP` pixels of length.

        Returns:
            For a path, the path of the new file beside it, named `photo-dehazed.jpg`; otherwise
            the clear picture as what came in.

        Raises:
            ImageError: If the picture cannot be read or handled, or the new file exists already.
            ValueError: If `strength` is out of range.
        """
        if isinstance(x, list):
            return [self(each, strength, full_resolution) for each in x]
        if isinstance(x, str | Path):
            return self._beside(Path(x), strength, full_resolution)
        if isinstance(x, bytes):
            return self.encoded(x, strength=strength, full_resolution=full_resolution)
        if images.is_tensor(x) and x.ndim == 4:
            clear = x.detach().clone()
            for place, each in enumerate(x):
                clear[place] = self(each, strength, full_resolution)
            return clear
        photograph = images.from_any(x)
        pixels, *_ = self._remove(photograph, strength, full_resolution)
        return photograph.rebuild(pixels)

    def _beside(self, path: Path, strength: float, full_resolution: bool) -> Path:
        """Write a picture file's result beside it."""
        done = self.file(path, strength=strength, full_resolution=full_resolution)
        _tell_lost(done.path, done.lost)
        return done.path

    def file(
        self,
        path: Path,
        output: Path | None = None,
        *,
        strength: float = 1.0,
        full_resolution: bool = False,
        overwrite: bool = False,
    ) -> FileResult:
        """Remove haze from a picture file and write the result as a new file, whole or not at all.

        The new file has the picture's date and permissions. Where it is a link, what it leads to is
        written.

        Args:
            path: The picture.
            output: The new file, its format told by its ending; by default beside the picture,
                named `photo-dehazed.jpg`.
            strength: See `__call__`.
            full_resolution: See `__call__`.
            overwrite: Whether an existing file may be replaced.

        Returns:
            What was written, and what it could not keep.

        Raises:
            ImageError: If the picture cannot be read or handled, or the new file cannot be written
                or exists already.
        """
        files.check_ending(path)
        if not os.path.lexists(path):
            raise ImageError(f"{path} does not exist")
        output = output or path.with_stem(path.stem + SUFFIX)
        file_format = files.format_of(output)
        writing.check_free(output, overwrite=overwrite)
        with writing.unchanged(path, output):
            done = self._make(path, file_format, strength, full_resolution)
        writing.write(done.content, output, overwrite=overwrite, like=path)
        sha256 = hashlib.sha256(done.content).hexdigest()
        return FileResult(output, done.size, done.haze, sha256, done.lost)

    def encoded(
        self,
        content: bytes,
        *,
        format: str | None = None,
        strength: float = 1.0,
        full_resolution: bool = False,
    ) -> bytes:
        """Remove haze from a picture file in memory.

        Args:
            content: The file.
            format: Ending of another format, such as `png`; by default it stays, but for those
                that can be read alone, which become PNG.
            strength: See `__call__`.
            full_resolution: See `__call__`.

        Raises:
            ImageError: If the picture cannot be read or handled.
        """
        done = self.in_memory(
            content, format=format, strength=strength, full_resolution=full_resolution
        )
        _tell_lost(Path("the result"), done.lost)
        return done.content

    def in_memory(
        self,
        content: bytes,
        *,
        format: str | None = None,
        strength: float = 1.0,
        full_resolution: bool = False,
        max_pixels: int | None = None,
    ) -> Encoded:
        """As `encoded`, with what there is to tell of the file that was made.

        `max_pixels` are how many pixels this one may have, if not as many as any.
        """
        as_format = files.format_of(Path(f"x.{format.lstrip('.')}")) if format else None
        return self._make(content, as_format, strength, full_resolution, max_pixels)

    def _make(
        self,
        source: Path | bytes,
        format: str | None,
        strength: float,
        full_resolution: bool,
        max_pixels: int | None = None,
    ) -> Encoded:
        """Remove haze from a picture file; in another format if one is named, by PIL's name."""
        opened = files.open_picture(source, max_pixels=max_pixels or self.max_pixels)
        file_format = format or files.writable(opened.format)
        photograph, encode, lost = opened.photograph, opened.encode, opened.lost(file_format)
        del opened  # so that only one copy of the pixels is held at a time
        pixels, hazy, less_hazy = self._remove(photograph, strength, full_resolution)
        rebuild = photograph.rebuild
        del photograph
        try:
            content = encode(rebuild(pixels), file_format)
        except ImageError as error:
            name = f"{source}: " if isinstance(source, Path) else ""
            raise ImageError(f"{name}{error}") from error
        haze = haze_fraction(hazy, less_hazy)
        size = pixels.shape[1], pixels.shape[0]
        del pixels, rebuild
        give_back()
        return Encoded(content, file_format, size, haze, lost)

    def transmission(self, x: str | Path | bytes | Image.Image | NDArray[Any]) -> Floats:
        """How much of the scene's own light comes through the haze, place by place.

        Args:
            x: One picture, as for `__call__`.

        Returns:
            `t` in [0, 1], float32 `H W`, upright: 1 where there is no haze. Told from what the
            model removes at the working size; see `kddn.inference.transmission`.

        Raises:
            ImageError: If the picture cannot be read or handled.

        Examples:
            >>> import numpy as np
            >>> from kddn import Dehazer
            >>> Dehazer().transmission(np.zeros((48, 64, 3), np.uint8)).shape
            (48, 64)
        """
        if isinstance(x, str | Path | bytes):
            source = Path(x) if isinstance(x, str) else x
            photograph = files.open_picture(source, max_pixels=self.max_pixels).photograph
        else:
            photograph = images.from_any(x)
        hazy, affine = self.affine_map(photograph)
        t = Image.fromarray(estimate_transmission(hazy, affine(hazy, 1.0)))
        height, width = photograph.pixels.shape[:2]
        whole = t.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(whole).clip(0, 1)

    def affine_map(self, photograph: images.Photograph) -> tuple[Floats, AffineMap]:
        """What would be done to a picture at the working size.

        Returns:
            The picture at the working size, in [0, 1], and the map that makes it clear.
        """
        hazy = self._small(photograph, self.working_size)
        return hazy, self._estimate(hazy)

    def _estimate(self, hazy: Floats) -> AffineMap:
        """The map that makes a small picture clear; gray ones stay gray."""
        affine = self._estimator.estimate(hazy)
        return affine.gray() if _is_gray(hazy) else affine

    def _small(self, photograph: images.Photograph, longest: int) -> Floats:
        """The picture at a working size, float32 in [0, 1]."""
        pixels, maximum = photograph.pixels, photograph.maximum
        shape = _working_shape(pixels.shape[:2], longest, self._estimator.stride)
        return shrink(pixels, maximum, shape)

    def _remove(
        self, photograph: images.Photograph, strength: float, full_resolution: bool
    ) -> tuple[NDArray[Any], Floats, Floats]:
        """The clear pixels, and at the working size what came in and what the model made of it."""
        check_strength(strength)
        pixels, maximum = photograph.pixels, photograph.maximum
        estimator, longest = self._estimator, self.working_size
        draws = estimator if isinstance(estimator, ImageEstimator) else None  # not only a map
        if full_resolution and draws is None:
            longest = min(max(pixels.shape[:2]), FULL_MAP)
        hazy = self._small(photograph, longest)
        if draws is not None and (full_resolution or hazy.shape == pixels.shape):
            clear = tiles.run(draws.remove_haze, pixels, maximum)
            if _is_gray(hazy):
                clear[:] = clear.mean(axis=2, keepdims=True)
            small = shrink(clear, 1.0, hazy.shape[:2])  # before _mix, which works in place
            return _mix(pixels, clear, maximum, strength), hazy, small
        affine = self._estimate(hazy)
        clear = affine.faded(strength)(pixels, maximum) if strength else pixels.copy()
        return clear, hazy, affine(hazy, 1.0)


def check_strength(strength: float) -> None:
    """See that a strength is one that pictures and videos can be done with.

    Raises:
        ValueError: If not.
    """
    if not 0 <= strength <= MAXIMUM_STRENGTH:
        raise ValueError(f"strength must lie in [0, {MAXIMUM_STRENGTH}], not {strength}")


def shrink(pixels: NDArray[Any], maximum: float, shape: Sequence[int]) -> Floats:
    """A smaller picture, antialiased by area-wide bilinear weights.

    Args:
        pixels: `H W 3`, any dtype, in [0, maximum].
        maximum: What stands for white.
        shape: Height and width of the result.

    Returns:
        float32 `h w 3` in [0, 1].
    """
    height, width = shape
    if pixels.dtype == np.uint8:
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        return (np.asarray(small) / maximum).astype(np.float32)
    channels = [
        Image.fromarray(pixels[..., channel].astype(np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for channel in range(3)
    ]
    stacked = np.stack([np.asarray(channel) for channel in channels], axis=2)
    return (stacked / maximum).astype(np.float32)


def _is_gray(image: Floats) -> bool:
    """Whether a picture in [0, 1] has no colours, but for what rounding makes."""
    return bool(np.ptp(image, axis=2).max() <= _GRAY)


def _working_shape(shape: Sequence[int], longest: int, stride: int) -> tuple[int, int]:
    """Height and width to work at: at most `longest`, in multiples of the stride."""
    fraction = min(1.0, longest / max(shape))
    height, width = (max(1, round(side * fraction / stride)) * stride for side in shape)
    return height, width


def _mix(hazy: NDArray[Any], clear: Floats, maximum: float, strength: float) -> NDArray[Any]:
    """`strength` of the way from the hazy picture to the clear one, in the hazy one's dtype."""
    if strength == 0:
        return hazy.copy()
    clear *= np.float32(strength * maximum)
    clear += np.float32(1 - strength) * hazy.astype(np.float32)
    clear.clip(0, maximum, out=clear)
    if np.issubdtype(hazy.dtype, np.integer):
        np.rint(clear, out=clear)
    return clear.astype(hazy.dtype)


def _tell_lost(result: Path, lost: Sequence[str]) -> None:
    if lost:
        _log.warning("%s is without what its picture had: %s", result, ", ".join(lost))


@cache
def _default() -> Dehazer:
    return Dehazer()


@overload
def dehaze(x: str, strength: float = 1.0, full_resolution: bool = False) -> Path: ...


@overload
def dehaze(x: list[str], strength: float = 1.0, full_resolution: bool = False) -> list[Path]: ...


@overload
def dehaze(x: Same, strength: float = 1.0, full_resolution: bool = False) -> Same: ...


def dehaze(x: Any, strength: float = 1.0, full_resolution: bool = False) -> Any:
    """Remove haze with the default model and give back the same kind of thing, of the same size.

    The model is loaded at the first call and kept. For another model or device make a `Dehazer`,
    whose call takes the same arguments and raises the same errors.

    Args:
        x: A picture file's path, its bytes, a PIL image, an array, a PyTorch tensor, or a list of
            such things.
        strength: How much of the haze to remove, from 0 over 1 (what is found) to 1.5.
        full_resolution: Run the network on the picture's own pixels.

    Returns:
        For a path, the path of the new file beside it, named `photo-dehazed.jpg`; otherwise the
        clear picture as what came in.

    Examples:
        >>> import numpy as np
        >>> import kddn
        >>> one, other = kddn.dehaze([np.zeros((9, 7, 3), np.float32), np.ones((5, 5), np.uint8)])
        >>> one.shape, one.dtype, other.dtype
        ((9, 7, 3), dtype('float32'), dtype('uint8'))
    """
    return _default()(x, strength, full_resolution)
