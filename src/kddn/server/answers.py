"""How a clear picture goes back."""

from pathlib import Path, PurePosixPath
from urllib.parse import quote

from PIL import Image

from kddn.dehazer import SUFFIX, Encoded
from kddn.errors import ImageError
from kddn.io.files import format_of

_ENDINGS = {"JPEG": "jpg", "JPEG2000": "jp2", "HEIF": "heic", "TIFF": "tif"}
"""Of new files, where a format's name is no ending."""


def picture_headers(done: Encoded, name: str, format: str | None) -> dict[str, str]:
    """Headers that tell of a picture.

    Args:
        done: The picture.
        name: Of the file that came in.
        format: The ending that was asked for.
    """
    return {
        "Content-Length": str(len(done.content)),
        "Content-Type": Image.MIME.get(done.format, "application/octet-stream"),
        "Content-Disposition": _attached(result_name(name, done.format, format)),
        "X-Kddn-Haze": f"{done.haze:.4f}",
        "X-Kddn-Lost": ", ".join(done.lost),
    }


def result_name(name: str, kind: str, format: str | None = None) -> str:
    """`photo.jpg` becomes `photo-dehazed.jpg`; its ending stays unless it is another format's.

    Args:
        name: Of the file that came in.
        kind: PIL's name of the result's format.
        format: The ending that was asked for.
    """
    path = PurePosixPath(name)
    ending = format or _ENDINGS.get(kind, kind.lower())
    kept = path.suffix if format is None and _is(path.suffix, kind) else f".{ending}"
    return f"{path.stem}{SUFFIX}{kept}"


def _is(ending: str, kind: str) -> bool:
    try:
        return format_of(Path(f"x{ending}")) == kind
    except ImageError:
        return False


def _attached(name: str) -> str:
    """RFC 6266, with a name for those who read ASCII alone."""
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
