"""`kddn bench`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich import print as show
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kddn.bench import report
from kddn.bench.run import NetworkRow, Row, choose, measure
from kddn.bench.tasks import Limits
from kddn.cli._libraries import optional
from kddn.cli._options import POSITIVE, Several
from kddn.cli._research import named_paths

_SIZES = Number(gte=0.001, lte=500)

SIZES = (0.3, 2.0, 12.0, 48.0)
"""Megapixels."""


def bench(
    *,
    size: Annotated[list[float] | None, Parameter(negative=(), validator=_SIZES)] = None,
    model: Several = None,
    engine: Several = None,
    weights: Several = None,
    data: Several = None,
    every: Annotated[int, POSITIVE] = 27,
    repeats: Annotated[int, POSITIVE] = Limits.repeats,
    seconds: Annotated[float, POSITIVE] = Limits.seconds,
    output: Path = Path("runs/bench"),
) -> None:
    """Measure what systems cost beside each other on this machine: time, memory, arithmetic.

    Every system makes the same drawn pictures clear, from the bytes of a JPEG to those of another,
    each in a process of its own, beside decoding and encoding alone. With kddn[train], the systems
    that the paper compares with are there too. What is stopped leaves what it measured.

    Args:
        size: Megapixels of a picture; may be given several times. 0.3, 2, 12 and 48 by default.
        model: A model's name or .onnx file; may be given several times. Without, all models, the
            priors dcp and cap, and five compared systems.
        engine: onnxruntime, openvino or torch; may be given several times. Without, those that are
            installed.
        weights: Of a compared system, as `aod-net=FILE`; without, only its cost is measured.
        data: A data set, as `nyu=FOLDER`, to measure quality on too; may be given several times.
        every: Of a data set's images, each how-manieth is used.
        repeats: Pictures after the first, at most.
        seconds: No further picture is begun after that time, nor a size that would take longer.
        output: Folder for CSV, tables, and with quality, a plot.
    """
    folders = named_paths(data or [])
    systems = choose(model or (), engine or (), named_paths(weights or []))
    sizes = size or SIZES
    report.check_folder(output)
    judge = None
    if folders:
        quality_of = optional("kddn.bench.quality", "train")
        quality_of.check_data(folders)
        judge = quality_of.measure_quality
    rows: list[Row] = []
    networks: list[NetworkRow] = []
    found = measure(systems, sizes, Limits(repeats=repeats, seconds=seconds))
    console = Console(stderr=True)
    total = len(systems) * len(sizes) + sum(s.kind in ("model", "compared") for s in systems)
    for each in track(found, "Measuring", total, console=console, disable=not console.is_terminal):
        if isinstance(each, Row):
            rows.append(each)
        else:
            networks.append(each)
        report.write(output, rows, networks, {})  # a run that is stopped leaves what it measured
    quality: report.Quality = {}
    if judge is not None:
        quality = judge(systems, folders, every=every, output=output)
        optional("kddn.bench.plot", "train").draw(output / "quality-and-time.png", rows, quality)
    report.write(output, rows, networks, quality)
    show(_table(rows))
    print(output)


def _table(rows: list[Row]) -> Table:
    heads = ("Mpx", "start-up", "first", "steady", "peak", "time", "memory")
    table = Table("system", "engine", *heads, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(row.system.name, row.system.engine, f"{row.megapixels:g}", *_cells(rows, row))
    return table


def _cells(rows: list[Row], row: Row) -> list[str]:
    if (found := row.found) is None:
        return [row.note]
    steady = "-" if found.steady is None else f"{found.steady:.3f} s"
    ratios = [report.ratio(rows, row, figure) for figure in ("seconds", "peak")]
    return [
        f"{found.start:.2f} s",
        f"{found.first:.3f} s",
        steady,
        f"{found.peak:.0f} MB",
        *("-" if value is None else f"{value:.2f}x" for value in ratios),
    ]
