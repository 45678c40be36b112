"""What decoders are allowed to say."""

import logging


def hush_libraries() -> None:
    """Keep what decoders say about odd files off the terminal: what matters becomes an error."""
    logging.captureWarnings(True)
    for name in ("py.warnings", "PIL", "tifffile", "libav"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
