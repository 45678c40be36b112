"""What goes wrong in ways a person can mend."""

import re


class KddnError(Exception):
    """Bad input, named with its cause and the next step, in one line."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


def one_line(text: str) -> str:
    r"""A text without line breaks and control characters.

    Files' names and decoders' messages may have some, which a terminal or a log would obey.

    Example:
        >>> one_line("a\nb\x1b[2J.jpg ")
        'a b\\x1b[2J.jpg'
    """
    text = re.sub(r"\s*[\r\n\v\f\x85\u2028\u2029]\s*", " ", text.strip())
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: ascii(found[0])[1:-1], text)


class ImageError(KddnError):
    """A picture that cannot be read, or cannot be written."""


class SizeError(ImageError):
    """A picture with more pixels than are allowed."""


class TakenError(ImageError):
    """A result whose file exists already, and may not be replaced."""


class ModelError(KddnError):
    """Weights that are missing, damaged or do not fit."""


class DataError(KddnError):
    """Training or validation data that is missing, damaged or wrongly laid out."""


class VideoError(KddnError):
    """A video cannot be read, handled or written."""
