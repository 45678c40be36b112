"""Haze is removed from many pictures and videos; a row each says what became of it."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kddn.batch.plan import Job
from kddn.dehazer import Dehazer
from kddn.errors import KddnError, TakenError, VideoError, one_line
from kddn.video.dehaze import dehaze_video, is_video


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
        return self.overwrite or job.again or job.output == job.source


def run(
    dehazer: Dehazer,
    jobs: Iterable[Job | None],
    settings: Settings | None = None,
    *,
    threads: int = 1,
) -> Iterator[tuple[Job, Row]]:
    """Remove haze from many files; one that fails does not stop the others.

    Args:
        dehazer: What removes it.
        jobs: The files. May be endless: they are taken as threads become free. None stands for
            nothing new as yet.
        settings: How.
        threads: Files at a time.

    Yields:
        What became of each, as they are done.
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

    with ThreadPoolExecutor(threads) as pool:
        running: dict[Future[Row], Job] = {}
        try:
            for job in jobs:
                if job is not None:
                    running[pool.submit(process, dehazer, job, chosen)] = job
                patience = None if len(running) >= threads else 0
                done, _ = wait(running, patience, FIRST_COMPLETED)
                yield from ((running.pop(future), future.result()) for future in done)
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                yield from ((running.pop(future), future.result()) for future in done)
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


def process(dehazer: Dehazer, job: Job, settings: Settings) -> Row:
    """Do one file; whatever is wrong with it becomes a row that says so."""
    blank = Row(str(job.source), str(job.output), "skipped", dehazer.model.name)
    if settings.skip_existing and job.output.exists() and not job.again:
        return blank
    if job.problem:
        return replace(blank, status="failed", error=f"{job.source}: {job.problem}")
    began = time.perf_counter()
    one = _video if is_video(job.source) else _picture
    try:
        row = replace(blank, status="done", **one(dehazer, job, settings))
    except TakenError as error:
        failed = replace(blank, status="failed", error=_told(error, job.source))
        row = blank if settings.skip_existing else failed  # another run was faster
    except Exception as error:  # one bad file does not stop the others, whatever it has
        row = replace(blank, status="failed", error=_told(error, job.source))
    return replace(row, seconds=round(time.perf_counter() - began, 3))


def _told(error: Exception, source: Path) -> str:
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
    width, height = done.size
    haze = round(done.haze, 4)
    found = {"haze": haze, "sha256": done.sha256, "lost": list(done.lost)}
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
