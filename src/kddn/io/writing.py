"""Files written whole or not at all, pictures and videos alike."""

import contextlib
import errno
import hashlib
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from kddn.errors import ImageError, TakenError


def check_free(path: Path, *, overwrite: bool) -> None:
    """Make sure that a result may be written there.

    Raises:
        TakenError: If the file exists and may not be overwritten.
        ImageError: If it is a folder or a device.
    """
    if os.path.lexists(path):
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is no file to write to; name another output")
        if not overwrite:
            is_there = "exists already" if path.exists() else "is a link that leads nowhere"
            raise TakenError(
                f"{path} {is_there}; remove it, ask to overwrite, or name another output"
            )


def make_folder(folder: Path) -> None:
    """Make sure that there is a folder that may be written to, making it if need be.

    Raises:
        ImageError: If there is none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder} cannot be made a folder ({error.strerror or error})") from error


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

    Where the file is a link, what it leads to is replaced. Its folder is made, and tidied.

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
    tidy(place.parent)
    unfinished = place.with_name(
        f"{_mark(place)}{_host()}-{os.getpid()}-{threading.get_ident()}.part"
    )
    try:
        # For nobody else to read before it has its permissions.
        os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY, 0o600))
        yield unfinished
        _to_disk(unfinished)  # or a power cut might leave the name, and nothing under it
        found = None if like is None else like.stat()
        if found is not None and not stat.S_ISREG(found.st_mode):  # such as a pipe
            found = None
        if os.name == "posix":  # elsewhere a file that may only be read cannot be moved
            _permit(unfinished, found)
        if overwrite:
            unfinished.replace(place)
        else:
            _move_unless_there(unfinished, place)
        if found is not None:  # last: the date tells others that it is being written
            with contextlib.suppress(OSError):
                os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


@contextlib.contextmanager
def unchanged(path: Path, output: Path) -> Iterator[None]:
    """While a result is made that takes its source's place, see that the source stays what it was.

    Args:
        path: What is read.
        output: Where the result goes; elsewhere, nothing is checked.

    Raises:
        ImageError: At the end, if it has changed.
    """
    before = _identity(path) if output == path else None
    yield
    if before is not None and _identity(path) != before:
        raise ImageError(f"{path} has changed meanwhile, and is left as it is; do it again")


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another in its place; None where there is none."""
    if not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _permit(path: Path, found: os.stat_result | None) -> None:
    """Give a file the owner and permissions of another, or the permissions of any new file.

    As far as one may: only root gives files away, and some drives have no permissions.
    """
    mode = 0o666 & ~_umask()
    if found is not None:
        mode = stat.S_IMODE(found.st_mode) & 0o777
        with contextlib.suppress(OSError):
            os.chown(path, found.st_uid, found.st_gid)
    with contextlib.suppress(OSError):
        path.chmod(mode)


def _to_disk(path: Path) -> None:
    """Wait until what was written of a file is on the disk, where the file system can say so."""
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise


@cache
def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _move_unless_there(unfinished: Path, path: Path) -> None:
    """Rename a file to a name that is free, also where others write at the same time."""
    try:
        os.link(unfinished, path)
        unfinished.unlink()
    except FileExistsError:
        raise TakenError(f"{path} has been written by someone else meanwhile") from None
    except OSError:  # a file system without links
        check_free(path, overwrite=False)
        unfinished.replace(path)


def _mark(path: Path) -> str:
    """How the names of what is unfinished of a file begin.

    Shorter than most names, so that any name that a file system takes can be written.
    """
    return f".kddn-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


_ANY_MARK = f".kddn-{'?' * 12}-"
"""What all marks match, as long as they are."""


@cache
def _host() -> str:
    """This machine's name, and what tells it and this container from others of that name."""
    name = re.sub(r"[^\w.]", "", socket.gethostname(), flags=re.ASCII)[:40] or "host"
    own = _container()
    return f"{name}.{hashlib.sha256(own).hexdigest()[:8]}" if own else name


def _container() -> bytes:
    """What tells the machine since it was started, and where its processes have their numbers."""
    own = b""
    with contextlib.suppress(OSError):
        own += Path("/proc/sys/kernel/random/boot_id").read_bytes()
    with contextlib.suppress(OSError):
        own += b"%d" % Path("/proc/self/ns/pid").stat().st_ino
    return own


_ABANDONED = 24 * 60 * 60
"""Seconds for which a file was not written to, after which whoever wrote it is taken to be gone."""


@lru_cache(maxsize=1024)
def tidy(folder: Path) -> None:
    """Remove what others that are gone left unfinished in a folder, once for each process.

    Also to be called for files that are there already: one who was killed just after its last
    step may have left the name it wrote to beside the file.
    """
    for part in folder.glob(f"{_ANY_MARK}*.part"):
        with contextlib.suppress(OSError):
            writer = part.name[len(_ANY_MARK) :]
            if _is_gone(writer) or time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()


def _is_gone(writer: str) -> bool:
    """Whether a process of this machine, as the rest of a name tells of it, runs no more.

    Process numbers mean nothing on other machines that share the folder, containers among them.
    """
    host, _, rest = writer.partition("-")
    process = rest.partition("-")[0]
    return host == _host() and process.isdigit() and not _is_running(int(process))


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
