"""Many pictures on many machines, by Ray Data.

What passes through Ray are names of files and rows of the report. The bytes do not: each worker
reads a file, does it and writes it, so that nothing large is copied between machines, and a file
that holds many pictures comes out as one of the same name.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from kddn.batch.manifest import Manifest, Work
from kddn.batch.plan import Job
from kddn.batch.run import Room, Row, Settings, pixels_of, process, process_content, told
from kddn.batch.shards import dehaze_parquet, dehaze_tar
from kddn.batch.store import Store
from kddn.dehazer import Dehazer
from kddn.errors import KddnError
from kddn.io import files
from kddn.io.limits import MAXIMUM_PIXELS
from kddn.io.writing import new_file
from kddn.machine import cores
from kddn.video.transcode import CONTAINERS

_SHARDS = {".tar": dehaze_tar, ".parquet": dehaze_parquet}
"""What does files of many pictures, by their endings."""

_MOST_BLOCKS = 20_000
"""Of files, which workers take one by one."""

_OBJECT_STORE = 200 << 20
"""Bytes that Ray has for what passes through it, on this machine alone."""

_TRIES = 3
"""How often what ends a worker is tried again, with the files beside it."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Who does it."""

    workers: int | None = None
    """How many, each with a `Dehazer`; as many as the cluster has room for by default."""
    cpus: int = 1
    """Cores of each, which does as many files at a time."""
    gpus: float = 0.0
    """GPUs of each, or a fraction of one."""
    device: str = "auto"
    """See `Dehazer`."""
    max_pixels: int = MAXIMUM_PIXELS
    """See `Dehazer`."""


class Worker:
    """Does one file after the other on some machine of a cluster."""

    def __init__(self, source: Store, destination: Store, work: Work, fleet: Fleet) -> None:
        self.source, self.destination = source, destination
        self.settings = Settings(
            strength=work.strength, full_resolution=work.full_resolution, overwrite=True
        )
        self.dehazer = Dehazer(
            work.model,
            fleet.device,
            working_size=work.working_size,
            max_pixels=fleet.max_pixels,
            threads=1,
        )
        self.pool = ThreadPoolExecutor(fleet.cpus)
        self.room = Room()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Do files by their names; for each, the rows of the report, one a line."""
        done = self.pool.map(self.rows, batch["name"].tolist())
        return {"rows": ["".join(f"{row.json()}\n" for row in rows) for rows in done]}

    def rows(self, name: str) -> list[Row]:
        """Do one file: the rows of the pictures that it holds, and last its own."""
        labels = self.source.label(name), self.destination.label(name)
        blank = Row(*labels, "failed", self.dehazer.model.name)
        try:
            with self.source.reading(name) as path, self.destination.writing(name) as output:
                return self._done(path, output, blank)
        except Exception as error:  # no file stops the others, whatever it or its store has
            return [replace(blank, error=told(error, blank.input))]

    def _done(self, path: Path, output: Path, blank: Row) -> list[Row]:
        if path.suffix.lower() in _SHARDS:
            return list(self._shard(path, output, blank))
        with self.room.hold(pixels_of(path)):
            row = process(self.dehazer, Job(path, output), self.settings)
        error = row.error and row.error.replace(str(path), blank.input)
        return [replace(row, input=blank.input, output=blank.output, error=error)]

    def _shard(self, path: Path, output: Path, blank: Row) -> Iterator[Row]:
        def remove(content: bytes, name: str) -> tuple[Row, bytes | None]:
            names = f"{blank.input}/{name}", f"{blank.output}/{name}"
            return process_content(self.dehazer, content, names, self.settings)

        began = time.perf_counter()
        with new_file(output, overwrite=True, like=path) as unfinished:
            yield from _SHARDS[path.suffix.lower()](path, unfinished, remove)
        yield replace(blank, status="done", seconds=round(time.perf_counter() - began, 3))


def find(source: Store, destination: Store) -> list[str]:
    """The files of a source that there is something to do with.

    Raises:
        KddnError: If there are none, or the results would be among them.
    """
    for inner, outer in ((destination, source), (source, destination)):
        if inner.system == outer.system and f"{inner.place}/".startswith(f"{outer.place}/"):
            raise KddnError(f"{inner.address} lies in {outer.address}; name another destination")
    names = source.pictures(files.readable_endings() | set(CONTAINERS) | set(_SHARDS))
    if not names:
        raise KddnError(f"there are no pictures, .tar or .parquet files in {source.address}")
    return names


def run(
    source: Store, destination: Store, names: list[str], work: Work, fleet: Fleet
) -> Iterator[str]:
    """Do files on a cluster, `ray.init`'s; one that fails does not stop the others.

    A worker that dies is replaced, and what it was at is done again.

    Args:
        source: Where the files are.
        destination: Where the results go, which are replaced.
        names: The files.
        work: What to do.
        fleet: Who does it.

    Yields:
        Of each file, as they are done, the rows of the report, one a line. A file that ends its
        worker again and again, or was beside one, has none.

    Raises:
        KddnError: If no worker can begin, such as where a device is missing.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    workers = fleet.workers or _room(fleet)
    if workers < 1:
        raise KddnError(
            f"the cluster has no machine for a worker of {fleet.cpus:g} processors and "
            f"{fleet.gpus:g} GPUs; ask for less by `cpus` and `gpus`, or if it grows, for `workers`"
        )
    blocks = min(len(names), max(16 * workers, len(names) // 64), _MOST_BLOCKS)
    done = ray.data.from_items(
        [{"name": name} for name in names], override_num_blocks=blocks
    ).map_batches(
        Worker,
        fn_constructor_args=(source, destination, work, fleet),
        batch_size=-(-len(names) // blocks),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=fleet.cpus,
        num_gpus=fleet.gpus,
        max_task_retries=_TRIES,
    )
    try:
        for row in done.iter_rows():
            yield row["rows"]
    except ray.exceptions.RayError as error:
        raise KddnError(f"the workers could not go on: {str(error).splitlines()[-1]}") from error


def _room(fleet: Fleet) -> int:
    """How many workers a cluster's machines have room for."""
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return sum(_room_of(node["Resources"], fleet) for node in nodes)


def _room_of(there: dict[str, float], fleet: Fleet) -> int:
    by_cpu = there.get("CPU", 0.0) / fleet.cpus
    by_gpu = there.get("GPU", 0.0) / fleet.gpus if fleet.gpus else by_cpu
    return int(min(by_cpu, by_gpu) + 1e-9)  # ten tenths of a GPU are one


def batch(
    source: Store, destination: Store, work: Work, fleet: Fleet, *, overwrite: bool = False
) -> Iterator[tuple[list[Row], int]]:
    """Do what of a source is not done yet, and write down in the destination what is.

    Args:
        source: Where the pictures are.
        destination: Where the results go.
        work: What to do.
        fleet: Who does it.
        overwrite: Whether files that are there already, not made by this, may be replaced.

    Yields:
        The rows of each file as it is done, and how many files there are to do.

    Raises:
        KddnError: As `find` and `Manifest.begin` do.
    """
    names = find(source, destination)
    manifest = Manifest(destination)
    done = manifest.begin(source, work, overwrite=overwrite)
    left = {source.label(name): name for name in names if source.label(name) not in done}
    total = len(left)
    with closing(manifest):
        for lines in run(source, destination, list(left.values()), work, fleet) if left else ():
            manifest.add(lines)
            rows = [Row(**json.loads(line)) for line in lines.split("\n") if line]
            left.pop(rows[-1].input)
            yield rows, total
        for label, name in left.items():
            error = f"{label}: its worker ended before it was done; it is tried again next time"
            row = Row(label, destination.label(name), "failed", work.model, error=error)
            manifest.add(row.json() + "\n")
            yield [row], total


def start(address: str | None = None) -> None:
    """Join the cluster at an address; by default the one that runs here, or this machine alone.

    Args:
        address: Of a cluster; `local` is this machine alone.

    Raises:
        KddnError: If there is none.
    """
    # No word to anyone else, and none here about what Ray mends itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "CRITICAL")
    init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    # Names and rows are small; Ray would take a third of the memory for them.
    alone = partial(init, "local", num_cpus=cores(), object_store_memory=_OBJECT_STORE)
    try:
        alone() if address == "local" else init(address or "auto")
    except (ConnectionError, ValueError) as error:
        if address is not None:
            raise KddnError(f"there is no Ray cluster at {address} ({error})") from error
        alone()
