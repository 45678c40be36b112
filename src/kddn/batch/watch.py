"""Watching a folder for pictures as they come in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kddn.batch.plan import Destination, Found, Job, pictures_of
from kddn.errors import KddnError
from kddn.io import files
from kddn.video.dehaze import is_video

_LOOK_EVERY = 500
"""Milliseconds."""

_VIDEO_PATIENCE = 5.0
"""Seconds after which a video that does not change is taken as whole."""

_PATIENCE = 30.0
"""Seconds after which a file that does not change is not waited for."""


def watch(
    folder: Path, destination: Destination, *, recursive: bool = False
) -> Iterator[Job | None]:
    """Pictures of a folder, those that are there and those that come, once they are fully written.

    A file is taken when it has not changed between two looks and is a whole picture; one that never
    becomes whole is taken, and so reported, after half a minute without a change. A picture that
    changes later comes again. Results are not taken as pictures.

    Yields:
        Pictures; after each look, None.

    Raises:
        KddnError: If there is no such folder, or the library that watches is missing.
    """
    try:
        from watchfiles import watch as changes
    except ImportError as error:
        raise KddnError("watching needs watchfiles: pip install 'kddn[watch]'") from error
    if not folder.is_dir():
        raise KddnError(f"{folder} is not a folder")
    seen: dict[Path, tuple[_Sight, float]] = {}
    """What each looks like, and since when."""
    taken: dict[Path, _Sight] = {}
    made: dict[Path, Path] = {}
    """Sources by their results."""
    looks = changes(
        folder,
        recursive=recursive,
        rust_timeout=_LOOK_EVERY,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    for _ in looks:
        for path in pictures_of(folder, destination, recursive=recursive):
            sight = _Sight.of(path)
            if sight is None or taken.get(path) == sight or path in made:
                continue
            now = time.monotonic()
            before, since = seen.get(path, (None, now))
            if before != sight:
                seen[path] = sight, now
            elif now - since > _PATIENCE or is_whole(path, now - since):
                [job] = destination.jobs(Found([path], folder.absolute(), single=False))
                if made.get(job.output, path) != path:  # photo.jpg and photo.png, as .png
                    job = replace(job, output=job.output.with_stem(job.output.stem + path.suffix))
                made[job.output] = path
                again, taken[path] = path in taken, sight
                yield replace(job, again=again)
        yield None


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


def is_whole(path: Path, steady: float) -> bool:
    """Whether a file is a picture whose pixels can all be read.

    Of a video only time can tell: the seconds that it has not changed for.
    """
    if is_video(path):
        return steady > _VIDEO_PATIENCE
    try:
        files.open_picture(path)
    except KddnError:
        return False
    return True
