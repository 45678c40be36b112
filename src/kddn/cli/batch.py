"""`kddn batch`."""

import sys
import time
from contextlib import redirect_stdout
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from kddn.batch.run import Row
from kddn.cli import as_flags
from kddn.cli._libraries import hush_libraries, optional
from kddn.cli._options import AT_LEAST_ONE, Flag
from kddn.dehazer import MAXIMUM_STRENGTH
from kddn.inference.models import DEFAULT, find_model
from kddn.io.limits import MAXIMUM_PIXELS


def batch(
    source: str,
    destination: str,
    /,
    *,
    strength: Annotated[float, Parameter(validator=Number(gte=0, lte=MAXIMUM_STRENGTH))] = 1.0,
    working_size: Annotated[int | None, AT_LEAST_ONE] = None,
    full_resolution: Flag = False,
    max_pixels: Annotated[int, AT_LEAST_ONE] = MAXIMUM_PIXELS,
    model: str = DEFAULT,
    device: str = "auto",
    overwrite: Flag = False,
    address: str | None = None,
    workers: Annotated[int | None, AT_LEAST_ONE] = None,
    cpus: Annotated[int, AT_LEAST_ONE] = 1,
    gpus: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    json: Flag = False,
) -> None:
    """Remove haze from millions of pictures on many machines (pip install 'kddn[cluster]').

    A folder's pictures, videos, tar files (WebDataset) and Parquet files with image columns become
    files of the same names. What is done is written down in the destination, in `.kddn-batch`: the
    same command again does only the rest. One bad file does not stop the others; the exit status is
    then 1.

    Args:
        source: A folder, such as photos, s3://bucket/photos or gs://bucket/photos.
        destination: Where the results go.
        strength: How much of the haze to remove, from 0 (none) over 1 (what is found) to 1.5.
        working_size: Longest side, in pixels, to estimate haze at; the model's own by default.
        full_resolution: Run the network on the picture's own size rather than on a small copy, on
            up to 2,048 pixels of length if its output is a map: slow.
        max_pixels: How many pixels a picture may have.
        model: A model's name, as `kddn models` lists them, or an .onnx file that every machine has.
        device: auto, cpu, cuda, directml or coreml.
        overwrite: Replace files of the destination that other commands made.
        address: Of a Ray cluster; by default the one of the environment (RAY_ADDRESS) or that runs
            here, or else this machine alone (local).
        workers: How many work at most; as many as the cluster has room for by default.
        cpus: Cores of each worker.
        gpus: GPUs of each worker, or a fraction of one.
        json: Print a line of JSON for every picture, as `kddn dehaze --json` does.
    """
    hush_libraries()
    found = find_model(model)  # what is mistyped is said before a cluster is asked for
    store = optional("kddn.batch.store", "cluster").Store
    manifest = optional("kddn.batch.manifest", "cluster")
    cluster = optional("kddn.batch.ray", "cluster")
    stores = store.open(source), store.open(destination)
    work = manifest.Work(
        model=model if found.path is None or found.name == model else str(found.path.absolute()),
        weights=found.sha256,
        strength=strength,
        full_resolution=full_resolution,
        working_size=working_size,
    )
    fleet = cluster.Fleet(
        workers=workers, cpus=cpus, gpus=gpus, device=device, max_pixels=max_pixels
    )
    say = _Say(as_json=json)
    with redirect_stdout(sys.stderr), say.progress:  # Ray prints what it mends
        cluster.start(address)
        for rows, total in cluster.batch(*stores, work, fleet, overwrite=overwrite):
            say.rows(rows, total)
    say.end()
    if say.failed:
        sys.exit(1)


class _Pace(ProgressColumn):
    """Files a second, of late."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} files/s")


class _Say:
    """What the command prints: rows where a pipe takes them, all else where errors go."""

    def __init__(self, *, as_json: bool) -> None:
        self.out = sys.stdout if as_json else None
        self.console = Console(file=sys.stderr, highlight=False)
        columns = (*Progress.get_default_columns()[:-1], _Pace(), TimeRemainingColumn())
        silent = not self.console.is_terminal
        self.progress = Progress(*columns, console=self.console, disable=silent)
        self.bar = self.progress.add_task("Removing haze", total=None)
        self.pictures = self.failed = 0
        self.began = time.perf_counter()

    def rows(self, rows: list[Row], total: int) -> None:
        """Tell of a file, of so many."""
        self.progress.update(self.bar, advance=1, total=total)
        for row in rows:
            self.pictures += row.width is not None
            self.failed += row.status == "failed"
            if self.out is not None:
                print(row.json(), file=self.out, flush=True)
            if row.error is not None:
                self._line(f"kddn: {as_flags(row.error)}", style="red")

    def end(self) -> None:
        """Tell how much was done, and how fast."""
        seconds = time.perf_counter() - self.began
        pace = (
            f"{self.pictures} pictures in {seconds:.0f} s, {self.pictures / seconds:.1f} a second"
        )
        self._line(f"{pace}; {self.failed} failed")

    def _line(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, soft_wrap=True)
