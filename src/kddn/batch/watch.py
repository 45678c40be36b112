"""Watching a folder for pictures as they come in."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kddn.batch.plan import Destination, Found, Job, pictures_of
from kddn.errors import KddnError, SizeError
from kddn.io import files
from kddn.io.limits import MAXIMUM_PIXELS
from kddn.video.dehaze import is_video

_LOOK_EVERY = 500
"""Milliseconds."""

_VIDEO_PATIENCE = 5.0
"""Seconds after which a video that does not change is taken as whole."""

_PATIENCE = 30.0
"""Seconds after which a file that does not change is not waited for."""


def watch(
    folder: Path,
    destination: Destination,
    *,
    recursive: bool = False,
    max_pixels: int = MAXIMUM_PIXELS,
) -> Iterator[Job | None]:
    """Pictures of a folder, those that are there and those that come, once they are fully written.

    A file is taken when it has not changed between two looks and is a whole picture; one that never
    becomes whole is taken, and so reported, after half a minute without a change. A picture that
    changes later comes again. Results are not taken as pictures.

    Args:
        folder: What is watched.
        destination: Where results go.
        recursive: Whether to look into the folders of the folder too.
        max_pixels: How many pixels a picture may have: one that has more is not looked at further.

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
    results: dict[Path, Path] = {}
    """Of each that was taken."""
    made: set[Path] = set()
    """The same, to find them by."""
    looks = changes(
        folder,
        recursive=recursive,
        rust_timeout=_LOOK_EVERY,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    for _ in looks:
        pictures = list(pictures_of(folder, destination, recursive=recursive))
        for gone in (taken.keys() | seen.keys()).difference(pictures):
            for known in (seen, taken, results):  # a file of that name is another picture then
                known.pop(gone, None)
        namesakes: dict[Path, list[Path]] = {}
        for path in pictures:
            sight = _Sight.of(path)
            if sight is None or taken.get(path) == sight or path in made:
                continue
            now = time.monotonic()
            before, since = seen.get(path, (None, now))
            if before != sight:
                seen[path] = sight, now
            elif now - since > _PATIENCE or is_whole(path, now - since, max_pixels):
                namesakes = namesakes or _by_name(each for each in pictures if each not in made)
                job = _job(path, namesakes[path.with_suffix("")], folder, destination)
                job = replace(job, output=results.get(path, job.output), again=path in taken)
                if path not in results and job.output in made:
                    job = replace(
                        job,
                        problem=f"another picture's result is {job.output} already; rename this "
                        "one, or use {folder} or {suffix} in the output's name",
                    )
                taken[path] = sight
                if not job.problem:
                    results[path] = job.output
                    made.add(job.output)
                yield job
        yield None


def _by_name(pictures: Iterable[Path]) -> dict[Path, list[Path]]:
    """Those that differ in their endings alone, together."""
    found: dict[Path, list[Path]] = {}
    for path in pictures:
        found.setdefault(path.with_suffix(""), []).append(path)
    return found


def _job(path: Path, namesakes: list[Path], folder: Path, destination: Destination) -> Job:
    """Where a picture's result goes beside those of its namesakes."""
    try:
        jobs = destination.jobs(Found(namesakes, folder.absolute(), single=False))
    except KddnError as error:  # which is no reason to end for the others
        return Job(path, path, problem=str(error))
    return next(job for job in jobs if job.source == path)


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


def is_whole(path: Path, steady: float, max_pixels: int = MAXIMUM_PIXELS) -> bool:
    """Whether a file is a picture whose pixels can all be read, or too large for that.

    Of a video only time can tell: the seconds that it has not changed for.
    """
    if is_video(path):
        return steady > _VIDEO_PATIENCE
    try:
        files.open_picture(path, max_pixels=max_pixels)
    except SizeError:
        return True
    except KddnError:
        return False
    except Exception:  # whatever it is, doing the picture tells of it
        return True
    return True
