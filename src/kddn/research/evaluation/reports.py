"""What an evaluation leaves: tables, CSV, and a record of how it was made."""

import csv
import hashlib
import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from kddn import records, tables
from kddn.errors import DataError
from kddn.inference.models import find_model
from kddn.research.data.sets import Case
from kddn.research.evaluation.scores import NoReference, Score, Summary
from kddn.research.nets.checkpoints import find_weights, is_weights

_ANY_NAME: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
"""How files are written and read, that names of pictures may be any bytes."""

LABELS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "ms-ssim": ("MS-SSIM", 4),
    "ciede2000": ("CIEDE2000", 2),
    "vgg": ("VGG distance", 4),
}
"""Of each metric, what it is called in tables, and digits after the point."""


def print_tables(summaries: Sequence[Summary], unreferenced: Sequence[NoReference]) -> None:
    """Print what was measured against the target, and what can be said without it."""
    console = Console()
    if not console.is_terminal:  # no name is to be cut off for a width that nobody has
        console = Console(width=_WIDE)
    if summaries:
        console.print(_table(_cells(summaries)))
    if unreferenced:
        console.print(_table(_no_reference_cells(unreferenced)))


_WIDE = 1000
"""Letters in a line of what goes to a file or a pipe, at most."""


def watched(cases: Iterable[Case]) -> Iterator[Case]:
    """The same cases, their number told on a terminal, where errors go."""
    console = Console(stderr=True)
    yield from track(cases, "Images", console=console, disable=not console.is_terminal)


def _table(cells: list[list[str]]) -> Table:
    heads, *rows = cells
    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _cells(summaries: Sequence[Summary]) -> list[list[str]]:
    """Heads, then a row a summary."""
    metrics = list(summaries[0].figures)
    heads = ["data", "protocol", "system", "images"]
    heads += [f"{LABELS[metric][0]} (95%)" for metric in metrics] + ["s an image"]
    rows = [heads]
    for row in summaries:
        # Each by its name: rows of an earlier evaluation may have them in another order.
        figures = [f"{row.figures[metric]:.{LABELS[metric][1]}f}" for metric in metrics]
        of_what = [row.data, row.protocol, row.system, str(row.images)]
        rows.append([*of_what, *figures, f"{row.seconds:.3f}"])
    return rows


def _no_reference_cells(unreferenced: Sequence[NoReference]) -> list[list[str]]:
    """Heads, then a row a data set and system."""
    rows = [["data", "system", "images", "contrast", "saturated", "dark channel"]]
    with_fade = any(row.fade is not None for row in unreferenced)
    rows[0] += ["FADE"] * with_fade
    for data, system in dict.fromkeys((row.data, row.system) for row in unreferenced):
        mine = [row for row in unreferenced if (row.data, row.system) == (data, system)]
        fades = [row.fade for row in mine if row.fade is not None]
        rows.append(
            [
                data,
                system,
                str(len(mine)),
                f"x{np.mean([row.contrast for row in mine]):.2f}",
                f"{np.mean([row.saturated for row in mine]):.2%}",
                f"{np.mean([row.dark_channel for row in mine]):.3f}",
                *([f"{np.mean(fades):.2f}" if fades else ""] * with_fade),
            ]
        )
    return rows


def markdown(summaries: Sequence[Summary]) -> str:
    """What was measured against the target, as a table of a page."""
    return tables.markdown(_cells(summaries))


def no_reference_markdown(unreferenced: Sequence[NoReference]) -> str:
    """What can be said without ground truth, as a table of a page."""
    return tables.markdown(_no_reference_cells(unreferenced))


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write rows, all of one dataclass, as CSV; without rows, no file.

    Figures by metric get a column each, and a column more for each end of an interval.
    """
    if not rows:
        return
    flat = [_flat(row) for row in rows]
    with path.open("w", newline="", **_ANY_NAME) as file:
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
                file = part.open("w", newline="", buffering=1, **_ANY_NAME)
                writers[name] = csv.DictWriter(
                    stack.enter_context(file), list(row), lineterminator="\n"
                )
                writers[name].writeheader()
            writers[name].writerow(row)
            yield result
    for name in writers:
        (folder / f"{name}.part").replace(folder / name)


def write_table(
    folder: Path,
    scores: Sequence[Any],
    rows: Sequence[Any],
    table: str,
    weights: Iterable[Path],
    checksums: "Checksums",
) -> None:
    """Write images.csv, table.csv, evaluation.json and table.md, and print the last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "images.csv", scores)
    write_rows(folder / "table.csv", rows)
    models = {str(path): checksum_of(str(path)) for path in weights}
    write_record(folder / "evaluation.json", models, checksums)
    (folder / "table.md").write_text(table, **_ANY_NAME)
    Console().print(table, soft_wrap=True)


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


class Earlier:
    """What an earlier evaluation left in its folder, whose rows come beside new ones.

    Args:
        folder: Its output.

    Raises:
        DataError: If it holds no evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hazy: dict[_Place, float] = {}
        self._places: set[tuple[str, str]] = set()
        """Data sets and protocols of the rows that were kept."""
        try:
            self.record = json.loads((folder / "evaluation.json").read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no evaluation to stand beside ({error})") from error

    def rows(
        self,
        data: Container[str],
        systems: Container[str],
        protocols: Container[str],
        metrics: Sequence[str],
        models: Mapping[str, str | None],
    ) -> Iterator[Score | NoReference]:
        """Those of what is not measured again: systems on data sets.

        Nor of what another file said under the name of one of `models`, whose checksums these are.

        Raises:
            DataError: If they are by other metrics than those named, or of the data sets that are
                measured again by another protocol.
        """
        before = self.models()
        stale = {name for name in models if before.get(name, models[name]) != models[name]}
        stale |= {Path(name).stem for name in stale}
        for line in _lines(self.folder / "images.csv"):
            of_what = {key: line.pop(key) for key in _OF_WHAT}
            seconds = float(line.pop("seconds"))
            if line.keys() != {*metrics}:
                raise DataError(
                    f"{self.folder} was measured by {', '.join(line)}; ask for the same metrics"
                )
            if of_what["data"] in data and of_what["protocol"] not in protocols:
                raise DataError(
                    f"{self.folder} was measured by protocol {of_what['protocol']} too; ask for "
                    "the same protocols"
                )
            figures = {metric: float(line[metric]) for metric in metrics}
            score = Score(**of_what, figures=figures, seconds=seconds)
            yield from self._kept(score, data, systems, stale)
        for line in _lines(self.folder / "no-reference.csv"):
            of_what = {key: line.pop(key) for key in ("data", "system", "image")}
            found = {key: float(value) if value else None for key, value in line.items()}
            row = NoReference(**of_what, **found)  # type: ignore[arg-type]
            yield from self._kept(row, data, systems, stale)

    def models(self) -> dict[str, str | None]:
        """Checksums of all models that its rows are of, by what they were asked for as."""
        found: dict[str, str | None] = {}
        record = self.record
        while record:
            found = record["models"] | found
            record = record.get("beside")
        return found

    def check_names(self, models: Mapping[str, str | None]) -> None:
        """See that no new model stands under the name of another one's file.

        Raises:
            DataError: If one does, whose rows would replace the other's.
        """
        before = self.models()
        for name in models:
            for other, checksum in before.items():
                alike = Path(other).stem == Path(name).stem and other != name
                if alike and checksum != models[name]:
                    raise DataError(
                        f"{name} would be called as {other} is in {self.folder}, whose rows would "
                        "be lost; rename one of the files"
                    )

    def _kept(
        self,
        row: Score | NoReference,
        data: Container[str],
        systems: Container[str],
        stale: Container[str],
    ) -> Iterator[Score | NoReference]:
        """A row, if it is not measured again; of hazy images its figure is remembered."""
        place, figure = _hazy(row)
        if row.system == "hazy":
            self._hazy[place] = figure
        # With the path that it took: `@512` or `full`.
        called = row.system.rpartition(" ")[0]
        if row.system in stale or called in stale:
            return
        if row.data not in data or row.system not in systems:
            self._places.add(place[:2])
            yield row

    def checked(self, found: Iterable[Score | NoReference]) -> Iterator[Score | NoReference]:
        """New results, of the same images as those that `rows` has given.

        By what there is to say of the hazy ones, since other processors may draw some pixels of
        their haze differently by a level.

        Raises:
            DataError: As soon as an image differs, or at the end, if some were not among them.
        """
        measured = {place[:2] for place in self._hazy}
        seen = set[_Place]()
        for result in found:
            if result.system == "hazy":
                place, figure = _hazy(result)
                seen.add(place)
                if place[:2] in self._places - measured:
                    raise DataError(
                        f"{self.folder} does not say which images of {result.data} its rows are "
                        "of, as it has none of the hazy ones; evaluate all systems again"
                    )
                before = self._hazy.get(place, math.nan)
                same = math.isclose(before, figure, rel_tol=0, abs_tol=_SAME)  # infinite ones too
                if place[:2] in measured and not same:
                    raise self._of_others(result.data)
            yield result
        asked = {place[:2] for place in seen}
        for data, protocol, _ in self._hazy.keys() - seen:
            if (data, protocol) in asked:
                raise self._of_others(data)

    def _of_others(self, data: str) -> DataError:
        return DataError(
            f"{data} had other images when {self.folder} was written: its rows and the new "
            "ones do not belong beside each other; evaluate all systems again"
        )


_Place = tuple[str, str, str]
"""Data set, protocol and image."""

_SAME = 0.01
"""Of images that are the same, PSNR in dB, or the dark channel, differ by less."""


def _hazy(result: Score | NoReference) -> tuple[_Place, float]:
    """Which image it is, and a figure that tells it from others."""
    if isinstance(result, NoReference):
        return (result.data, "", result.image), result.dark_channel
    return (result.data, result.protocol, result.image), result.figures["psnr"]


_OF_WHAT = ("data", "protocol", "system", "scene", "image")


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", **_ANY_NAME) as file:
        return list(csv.DictReader(file))


class Checksums:
    """Of each data set that was used, its images: so that two records can be compared."""

    def __init__(self) -> None:
        self._images: dict[str, int] = {}
        self._hashes: dict[str, Any] = {}

    def of(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The same cases, taken note of on their way."""
        for case in cases:
            digest = self._hashes.setdefault(case.data, hashlib.sha256())
            self._images[case.data] = self._images.get(case.data, 0) + 1
            for image in (case.hazy, case.clean):
                if image is not None:
                    digest.update((image * 255).round().byte().numpy().tobytes())
            yield case

    def record(self) -> dict[str, dict[str, Any]]:
        """Number of images and SHA-256 of their 8-bit pixels, hazy then clean, by data set."""
        return {
            name: {"images": self._images[name], "sha256": digest.hexdigest()}
            for name, digest in self._hashes.items()
        }


_PACKAGES = ("kddn", "torch", "torchmetrics", "numpy", "pillow", "onnxruntime")


_OF_AN_EVALUATION = ("images.csv", "summary.csv", "summary.md", "no-reference.csv",
                     "no-reference.md")  # fmt: skip


def check_folder(folder: Path) -> None:
    """See that a folder holds nothing that an evaluation would replace, but another evaluation.

    Raises:
        DataError: If it does.
    """
    other = (folder / "table.csv").exists() or not (folder / "evaluation.json").exists()
    there = [name for name in _OF_AN_EVALUATION if (folder / name).exists()]
    if other and there:
        raise DataError(
            f"{folder} holds {there[0]}, which is no evaluation's; name another folder for `output`"
        )


def remove_others(folder: Path, *, scored: bool, looked_at: bool) -> None:
    """Remove an earlier evaluation's tables of a kind that the present one has not.

    Args:
        folder: Where the present one is written.
        scored: Whether it has figures against the target.
        looked_at: Whether it has figures without one.
    """
    for name in _OF_AN_EVALUATION:
        if not (looked_at if name.startswith("no-reference") else scored):
            (folder / name).unlink(missing_ok=True)


def write_record(
    path: Path,
    models: Mapping[str, str | None],
    checksums: Checksums,
    earlier: Earlier | None = None,
) -> None:
    """Write how an evaluation was made: command, versions, machine, and checksums.

    Args:
        path: The file.
        models: Checksums of what was measured, taken before, by what it was asked for as.
        checksums: Of the data.
        earlier: The evaluation whose rows stand beside.
    """
    record = {
        **records.how_made(_PACKAGES),
        "models": dict(models),
        "data": checksums.record(),
    }
    if earlier is not None:
        record["data"] = earlier.record["data"] | record["data"]
        record["beside"] = earlier.record
    path.write_text(json.dumps(record, indent=2) + "\n")


def checksum_of(model: str) -> str | None:
    """SHA-256 of a model's weights; None for a prior, which has none."""
    if is_weights(model):
        return hashlib.sha256(find_weights(Path(model)).read_bytes()).hexdigest()
    found = find_model(model)
    return None if found.path is None else hashlib.sha256(found.read()).hexdigest()
