"""Haze is removed from many pictures and videos; a row each says what became of it."""

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kddn.batch.plan import Job
from kddn.dehazer import Dehazer, Encoded, FileResult
from kddn.errors import KddnError, TakenError, VideoError, one_line
from kddn.io.limits import open_image
from kddn.io.writing import tidy
from kddn.machine import memory
from kddn.video.dehaze import dehaze_video, is_video

_BYTES_A_PIXEL = 55
"""Of memory that a picture takes while it is done, at most: of floating numbers with transparency.
Of 8 bits it is 7 to 18, of 16 up to 25, of inks 27."""

_VIDEO_PIXELS = 50_000_000
"""What a video counts as."""


@dataclass(frozen=True)
class Row:
    """What became of a picture: one line of a report."""

    input: str
    output: str
    status: Literal["done", "skipped", "failed"]
    model: str
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None
    haze: float | None = None
    """Mean of 1 - t over the picture, as estimated: 0 is clear, 1 is white."""
    sha256: str | None = None
    """Of the result."""
    frames: int | None = None
    """Of a video."""
    held: list[float] | None = None
    """Seconds at which a video's frame was broken, and the one before it was shown on."""
    lost: list[str] = field(default_factory=list)
    """What the picture's file said that the result does not, by name."""
    error: str | None = None

    def json(self) -> str:
        """As one line."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:  # a name of bytes that are no text
            return json.dumps(asdict(self))
        return text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How haze is removed, and what is done about results that exist already."""

    strength: float = 1.0
    """See `Dehazer.__call__`."""
    full_resolution: bool = False
    """See `Dehazer.__call__`."""
    overwrite: bool = False
    """Whether existing results may be replaced."""
    skip_existing: bool = False
    """Whether what has a result is left out, so that a run that was broken off goes on."""
    on_frame: Callable[[int, int], None] | None = None
    """Called after each frame of a video; see `dehaze_video`."""

    def replaces(self, job: Job) -> bool:
        """Whether a job's result may replace a file."""
        unfinished = self.skip_existing and job.output.is_file() and not _is_there(job.output)
        return self.overwrite or job.again or job.output == job.source or unfinished


def run(
    dehazer: Dehazer,
    jobs: Iterable[Job | None],
    settings: Settings | None = None,
    *,
    threads: int = 1,
    in_order: bool = True,
) -> Iterator[tuple[Job, Row]]:
    """Remove haze from many files; one that fails does not stop the others.

    While one file is read, another is estimated and a third written; together they hold no more
    pixels than half the memory has room for.

    Args:
        dehazer: What removes it; made with `threads=1`, it leaves the cores to several files.
        jobs: The files. May be endless: they are taken as threads become free. None stands for
            nothing new as yet.
        settings: How.
        threads: Files at a time.
        in_order: Whether what became of the files comes in their order, not as they are done.

    Yields:
        What became of each.
    """
    chosen = settings or Settings()
    stopped = threading.Event()
    tell = chosen.on_frame

    def on_frame(number: int, count: int) -> None:
        if stopped.is_set():
            raise VideoError("stopped")
        if tell is not None:
            tell(number, count)

    chosen = replace(chosen, on_frame=on_frame)
    room = Room()

    def one(job: Job) -> Row:
        with room.hold(pixels_of(job.source) if threads > 1 else 0):
            return process(dehazer, job, chosen)

    with ThreadPoolExecutor(threads) as pool:
        running: set[Future[Row]] = set()
        line: list[tuple[Job, Future[Row]]] = []
        try:
            for job in jobs:
                if job is not None:
                    line.append((job, pool.submit(one, job)))
                    running.add(line[-1][1])
                patience = None if len(running) >= threads else 0
                running = wait(running, patience, FIRST_COMPLETED).not_done
                yield from _done(line, in_order)
            while running:
                running = wait(running, return_when=FIRST_COMPLETED).not_done
                yield from _done(line, in_order)
        except KeyboardInterrupt:  # what has a result is told nevertheless
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            line = [each for each in line if not each[1].cancelled()]
            yield from (each for each in _done(line, in_order=False) if each[1].status == "done")
            raise
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _done(line: list[tuple[Job, Future[Row]]], in_order: bool) -> Iterator[tuple[Job, Row]]:
    """Take out of a line what is done: from its head, or from anywhere."""
    if in_order:
        ready = list(itertools.takewhile(lambda each: each[1].done(), line))
    else:
        ready = [each for each in line if each[1].done()]
    for each in ready:
        line.remove(each)
        yield each[0], each[1].result()


class Room:
    """Pixels that may be in memory at a time. A picture of more has it to itself.

    Args:
        pixels: How many; by default what half of the memory has room for.
    """

    def __init__(self, pixels: int | None = None) -> None:
        self._all = self._free = memory() // 2 // _BYTES_A_PIXEL if pixels is None else pixels
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait for room, and have it meanwhile."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def pixels_of(path: Path) -> int:
    """About how many pixels of a file are in memory at a time."""
    if is_video(path):
        return _VIDEO_PIXELS
    try:
        with open_image(path) as image:
            return image.width * image.height
    except Exception:  # what cannot be opened like this may be another library's, or damaged
        with suppress(OSError):
            return path.stat().st_size
        return 0


def process(dehazer: Dehazer, job: Job, settings: Settings) -> Row:
    """Do one file; whatever is wrong with it becomes a row that says so."""
    blank = Row(str(job.source), str(job.output), "skipped", dehazer.model.name)
    if job.problem:
        return replace(blank, status="failed", error=f"{job.source}: {job.problem}")
    if settings.skip_existing and _is_there(job.output) and not job.again:
        tidy(job.output.parent)
        return blank
    began = time.perf_counter()
    one = _video if is_video(job.source) else _picture
    try:
        row = replace(blank, status="done", **one(dehazer, job, settings))
    except TakenError as error:
        failed = replace(blank, status="failed", error=told(error, job.source))
        # Another run was faster, unless it is a link to nowhere.
        row = blank if settings.skip_existing and _is_there(job.output) else failed
    except Exception as error:  # one bad file does not stop the others, whatever it has
        row = replace(blank, status="failed", error=told(error, job.source))
    return replace(row, seconds=round(time.perf_counter() - began, 3))


def _is_there(path: Path) -> bool:
    """Whether there is a result; not an empty file, which a machine that lost power may leave."""
    try:
        return path.stat().st_size > 0
    except OSError:  # where it may not be seen too
        return False


def process_content(
    dehazer: Dehazer, content: bytes, names: tuple[str, str], settings: Settings
) -> tuple[Row, bytes | None]:
    """Do a picture file in memory, and what its row says.

    Args:
        dehazer: What removes the haze.
        content: The file.
        names: What the row calls the picture, and its result.
        settings: How.

    Returns:
        The row, and the result where there is one.
    """
    blank = Row(*names, "failed", dehazer.model.name)
    began = time.perf_counter()
    try:
        done = dehazer.in_memory(
            content, strength=settings.strength, full_resolution=settings.full_resolution
        )
    except Exception as error:  # as in `process`
        return replace(blank, error=told(error, names[0])), None
    row = replace(blank, status="done", seconds=round(time.perf_counter() - began, 3))
    sha256 = hashlib.sha256(done.content).hexdigest()
    return replace(row, **_said(done, sha256)), done.content


def told(error: Exception, source: Path | str) -> str:
    """What went wrong with a file, naming it."""
    if isinstance(error, MemoryError):
        return one_line(f"{source}: there is not enough memory for it")
    text = str(error) if isinstance(error, KddnError) else f"{type(error).__name__}: {error}"
    named = one_line(str(source)) in text
    return one_line(text if named else f"{source}: {text}")


def _picture(dehazer: Dehazer, job: Job, settings: Settings) -> dict[str, Any]:
    """Do a picture; what a row says of it."""
    done = dehazer.file(
        job.source,
        job.output,
        strength=settings.strength,
        full_resolution=settings.full_resolution,
        overwrite=settings.replaces(job),
    )
    return _said(done, done.sha256)


def _said(done: FileResult | Encoded, sha256: str) -> dict[str, Any]:
    """What a row says of a picture that was made."""
    width, height = done.size
    found = {"haze": round(done.haze, 4), "sha256": sha256, "lost": list(done.lost)}
    return {"width": width, "height": height, **found}


def _video(dehazer: Dehazer, job: Job, settings: Settings) -> dict[str, Any]:
    """Do a video; what a row says of it."""
    if settings.full_resolution:
        raise VideoError(f"{job.source} is a video; those have no `full_resolution`")
    done = dehaze_video(
        dehazer,
        job.source,
        job.output,
        strength=settings.strength,
        overwrite=settings.replaces(job),
        on_frame=settings.on_frame,
    )
    width, height = done.size
    of_video = {"sha256": done.sha256, "frames": done.frames, "held": done.held}
    of_video["lost"] = list(done.lost)
    return {"width": width, "height": height, **of_video}
