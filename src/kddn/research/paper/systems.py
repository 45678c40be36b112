"""Tables 3 and 4: KDDN beside other systems, each trained if no weights of it are given."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kddn import tables
from kddn.errors import DataError, KddnError
from kddn.research.data.sets import find_data_set
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.record import Checksums
from kddn.research.evaluation.reports import check_table_folder, watched, write_table
from kddn.research.evaluation.scores import Estimate, Score, Summary, summarize
from kddn.research.evaluation.systems import network_system
from kddn.research.nets.checkpoints import find_weights
from kddn.research.paper.runs import Runs
from kddn.research.paper.tables import PROTOCOL, TABLES_OF_SYSTEMS, Entry

_log = logging.getLogger(__name__)

STAND_INS = {"nyu": "sots-indoor"}
"""Data sets made by the same rule as one of the paper's, in whose place they can be used."""


@dataclass(frozen=True)
class Placing:
    """A system on a data set, beside the paper's figures. Intervals are of 95%."""

    system: str
    data: str
    paper_data: str
    """What the paper's figures are of."""
    weights: str
    """The file, or none where the paper only quotes."""
    images: int
    psnr: Estimate | None
    """dB."""
    ssim: Estimate | None
    paper_psnr: float
    paper_ssim: float
    psnr_difference: float | None
    """Ours less the paper's, dB."""
    ssim_difference: float | None
    seconds: float | None
    """An image, on the machine at hand."""


def reproduce_systems(
    table: str,
    runs: Runs,
    data: Mapping[str, Path],
    weights: Mapping[str, Path],
    *,
    images: int | None = None,
) -> list[Placing]:
    """Train what has no weights, measure every system, and write the table beside the paper's.

    Args:
        table: `table3` or `table4`.
        runs: How to train.
        data: Folders of the table's data sets; `nyu` can stand in for `sots-indoor`.
        weights: Files of systems that are trained already, by their names in the table.
        images: How many images of each set to use, from the first.

    Raises:
        KddnError: If none of the table's data sets is given, or weights are of no system in it.
    """
    entries = TABLES_OF_SYSTEMS[table]
    wanted = dict.fromkeys(name for entry in entries for name in entry.paper)
    judged = {name: STAND_INS.get(name, name) for name in data}
    if not set(judged.values()) & set(wanted):
        raise DataError(f"{table} needs {_wanted(list(wanted))}; give `data` NAME=FOLDER")
    for name in set(wanted) - set(judged.values()):
        _log.warning("%s leaves out %s", table, _wanted([name]))
    names = [entry.name for entry in entries]
    if unknown := set(weights) - set(names):
        raise KddnError(f"{table} has no system {min(unknown)!r}; it has {', '.join(names)}")
    runs.check()
    check_table_folder(runs.output)
    for entry in entries:
        if entry.name not in weights:
            runs.check_vgg(entry)
    for name, path in weights.items():
        if not find_weights(path).is_file():
            raise KddnError(f"the `weights` of {name} are missing: {path} does not exist")
    for name, root in data.items():
        of_name = find_data_set(name)
        if judged[name] in wanted:
            next(of_name.cases(root), None)  # mistakes are told by the first image
    trainable = {entry.name: entry for entry in entries if entry.recipes}
    files = {
        name: weights[name] if name in weights else runs.system(entry)
        for name, entry in trainable.items()
    }
    systems = {name: network_system(file) for name, file in files.items()}
    cases = (
        case for name, root in data.items() if judged[name] in wanted
        for case in islice(find_data_set(name).cases(root), images)
    )  # fmt: skip
    checksums = Checksums()
    found = score(systems, checksums.of(watched(cases)), [PROTOCOL])
    scores = [s for s in found if isinstance(s, Score)]
    summaries = {(row.data, row.system): row for row in summarize(scores)}
    placings = [
        _place(entry, name, judged[name], files.get(entry.name), summaries.get((name, entry.name)))
        for name in data
        if judged[name] in wanted
        for entry in entries
    ]
    write_table(runs.output, scores, placings, markdown(placings), files.values(), checksums)
    return placings


def _wanted(names: list[str]) -> str:
    return " and ".join(f"{name} (from {find_data_set(name).source})" for name in names)


def _place(
    entry: Entry, data: str, paper_data: str, weights: Path | None, row: Summary | None
) -> Placing:
    paper_psnr, paper_ssim = entry.paper[paper_data]
    psnr = row.figures["psnr"] if row else None
    ssim = row.figures["ssim"] if row else None
    return Placing(
        entry.name,
        data,
        paper_data,
        weights.name if weights else "",
        row.images if row else 0,
        psnr,
        ssim,
        paper_psnr,
        paper_ssim,
        psnr.mean - paper_psnr if psnr else None,
        ssim.mean - paper_ssim if ssim else None,
        row.seconds if row else None,
    )


def markdown(placings: list[Placing]) -> str:
    """The table as a page has it."""
    heads = [f"system (protocol {PROTOCOL})", "data", "images", "PSNR here (95%)"]
    heads += ["SSIM here (95%)", "paper", "difference, dB"]
    rows = [
        [
            p.system,
            p.data if p.data == p.paper_data else f"{p.data} for {p.paper_data}",
            str(p.images or ""),
            "" if p.psnr is None else f"{p.psnr:.2f}",
            "" if p.ssim is None else f"{p.ssim:.4f}",
            f"{p.paper_psnr:.2f} / {p.paper_ssim:.4f}",
            "" if p.psnr_difference is None else f"{p.psnr_difference:+.2f}",
        ]
        for p in placings
    ]
    return tables.markdown([heads, *rows])
