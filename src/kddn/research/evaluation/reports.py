"""What an evaluation leaves in its folder, and its tables for pages and terminals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from kddn import tables
from kddn.errors import DataError
from kddn.research.data.sets import Case
from kddn.research.evaluation.earlier import Earlier
from kddn.research.evaluation.record import Checksums, checksum_of, write_record
from kddn.research.evaluation.rows import ANY_NAME, write_rows
from kddn.research.evaluation.scores import NoReference, Summary

LABELS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "ms-ssim": ("MS-SSIM", 4),
    "ciede2000": ("CIEDE2000", 2),
    "vgg": ("VGG distance", 4),
}
"""Of each metric, what it is called in tables, and digits after the point."""


def watched(cases: Iterable[Case]) -> Iterator[Case]:
    """The same cases, their number told on a terminal, where errors go."""
    console = Console(stderr=True)
    yield from track(cases, "Images", console=console, disable=not console.is_terminal)


def cells(summaries: Sequence[Summary]) -> list[list[str]]:
    """What was measured against the target, as a table: heads, then a row a summary."""
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


def no_reference_cells(no_reference: Sequence[NoReference]) -> list[list[str]]:
    """What can be said without ground truth: heads, then a row a data set and system."""
    rows = [["data", "system", "images", "contrast", "saturated", "dark channel"]]
    with_fade = any(row.fade is not None for row in no_reference)
    rows[0] += ["FADE"] * with_fade
    for data, system in dict.fromkeys((row.data, row.system) for row in no_reference):
        mine = [row for row in no_reference if (row.data, row.system) == (data, system)]
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
    return tables.markdown(cells(summaries))


def no_reference_markdown(no_reference: Sequence[NoReference]) -> str:
    """What can be said without ground truth, as a table of a page."""
    return tables.markdown(no_reference_cells(no_reference))


def write_table(
    folder: Path,
    scores: Sequence[Any],
    rows: Sequence[Any],
    table: str,
    weights: Iterable[Path],
    checksums: Checksums,
) -> None:
    """Write images.csv, table.csv, evaluation.json and table.md, of a table of the paper's."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "images.csv", scores)
    write_rows(folder / "table.csv", rows)
    models = {str(path): checksum_of(str(path)) for path in weights}
    write_record(folder / "evaluation.json", models, checksums)
    (folder / "table.md").write_text(table, **ANY_NAME)


def write_evaluation(
    folder: Path,
    summaries: Sequence[Summary],
    no_reference: Sequence[NoReference],
    models: Mapping[str, str | None],
    checksums: Checksums,
    earlier: Earlier | None = None,
) -> None:
    """Write what belongs beside images.csv and no-reference.csv once all images are measured.

    That is summary.csv and .md, no-reference.md, and evaluation.json. Tables of a kind that the
    evaluation has not are removed, where the folder held an earlier one.

    Args:
        folder: Where the evaluation is written.
        summaries: Means of what was measured against the target.
        no_reference: What was measured without one.
        models: Checksums of the models by what they were asked for as.
        checksums: Of the data.
        earlier: The evaluation whose rows stand beside.
    """
    write_rows(folder / "summary.csv", summaries)
    if summaries:
        (folder / "summary.md").write_text(markdown(summaries), "utf-8")
    if no_reference:
        (folder / "no-reference.md").write_text(no_reference_markdown(no_reference), "utf-8")
    for name in _OF_AN_EVALUATION:
        if not (no_reference if name.startswith("no-reference") else summaries):
            (folder / name).unlink(missing_ok=True)
    write_record(folder / "evaluation.json", models, checksums, earlier)


_OF_AN_EVALUATION = ("images.csv", "summary.csv", "summary.md", "no-reference.csv",
                     "no-reference.md")  # fmt: skip


def check_table_folder(folder: Path) -> None:
    """See that a folder holds no evaluation, which a table of the paper's would replace.

    Raises:
        DataError: If it does.
    """
    if (folder / "evaluation.json").exists() and not (folder / "table.csv").exists():
        raise DataError(f"{folder} holds an evaluation; name another folder for `output`")


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
