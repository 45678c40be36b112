"""What goes wrong in ways a person can mend."""


class KddnError(Exception):
    """Bad input, named with its cause and the next step. The command line prints it as one line."""


class ImageError(KddnError):
    """A picture that cannot be read, or cannot be written."""


class SizeError(ImageError):
    """A picture with more pixels than are allowed."""


class ModelError(KddnError):
    """Weights that are missing, damaged or do not fit."""


class DataError(KddnError):
    """Training or validation data that is missing, damaged or wrongly laid out."""


class VideoError(KddnError):
    """A video cannot be read, handled or written."""
