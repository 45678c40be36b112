"""What a run leaves: CSV, tables of ratios, and a record of the machine."""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kddn.bench.run import NetworkRow, Row
from kddn.bench.tasks import System
from kddn.errors import KddnError
from kddn.inference.models import DEFAULT, find_model
from kddn.records import how_made
from kddn.tables import markdown

Quality = Mapping[str, Mapping[str, float]]
"""PSNR in dB, by system and data set."""

_PACKAGES = ("kddn", "numpy", "pillow", "onnxruntime", "openvino", "torch")

_NOTHING = "-"


def reference(rows: Sequence[Row]) -> System:
    """What others are ratios to: the default model as users have it, or else the first model."""
    systems = [row.system for row in rows]
    users = (s for s in systems if (s.name, s.engine) == (DEFAULT, "onnxruntime"))
    models = (s for s in systems if s.kind == "model")
    return next(users, next(models, systems[0]))


def ratio(rows: Sequence[Row], row: Row, figure: str) -> float | None:
    """A figure of a row (`seconds`, `start`, `peak` ...) over the reference's at the same size."""
    of = reference(rows)
    same = (r for r in rows if (r.system, r.megapixels) == (of, row.megapixels))
    base = next(same, None)
    if row.found is None or base is None or base.found is None:
        return None
    return float(getattr(row.found, figure) / getattr(base.found, figure))


def write(
    folder: Path, rows: Sequence[Row], networks: Sequence[NetworkRow], quality: Quality
) -> None:
    """Write `pictures.csv`, `networks.csv`, their tables in Markdown, and `machine.json`.

    Args:
        folder: Made if it is not there; what is in it is replaced.
        rows: Of every system and size.
        networks: Networks alone.
        quality: By system and data set; empty without one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "pictures.csv", [_picture_columns(rows, row) for row in rows])
    if networks:
        _write_csv(folder / "networks.csv", [_network_columns(row) for row in networks])
        (folder / "networks.md").write_text(network_table(networks))
    start = ("start-up", "start", min(row.megapixels for row in rows))
    (folder / "first.md").write_text(ratio_table(rows, [start, *_by_size(rows, "first")], "s"))
    (folder / "time.md").write_text(ratio_table(rows, _by_size(rows, "seconds"), "s"))
    (folder / "memory.md").write_text(ratio_table(rows, _by_size(rows, "peak"), "MB"))
    (folder / "summary.md").write_text(summary_table(rows, networks, quality))
    (folder / "machine.json").write_text(json.dumps(_record(rows), indent=2) + "\n")


_Column = tuple[str, str, float]
"""A head, a figure of `ratio`, and the size of the pictures."""


def _by_size(rows: Sequence[Row], figure: str) -> list[_Column]:
    return [(f"{size:g} Mpx", figure, size) for size in sorted({row.megapixels for row in rows})]


def ratio_table(rows: Sequence[Row], columns: Sequence[_Column], unit: str) -> str:
    """A row a system: ratios to the reference, whose own figures come first."""
    of = reference(rows)
    at = {(row.system, row.megapixels): row for row in rows}
    own = [_own(at.get((of, size)), figure) for _, figure, size in columns]
    table = [["system", "engine", *(head for head, *_ in columns)]]
    table.append([f"**{of.name}, {unit}**", of.engine, *own])
    for system in dict.fromkeys(row.system for row in rows):
        mine = [(at.get((system, size)), figure) for _, figure, size in columns]
        found = [ratio(rows, row, figure) if row else None for row, figure in mine]
        table.append([system.name, system.engine, *(_times(value) for value in found)])
    return markdown(table)


def _own(row: Row | None, figure: str) -> str:
    return f"**{getattr(row.found, figure):.3g}**" if row and row.found else _NOTHING


def network_table(networks: Sequence[NetworkRow]) -> str:
    """A row a network: its input, its arithmetic, and the share of the ceiling it reaches."""
    table = [["network", "engine", "input", "GFLOP", "s", "share of the ceiling"]]
    for row in networks:
        if (found := row.found) is None:
            table.append([row.system.name, row.system.engine, *[_NOTHING] * 3, row.note])
            continue
        flops = _NOTHING if found.gflop is None else f"{found.gflop:.3g}"
        share = _NOTHING if found.share is None else f"{found.share:.0%}"
        size = f"{found.width}x{found.height}"
        seconds = f"{found.seconds:.3f}"
        table.append([row.system.name, row.system.engine, size, flops, seconds, share])
    return markdown(table)


def summary_table(rows: Sequence[Row], networks: Sequence[NetworkRow], quality: Quality) -> str:
    """A row a system, in the engine that its users have: quality, time, memory, arithmetic."""
    size = common_size(rows)
    data = data_sets(quality)
    gflop = {row.system: row.found.gflop for row in networks if row.found}
    heads = [*(f"PSNR, {name}" for name in data), f"time, {size:g} Mpx", "memory", "GFLOP"]
    table = [["system", *heads]]
    for row in as_used(rows):
        psnr = [quality.get(row.system.name, {}).get(name) for name in data]
        cost = [_times(ratio(rows, row, figure)) for figure in ("seconds", "peak")]
        flops = gflop.get(row.system)
        table.append(
            [
                row.system.name,
                *(f"{value:.2f} dB" if value else _NOTHING for value in psnr),
                *cost,
                f"{flops:.3g}" if flops else _NOTHING,
            ]
        )
    return markdown(table)


def common_size(rows: Sequence[Row]) -> float:
    """The largest size of picture that every system could be measured at, else the smallest."""
    sizes = {row.megapixels for row in rows}
    whole = sizes - {row.megapixels for row in rows if row.found is None}
    return max(whole, default=min(sizes))


def as_used(rows: Sequence[Row]) -> list[Row]:
    """At that size, models in the reference's engine, and all that is no model."""
    size, engine = common_size(rows), reference(rows).engine
    return [
        row
        for row in rows
        if row.megapixels == size and (row.system.kind != "model" or row.system.engine == engine)
    ]


def data_sets(quality: Quality) -> list[str]:
    """Names of the data sets that quality was measured on."""
    return list(dict.fromkeys(name for figures in quality.values() for name in figures))


def _times(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3g}x"


def _picture_columns(rows: Sequence[Row], row: Row) -> dict[str, Any]:
    return {
        "system": row.system.name,
        "engine": row.system.engine,
        "megapixels": f"{row.megapixels:g}",
        "start_s": _figure(row, "start"),
        "first_s": _figure(row, "first"),
        "steady_s": _figure(row, "steady"),
        "peak_mb": _figure(row, "peak"),
        "start_ratio": _short(ratio(rows, row, "start")),
        "first_ratio": _short(ratio(rows, row, "first")),
        "time_ratio": _short(ratio(rows, row, "seconds")),
        "memory_ratio": _short(ratio(rows, row, "peak")),
        "note": row.note,
    }


def _network_columns(row: NetworkRow) -> dict[str, Any]:
    return {
        "system": row.system.name,
        "engine": row.system.engine,
        "width": _figure(row, "width"),
        "height": _figure(row, "height"),
        "gflop": _figure(row, "gflop"),
        "seconds": _figure(row, "seconds"),
        "ceiling_gflops": _figure(row, "ceiling"),
        "share": _figure(row, "share"),
        "note": row.note,
    }


def _figure(row: Row | NetworkRow, name: str) -> str | None:
    return _short(getattr(row.found, name, None))


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _record(rows: Sequence[Row]) -> dict[str, Any]:
    models = {row.system.name for row in rows if row.system.kind == "model"}
    return {
        **how_made(_PACKAGES),
        "processor": _processor(),
        "models": {name: find_model(name).sha256 for name in sorted(models)},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def check_folder(folder: Path) -> None:
    """See that results can be written, before hours are spent on them.

    Raises:
        KddnError: If not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KddnError(f"{folder} cannot be made ({error.strerror})") from error
