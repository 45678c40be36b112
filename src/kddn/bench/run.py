"""Systems beside each other, each measurement in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kddn.bench.engines import installed
from kddn.bench.pictures import hazy_jpeg
from kddn.bench.tasks import FLOOR, Limits, Measured, Network, System
from kddn.errors import KddnError, ModelError
from kddn.inference.models import find_model, list_models
from kddn.machine import memory

PRIORS = ("dcp", "cap")
"""Those without a library of their own."""

_GRACE = 60
"""Seconds that a process may take beside its limit: to start, to write, and for a first picture
that takes longer than was expected."""


@dataclass(frozen=True)
class Row:
    """A system on pictures of one size."""

    system: System
    megapixels: float
    found: Measured | None
    """None where it could not be measured."""
    note: str = ""
    """Why there is nothing."""


@dataclass(frozen=True)
class NetworkRow:
    """A system's network alone."""

    system: System
    found: Network | None
    """None where it could not be measured."""
    note: str = ""
    """Why there is nothing."""


def choose(
    models: Sequence[str] = (),
    engines: Sequence[str] = (),
    weights: Mapping[str, Path] | None = None,
) -> list[System]:
    """The floor, models in every engine, priors, and with PyTorch the compared systems.

    Args:
        models: Names of models and priors, or `.onnx` files; without, all, and compared systems.
        engines: Engines for models; without, all that are installed.
        weights: Of compared systems, by their names.

    Raises:
        KddnError: If an engine is not installed, or there is no compared system of a name.
    """
    here = installed()
    if absent := set(engines) - set(here):
        raise KddnError(f"{min(absent)} is not installed; there are {', '.join(here)}")
    known = [model.name for model in list_models() if model.path or model.name in PRIORS]
    networks = [name for name in models or known if find_model(name).path]
    priors = [name for name in models or known if name not in networks]
    first, *others = engines or here
    systems = [FLOOR, *(System("model", name, first) for name in networks)]
    systems += [System("prior", name, "numpy") for name in priors]
    of = weights or {}
    if of and (models or "torch" not in (first, *others)):
        raise KddnError(
            "`weights` are of compared systems, which torch runs; leave out `model`, and `engine` "
            "or name torch"
        )
    if not models and "torch" in (first, *others):
        from kddn.bench.torch_systems import COMPARED, compared_network

        if strange := set(of) - set(COMPARED):
            raise KddnError(f"there is no {min(strange)}; `weights` are of {', '.join(COMPARED)}")
        compared = [System("compared", name, "torch", of.get(name)) for name in COMPARED]
        for system in compared:  # before anything is measured
            if system.weights is not None:
                compared_network(system)
        systems += compared
    return systems + [System("model", name, engine) for engine in others for name in networks]


def measure(
    systems: Sequence[System], sizes: Iterable[float], limits: Limits
) -> Iterator[Row | NetworkRow]:
    """Measure every system on pictures of every size, then every network alone.

    A size is left out where a smaller one tells that a picture would take longer than
    `limits.seconds`, or did not fit into memory; but never of the first model, which others are
    ratios to.

    Args:
        systems: What to measure.
        sizes: Of the pictures, in megapixels.
        limits: Of each measurement; its memory is half of the machine's unless it says.
    """
    limits = limits if limits.memory else replace(limits, memory=memory() // 2)
    with tempfile.TemporaryDirectory() as folder:
        pictures = {size: Path(folder, f"{size:g}.jpg") for size in sorted(sizes)}
        for size, path in pictures.items():
            path.write_bytes(hazy_jpeg(size))
        smallest = next(iter(pictures.values()))
        first = next((system for system in systems if system.kind == "model"), FLOOR)
        for system in systems:
            yield from _sizes(system, pictures, limits, whole=system == first)
            if system.kind in ("model", "compared"):
                yield _alone(system, smallest, limits)


def _sizes(
    system: System, pictures: Mapping[float, Path], limits: Limits, *, whole: bool
) -> Iterator[Row]:
    done: list[Row] = []
    for size, path in pictures.items():
        if not whole and (note := _foreseen(done, size, limits)):
            yield Row(system, size, None, note)
            continue
        done.append(_row(system, size, path, limits))
        yield done[-1]


def _foreseen(done: Sequence[Row], size: float, limits: Limits) -> str:
    """Why a size need not be tried, told from smaller ones."""
    points = [(row.megapixels, row.found.seconds) for row in done if row.found]
    if len(points) < len(done):
        return done[-1].note
    if done and done[-1].system.kind == "compared":  # all of its work is done for every pixel
        points = [(0.0, 0.0), *points]
    if len(points) < 2:
        return ""
    (before, less), (last, more) = points[-2:]
    expected = more + (more - less) / (last - before) * (size - last)
    return f"about {expected:.0f} s" if expected > limits.seconds else ""


def _row(system: System, size: float, picture: Path, limits: Limits) -> Row:
    found, note = _process(system, picture, limits, alone=False)
    return Row(system, size, Measured(**found) if found else None, note)


def _alone(system: System, picture: Path, limits: Limits) -> NetworkRow:
    found, note = _process(system, picture, limits, alone=True)
    if not found:
        return NetworkRow(system, None, note)
    return NetworkRow(system, Network(**found, gflop=_gflop(system, found)), note)


def _gflop(system: System, found: Mapping[str, Any]) -> float | None:
    """What PyTorch counts, in this process; None without it, or if it does not know the network."""
    try:
        from kddn.bench.torch_systems import gflop_of
    except ModuleNotFoundError:
        return None
    try:
        return gflop_of(system, found["width"], found["height"])
    except ModelError:  # of a network that PyTorch does not know
        return None


def _process(
    system: System, picture: Path, limits: Limits, *, alone: bool
) -> tuple[dict[str, Any] | None, str]:
    """What a process of its own found, or why it found nothing."""
    asked = {"system": asdict(system), "picture": picture, "limits": asdict(limits)}
    command = [sys.executable, "-m", "kddn.bench.measure"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked | {"alone": alone, "began": time.time()}, default=str),
            capture_output=True,
            text=True,
            timeout=limits.seconds + _GRACE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"more than {limits.seconds + _GRACE:.0f} s"
    if done.returncode == 0:
        return json.loads(done.stdout), ""
    return None, _cause(done)


_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "allocate memory", "failed to allocate")


def _cause(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == -9 or any(word in done.stderr for word in _OUT_OF_MEMORY):
        return "out of memory"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"stopped with status {done.returncode}"
