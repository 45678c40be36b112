"""Watching a folder for pictures as they come in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kddn import files
from kddn.batch import Destination, Found, Job, pictures_of
from kddn.errors import KddnError
from kddn.image import upright
from kddn.video import is_film

_LOOK_EVERY = 500
"""Milliseconds."""

_PATIENCE = 30.0
"""Seconds after which a file that does not change is not waited for."""


def watch(folder: Path, destination: Destination, *, recursive: bool = False) -> Iterator[Job]:
    """Pictures of a folder, those that are there and those that come, once they are fully written.

    A file is taken when it has not changed between two looks and is a whole picture; one that never
    becomes whole is taken, and so reported, after half a minute without a change. A picture that
    changes later comes again.

    Raises:
        KddnError: If there is no such folder, or the library that watches is missing.
    """
    try:
        from watchfiles import watch as changes
    except ImportError as error:
        raise KddnError("--watch needs watchfiles: pip install 'kddn[watch]'") from error
    if not folder.is_dir():
        raise KddnError(f"{folder} is not a folder")
    seen: dict[Path, _Sight] = {}
    taken: dict[Path, _Sight] = {}
    looks = changes(
        folder,
        recursive=recursive,
        rust_timeout=_LOOK_EVERY,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    for _ in looks:
        for path in pictures_of(folder, recursive=recursive, suffix=destination.suffix):
            sight = _Sight.of(path)
            if sight is None or taken.get(path) == sight:
                continue
            if seen.get(path) == sight and (is_whole(path) or sight.age > _PATIENCE):
                taken[path] = sight
                yield from destination.jobs(Found([path], folder.absolute(), single=False))
            seen[path] = sight


@dataclass(frozen=True)
class _Sight:
    """What a file looks like from outside."""

    size: int
    changed: int
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path) -> "_Sight | None":
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_size, found.st_mtime_ns)

    @property
    def age(self) -> float:
        """Seconds since the last change."""
        return time.time() - self.changed / 1e9


def is_whole(path: Path) -> bool:
    """Whether a file is a picture whose pixels can all be read. Of a film, no one can tell."""
    if is_film(path):
        return True
    try:
        with files.read(path) as image:
            upright(image)
    except KddnError:
        return False
    return True
