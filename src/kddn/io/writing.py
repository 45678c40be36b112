"""Files written whole or not at all, pictures and videos alike."""

import contextlib
import glob
import hashlib
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kddn.errors import ImageError


def check_free(path: Path, *, overwrite: bool) -> None:
    """Make sure that a result may be written there.

    Raises:
        ImageError: If the file exists and may not be overwritten, or is a folder or a device.
    """
    if os.path.lexists(path):
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is no file to write to; name another output")
        if not overwrite:
            raise ImageError(
                f"{path} exists already; remove it, ask to overwrite, or name another output"
            )


def write(content: bytes, path: Path, *, overwrite: bool, like: Path | None = None) -> None:
    """Write a file whole or not at all.

    Args:
        content: What it is to hold.
        path: The file.
        overwrite: Whether it may be replaced.
        like: A file whose date and permissions it gets.

    Raises:
        ImageError: If it exists and may not be overwritten, or cannot be written.
    """
    try:
        with new_file(path, overwrite=overwrite, like=like) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def new_file(path: Path, *, overwrite: bool, like: Path | None = None) -> Iterator[Path]:
    """A name to write to; what is there when all went well becomes the file, otherwise it goes.

    Where the file is a link, what it leads to is replaced. What processes of this machine that are
    gone left unfinished of the same file is removed.

    Args:
        path: The file.
        overwrite: Whether it may be replaced.
        like: A file whose date and permissions it gets.

    Raises:
        ImageError: If it exists and may not be overwritten.
        OSError: If it cannot be written.
    """
    check_free(path, overwrite=overwrite)
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    unfinished = place.with_name(f"{_mark(place)}{os.getpid()}-{threading.get_ident()}.part")
    try:
        # For nobody else to read before it has its permissions.
        os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY, 0o600))
        yield unfinished
        _make_like(unfinished, like)
        if overwrite:
            unfinished.replace(place)
        else:
            _move_unless_there(unfinished, place)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _make_like(path: Path, like: Path | None) -> None:
    """Give a file the date and permissions of another, or those of any new file."""
    found = None if like is None else like.stat()
    if found is None or not stat.S_ISREG(found.st_mode):  # such as a pipe
        path.chmod(0o666 & ~_umask())
        return
    with contextlib.suppress(OSError, AttributeError):  # only root may give files away, on POSIX
        os.chown(path, found.st_uid, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode) & 0o777)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@cache
def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _move_unless_there(unfinished: Path, path: Path) -> None:
    """Rename a file to a name that is free, also where others write at the same time."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise ImageError(f"{path} has been written by someone else meanwhile") from None
    except OSError:  # a file system without links
        check_free(path, overwrite=False)
        unfinished.replace(path)


def _mark(path: Path) -> str:
    """How the names of what is unfinished of a file begin on this machine.

    Shorter than most names, so that any name that a file system takes can be written; and with the
    machine, since process numbers mean nothing on others that share the folder.
    """
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    return f".kddn-{name}-{_host()}-"


@cache
def _host() -> str:
    return re.sub(r"[^\w.]", "", socket.gethostname(), flags=re.ASCII)[:40] or "host"


def _remove_abandoned(path: Path) -> None:
    """Remove what processes of this machine that are gone left unfinished of a file."""
    mark = _mark(path)
    for part in path.parent.glob(f"{glob.escape(mark)}*.part"):
        process = part.name.removeprefix(mark).split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            part.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name != "posix":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
