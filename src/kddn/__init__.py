"""Haze removal for photographs: `kddn.dehaze(picture)`, or a `Dehazer` for many."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kddn.dehazer import Dehazer as Dehazer
    from kddn.dehazer import dehaze as dehaze
    from kddn.errors import ImageError as ImageError
    from kddn.errors import KddnError as KddnError
    from kddn.errors import ModelError as ModelError

__version__ = "0.1.0"

__all__ = ["Dehazer", "ImageError", "KddnError", "ModelError", "dehaze"]

_HOMES = {
    "Dehazer": "kddn.dehazer",
    "ImageError": "kddn.errors",
    "KddnError": "kddn.errors",
    "ModelError": "kddn.errors",
    "dehaze": "kddn.dehazer",
}

_MOVED = {"deep": "kddn.io.png", "files": "kddn.io.files"}
"""Where what others import from modules that were here before 0.1 has moved."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import kddn` costs nothing."""
    if name in _MOVED:
        return import_module(_MOVED[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
