"""Hazy picture in, clear picture out: estimate small, apply at full size."""

from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kddn import image as images
from kddn import tiles
from kddn.affine import Floats, fit
from kddn.engines import open_engine
from kddn.errors import ImageError
from kddn.models import DEFAULT, find_model

SUFFIX = "-dehazed"
"""What is added to a file's name for its result."""

Scalar = TypeVar("Scalar", bound=np.generic)


class Dehazer:
    """Removes haze from pictures; made once, used for many.

    Args:
        model: Name of a model (`kddn models` lists them), or an `.onnx` file with its card.
        device: `auto`, `cpu`, `cuda`, `directml` or `coreml`. One that is missing is an error.
        working_size: Longest side, in pixels, to estimate haze at; the model's own by default.

    Raises:
        ModelError: If the model or the device cannot be used.

    Example:
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
    ) -> None:
        self.model = find_model(model)
        self.working_size = self.model.working_size if working_size is None else working_size
        if self.working_size < 1:
            raise ValueError(f"working_size must be 1 or more, not {working_size}")
        self._engine = open_engine(self.model, device)

    @overload
    def __call__(
        self, x: str | Path, strength: float = 1.0, full_resolution: bool = False
    ) -> Path: ...

    @overload
    def __call__(self, x: bytes, strength: float = 1.0, full_resolution: bool = False) -> bytes: ...

    @overload
    def __call__(
        self, x: Image.Image, strength: float = 1.0, full_resolution: bool = False
    ) -> Image.Image: ...

    @overload
    def __call__(
        self, x: NDArray[Scalar], strength: float = 1.0, full_resolution: bool = False
    ) -> NDArray[Scalar]: ...

    def __call__(
        self,
        x: str | Path | bytes | Image.Image | NDArray[Any],
        strength: float = 1.0,
        full_resolution: bool = False,
    ) -> Path | bytes | Image.Image | NDArray[Any]:
        """Remove haze and give back the same kind of thing, of the same size.

        Args:
            x: A picture file's path, its bytes, a PIL image, or an array (`h w`, `h w 1`, `h w 3`
                or `h w 4`; uint8, uint16, or float in [0, 1]).
            strength: How much of the haze to remove, from 0 (none) to 1 (all that is found).
            full_resolution: Run the network on the picture's own pixels, in tiles where it is
                large, rather than at the working size: slow, and for most models worse.

        Returns:
            For a path, the path of the new file beside it, named `photo-dehazed.jpg`; otherwise
            the clear picture as what came in.

        Raises:
            ImageError: If the picture cannot be read or handled, or the new file exists already.
            ValueError: If `strength` is out of range.
        """
        if isinstance(x, str | Path):
            return self.file(Path(x), strength=strength, full_resolution=full_resolution)
        if isinstance(x, bytes):
            with images.read(x) as source:
                clear = self(source, strength, full_resolution)
                return images.encode(clear, source, source.format or "PNG")
        photograph = images.from_pil(x) if isinstance(x, Image.Image) else images.from_array(x)
        pixels = self._remove(photograph, strength, full_resolution)
        result: Image.Image | NDArray[Any] = photograph.rebuild(pixels)
        return result

    def file(
        self,
        path: Path,
        output: Path | None = None,
        *,
        strength: float = 1.0,
        full_resolution: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Remove haze from a picture file and write the result as a new file, whole or not at all.

        Args:
            path: The picture.
            output: The new file, its format told by its ending; by default beside the picture,
                named `photo-dehazed.jpg`.
            strength: See `__call__`.
            full_resolution: See `__call__`.
            overwrite: Whether an existing file may be replaced.

        Returns:
            Where the result is.

        Raises:
            ImageError: If the picture cannot be read or handled, or the new file cannot be written
                or exists already.
        """
        output = output or path.with_stem(path.stem + SUFFIX)
        file_format = images.format_of(output)
        images.check_free(output, overwrite=overwrite)
        with images.read(path) as source:
            try:
                clear = self(source, strength, full_resolution)
                content = images.encode(clear, source, file_format)
            except ImageError as error:
                raise ImageError(f"{path}: {error}") from error
        images.write(content, output, overwrite=overwrite)
        return output

    def _remove(
        self, photograph: images.Photograph, strength: float, full_resolution: bool
    ) -> NDArray[Any]:
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must lie in [0, 1], not {strength}")
        pixels, maximum = photograph.pixels, photograph.maximum
        whole = pixels.shape[0], pixels.shape[1]
        small = _working_shape(whole, self.working_size)
        if full_resolution or small == whole:
            clear = tiles.run(self._engine, pixels, maximum)
            return _mix(pixels, clear, maximum, strength)
        hazy = shrink(pixels, maximum, small)
        return fit(hazy, self._engine(hazy)).faded(strength)(pixels, maximum)


def shrink(pixels: NDArray[Any], maximum: float, shape: tuple[int, int]) -> Floats:
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


def _working_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    height, width = shape
    share = min(1.0, longest / max(shape))
    return max(1, round(height * share)), max(1, round(width * share))


def _mix(hazy: NDArray[Any], clear: Floats, maximum: float, strength: float) -> NDArray[Any]:
    """`strength` of the way from the hazy picture to the clear one, in the hazy one's dtype."""
    clear *= np.float32(strength * maximum)
    clear += np.float32(1 - strength) * hazy.astype(np.float32)
    clear.clip(0, maximum, out=clear)
    if np.issubdtype(hazy.dtype, np.integer):
        np.rint(clear, out=clear)
    return clear.astype(hazy.dtype)
