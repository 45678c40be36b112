"""`kddn.dehaze`: the default model in one call."""

from functools import cache
from pathlib import Path
from typing import Any, overload

from numpy.typing import NDArray

from kddn.dehazer import Dehazer, Item, Same, Scalar


@cache
def _default() -> Dehazer:
    return Dehazer()


@overload
def dehaze(x: str | Path, strength: float = 1.0, full_resolution: bool = False) -> Path: ...


@overload
def dehaze(
    x: NDArray[Scalar], strength: float = 1.0, full_resolution: bool = False
) -> NDArray[Scalar]: ...


@overload
def dehaze(x: Same, strength: float = 1.0, full_resolution: bool = False) -> Same: ...


@overload
def dehaze(x: list[str], strength: float = 1.0, full_resolution: bool = False) -> list[Path]: ...


@overload
def dehaze(x: list[Item], strength: float = 1.0, full_resolution: bool = False) -> list[Item]: ...


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

    Example:
        >>> import numpy as np
        >>> import kddn
        >>> one, other = kddn.dehaze([np.zeros((9, 7, 3), np.float32), np.ones((5, 5), np.uint8)])
        >>> one.shape, one.dtype, other.dtype
        ((9, 7, 3), dtype('float32'), dtype('uint8'))
    """
    return _default()(x, strength, full_resolution)
