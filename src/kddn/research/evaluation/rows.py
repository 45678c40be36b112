"""Results as rows of CSV, written as they come and read again."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from kddn.research.evaluation.scores import NoReference, Score

ANY_NAME: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
"""How files are written and read, that names of pictures may be any bytes."""


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write rows, all of one dataclass, as CSV; without rows, no file.

    Figures by metric get a column each, and a column more for each end of an interval.
    """
    if not rows:
        return
    flat = [_flat(row) for row in rows]
    with path.open("w", newline="", **ANY_NAME) as file:
        # A figure that a row lacks is one empty column, not three: the fullest row names them all.
        writer = csv.DictWriter(file, max(flat, key=len), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)


def written(results: Iterable[Score | NoReference], folder: Path) -> Iterator[Score | NoReference]:
    """The same results, written as they come: an evaluation that is stopped leaves what it found.

    Against the target into `images.csv`, without it into `no-reference.csv`. Until all are there,
    the files end in `.part`, so that those of an earlier evaluation stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, csv.DictWriter[str]] = {}
    with ExitStack() as stack:
        for result in results:
            row = _flat(result)
            name = "no-reference.csv" if isinstance(result, NoReference) else "images.csv"
            if name not in writers:
                # Buffered by lines, so that a killed run loses none.
                part = folder / f"{name}.part"
                file = part.open("w", newline="", buffering=1, **ANY_NAME)
                writers[name] = csv.DictWriter(
                    stack.enter_context(file), list(row), lineterminator="\n"
                )
                writers[name].writeheader()
            writers[name].writerow(row)
            yield result
    for name in writers:
        (folder / f"{name}.part").replace(folder / name)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file by the names of its columns; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", **ANY_NAME) as file:
        return list(csv.DictReader(file))


def _flat(row: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        for name, figure in value.items() if isinstance(value, dict) else [(field.name, value)]:
            if isinstance(figure, tuple):
                ends = zip((name, f"{name}_low", f"{name}_high"), figure, strict=True)
                columns |= {column: _short(end) for column, end in ends}
            else:
                columns[name] = _short(figure)
    return columns


def _short(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value
