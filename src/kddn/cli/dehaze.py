"""`kddn dehaze`."""

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from kddn.batch import watch as watching
from kddn.batch.plan import COMPARED, Destination, Job, find, read_manifest
from kddn.batch.run import Row, Settings, run
from kddn.cli import PIPE, as_flags
from kddn.cli._libraries import hush_libraries
from kddn.cli._options import AT_LEAST_ONE, Flag, Several
from kddn.dehazer import MAXIMUM_STRENGTH, SUFFIX, Dehazer
from kddn.errors import KddnError
from kddn.inference.models import DEFAULT
from kddn.io.limits import MAXIMUM_PIXELS
from kddn.machine import cores
from kddn.video.dehaze import is_video


def dehaze(
    pictures: Several = None,
    /,
    *,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    suffix: str = SUFFIX,
    format: str | None = None,
    in_place: Flag = False,
    overwrite: Flag = False,
    skip_existing: Flag = False,
    recursive: Annotated[bool, Parameter(alias="-r", negative=())] = False,
    manifest: Path | None = None,
    watch: Path | None = None,
    strength: Annotated[float, Parameter(validator=Number(gte=0, lte=MAXIMUM_STRENGTH))] = 1.0,
    working_size: Annotated[int | None, AT_LEAST_ONE] = None,
    full_resolution: Flag = False,
    max_pixels: Annotated[int, AT_LEAST_ONE] = MAXIMUM_PIXELS,
    model: str = DEFAULT,
    device: str = "auto",
    jobs: Annotated[int | None, AT_LEAST_ONE] = None,
    compare: Flag = False,
    report: Path | None = None,
    json: Flag = False,
    quiet: Annotated[bool, Parameter(alias="-q", negative=())] = False,
) -> None:
    """Remove haze from pictures and videos.

    `photo.jpg` becomes `photo-dehazed.jpg` beside it. Size, format, depth, orientation, EXIF,
    colour profile and transparency stay. One bad file does not stop the others; the exit status is
    then 1.

    Videos (pip install 'kddn[video]') keep their timing, sound and subtitles, and their brightness
    does not flicker.

    Args:
        pictures: Files, folders, patterns such as `'trip/*.jpg'`, or `-` to read one picture from a
            pipe and write the result to one.
        output: A file for one picture, a folder for several, in which their tree is mirrored; or a
            template with {folder}, {stem}, {suffix} and {model}.
        suffix: What is added to names where there is no output.
        format: Write another format, named by its ending: png, jpg, webp, tiff ...
        in_place: Replace the pictures themselves.
        overwrite: Replace results that exist already.
        skip_existing: Leave out pictures that have a result: goes on with a run that was broken
            off.
        recursive: Go into the folders of folders too.
        manifest: A text file that lists pictures, one a line, relative to its own folder; lines
            that begin with # do not count.
        watch: A folder to watch: pictures that come into it are done once they are fully written,
            until the command is interrupted.
        strength: How much of the haze to remove, from 0 (none) over 1 (what is found) to 1.5.
        working_size: Longest side, in pixels, to estimate haze at; the model's own by default.
        full_resolution: Run the network on the picture's own size rather than on a small copy, on
            up to 2,048 pixels of length if its output is a map: slow.
        max_pixels: How many pixels a picture may have: a guard against files that claim more than
            there is memory for.
        model: A model's name, as `kddn models` lists them, or an .onnx file.
        device: auto, cpu, cuda, directml or coreml.
        jobs: Pictures at a time; as many as there are cores by default.
        compare: Also write before and after side by side, as `photo-compared.jpg`.
        report: A file to add a line of JSON to for every picture: time, size, haze, checksum or
            error.
        json: Print those lines rather than the results' names.
        quiet: Print errors alone.
    """
    destination = Destination(
        output=output, suffix=suffix, format=format, in_place=in_place, model=Path(model).stem
    )
    if PIPE in (output, *(pictures or [])):
        _check_pipe(
            pictures, [output, in_place, skip_existing, manifest, watch, compare, report, json]
        )
    _check_contradictions(
        in_place=in_place, overwrite=overwrite, skip_existing=skip_existing, compare=compare
    )
    hush_libraries()
    open_model = partial(Dehazer, model, device, working_size=working_size, max_pixels=max_pixels)
    if pictures == [PIPE]:
        _pipe(open_model(), format, strength, full_resolution=full_resolution)
        return
    listed = read_manifest(manifest) if manifest else []
    if watch is not None and (pictures or listed or in_place):
        raise KddnError("--watch is for a folder alone, whose pictures it leaves as they are")
    if watch is None and not (pictures or listed):
        raise KddnError("which pictures? Give files, folders, --manifest, --watch or -")
    total: int | None = None
    work: Iterable[Job | None]
    if watch is not None:
        work = watching.watch(watch, destination, recursive=recursive, max_pixels=max_pixels)
    else:
        work = planned = destination.jobs(
            find(pictures or [], destination, recursive=recursive, listed=listed)
        )
        total = len(planned)
    together = jobs or min(cores(), total or cores())
    dehazer = open_model(threads=max(1, cores() // together))
    say = _Say(as_json=json, quiet=quiet, total=total)
    settings = Settings(
        strength=strength,
        full_resolution=full_resolution,
        overwrite=overwrite,
        skip_existing=skip_existing or (watch is not None and not overwrite),
        on_frame=say.frame,
    )
    rows = run(dehazer, work, settings, threads=together, in_order=watch is None)
    failed = 0
    with ExitStack() as stack:
        log = stack.enter_context(_open_report(report)) if report else None
        stack.enter_context(say.progress)
        for job, row in rows:
            if log is not None:
                _note(log, row)
            say.row(row)
            failed += row.status == "failed"
            if compare and row.status != "failed" and not is_video(job.source):
                failed += not say.compared(
                    job,
                    suffix,
                    overwrite=overwrite or job.again,
                    missing_alone=row.status == "skipped",
                    max_pixels=max_pixels,
                )
    if failed:
        sys.exit(1)


def _check_contradictions(
    *, in_place: bool, overwrite: bool, skip_existing: bool, compare: bool
) -> None:
    """See that no option makes another one meaningless.

    Raises:
        KddnError: If one does.
    """
    if in_place and skip_existing:
        raise KddnError(
            "--in-place leaves nothing to tell by what is done; leave out --skip-existing"
        )
    if in_place and compare:
        raise KddnError("--in-place leaves nothing to compare with; leave out --compare")
    if overwrite and skip_existing:
        raise KddnError("--overwrite and --skip-existing contradict each other; leave out one")


class _Say:
    """What the command prints.

    Progress and errors go where errors go, so that a pipe gets names or JSON and no more.
    """

    def __init__(self, *, as_json: bool, quiet: bool, total: int | None) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)
        silent = quiet or not self.console.is_terminal
        columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
        self.progress = Progress(
            *columns,
            console=self.console,
            disable=silent,
            transient=True,
            redirect_stdout=_shows_output(),  # what goes to a pipe or a file stays there
        )
        several = total is not None and total > 1
        self.files = self.progress.add_task("Removing haze", total=total, visible=several)
        self.video = self.progress.add_task("Frames", total=None, visible=False)

    def frame(self, number: int, count: int) -> None:
        """Tell how far a video is."""
        self.progress.update(self.video, completed=number, total=count or None, visible=True)

    def row(self, row: Row) -> None:
        """Tell of one picture or video."""
        self.progress.advance(self.files)
        self.progress.reset(self.video, visible=False)
        if row.held:
            times = ", ".join(f"{seconds:.2f} s" for seconds in row.held[:5])
            more = f" and {len(row.held) - 5} more" if len(row.held) > 5 else ""
            self.error(f"{row.input}: broken frames at {times}{more}; the one before is shown on")
        if row.lost:
            self.error(f"{row.output} is without what its picture had: {', '.join(row.lost)}")
        if row.error is not None:
            self.error(row.error)
        if self.quiet:
            return
        if self.as_json:
            print(row.json(), flush=True)
        elif row.status == "done":
            print(row.output, flush=True)

    def error(self, text: str) -> None:
        """Tell what went wrong."""
        text = f"kddn: {as_flags(text)}"
        self.console.print(text, style="red", markup=False, emoji=False, soft_wrap=True)

    def compared(
        self, job: Job, suffix: str, *, overwrite: bool, missing_alone: bool, max_pixels: int
    ) -> bool:
        """Write before and after side by side; whether that went well."""
        from kddn.io.compare import write_comparison

        path = job.output.with_stem(job.output.stem.removesuffix(suffix) + COMPARED)
        if missing_alone and path.exists():
            return True
        try:
            write_comparison(
                job.source, job.output, path, overwrite=overwrite, max_pixels=max_pixels
            )
        except KddnError as error:
            self.error(str(error))
            return False
        if not self.quiet and not self.as_json:
            print(path, flush=True)
        return True


def _shows_output() -> bool:
    """Whether standard output is a terminal; it may be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def _check_pipe(pictures: list[str] | None, others: list[object]) -> None:
    """See that a picture from a pipe is alone, and that its result has a way to go."""
    if pictures != [PIPE] or any(others):
        raise KddnError(
            "one picture from a pipe goes to a pipe (kddn dehaze - < photo.jpg > clear.jpg); "
            "leave out other pictures, --output and what else is for files"
        )
    if _shows_output():
        raise KddnError("the result would go to the terminal; add > clear.jpg")


def _open_report(path: Path) -> FileIO:
    """Without a buffer: each row is there once it is known, and closing cannot fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab", buffering=0)
    except OSError as error:
        raise KddnError(f"--report {path} cannot be written ({error.strerror})") from error


def _note(report: FileIO, row: Row) -> None:
    try:
        report.write(f"{row.json()}\n".encode())
    except OSError as error:
        raise KddnError(f"--report {report.name} cannot be written ({error.strerror})") from error


def _pipe(dehazer: Dehazer, format: str | None, strength: float, *, full_resolution: bool) -> None:
    """One picture from standard input to standard output."""
    content = sys.stdin.buffer.read()
    if not content:
        raise KddnError("nothing came in by the pipe")
    clear = dehazer.encoded(
        content, format=format, strength=strength, full_resolution=full_resolution
    )
    sys.stdout.buffer.write(clear)
