"""Libraries that commands use: whether they are there, and what they may say."""

import logging
from importlib import import_module
from typing import Any

from kddn.errors import KddnError


def hush_libraries() -> None:
    """Keep what decoders say about odd files off the terminal: what matters becomes an error."""
    logging.captureWarnings(True)
    for name in ("py.warnings", "PIL", "tifffile", "libav"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def optional(module: str, extra: str) -> Any:
    """A module whose libraries an extra brings, or a word on how to install them."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("kddn"):
            raise
        raise KddnError(
            f"this command needs {error.name}, which comes with: pip install 'kddn[{extra}]'"
        ) from error
