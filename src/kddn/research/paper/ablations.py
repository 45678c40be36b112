"""Tables 1 and 2: train the rows, measure them, and lay them beside the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from kddn.errors import KddnError
from kddn.research.data import VALIDATION
from kddn.research.data.sets.nyu import nyu_cases
from kddn.research.evaluation.evaluate import network_system, score
from kddn.research.evaluation.reports import Checksums, write_table
from kddn.research.evaluation.scores import Score, bootstrap, by_scene
from kddn.research.haze import SOTS_INDICES
from kddn.research.paper.runs import Runs, losses_of
from kddn.research.paper.tables import PROTOCOL, TABLES, Row


@dataclass(frozen=True)
class Result:
    """A row beside the paper's. Intervals are of 95%."""

    row: str
    seeds: int
    psnr: float
    """Mean over images and seeds, dB."""
    psnr_low: float
    psnr_high: float
    psnr_of_seeds: str
    """Each seed's mean."""
    ssim: float
    ssim_low: float
    ssim_high: float
    paper_psnr: float
    paper_ssim: float
    over: str
    """The row that is next below in the paper, by PSNR."""
    gain: float
    """PSNR over that row's, on the same images, dB."""
    gain_low: float
    gain_high: float
    paper_gain: float
    holds: str
    """Whether the paper's order of the two holds here: `yes` or `no` if the gain's interval and
    every pair of seeds agree, otherwise `open`."""


def reproduce(
    table: str, runs: Runs, *, scale: float = 1.0, scenes: int = len(VALIDATION)
) -> list[Result]:
    """Train what is missing of a table, measure it, and write it to `output` as CSV and Markdown.

    Args:
        table: `table1` or `table2`.
        runs: How to train.
        scale: Size to measure at; 1 is the original. For students trained at that size.
        scenes: How many of the 50 validation scenes to measure on, ten images each.

    Raises:
        KddnError: If there is no such table.
    """
    if table not in TABLES:
        raise KddnError(f"there is no {table!r}; there are {', '.join(TABLES)}")
    rows = TABLES[table]
    if runs.root is None:
        raise KddnError(f"{table} needs NYU's scenes: give `root`, the folder of rgb/ and depth/")
    if runs.vgg is None and any(losses_of(row.recipe).get("perceptual") for row in rows):
        raise KddnError(f"{table} has rows with the perceptual loss: give `vgg`, a file of weights")
    weights = {
        f"{row.slug}/{seed}": runs.student(row, seed) for seed in range(runs.seeds) for row in rows
    }
    systems = {name: network_system(path) for name, path in weights.items()}
    checksums = Checksums()
    cases = nyu_cases(runs.root, scenes=scenes, scale=scale)
    images = checksums.watch(track(cases, "Images", total=scenes * len(SOTS_INDICES)))
    found = score(systems, images, [PROTOCOL])
    scores = [result for result in found if isinstance(result, Score)]
    results = compare(rows, scores)
    page = markdown(results)
    write_table(runs.output, scores, results, page, weights.values(), checksums)
    return results


def compare(rows: Sequence[Row], scores: Sequence[Score]) -> list[Result]:
    """Lay rows beside the paper's, and each beside the row that is next below it in the paper."""
    by_paper = sorted(rows, key=lambda row: row.psnr)
    figures = {row: _by_seed(row, scores) for row in rows}
    psnrs = {row: figures[row][0] for row in rows}
    ssims = {row: figures[row][1] for row in rows}
    results = []
    for row in rows:
        below = by_paper[max(by_paper.index(row) - 1, 0)]
        gain = psnrs[row].mean(0) - psnrs[below].mean(0)  # one a scene
        low, high = bootstrap(gain)
        of_pairs = psnrs[row].mean(1)[:, None] - psnrs[below].mean(1)  # seeds seeds
        if low > 0 and (of_pairs > 0).all():
            holds = "yes"
        elif high < 0 and (of_pairs < 0).all():
            holds = "no"
        else:
            holds = "open"
        psnr, ssim = psnrs[row].mean(0), ssims[row].mean(0)
        results.append(
            Result(
                row.name,
                len(psnrs[row]),
                float(psnr.mean()),
                *bootstrap(psnr),
                " ".join(f"{mean:.2f}" for mean in psnrs[row].mean(1)),
                float(ssim.mean()),
                *bootstrap(ssim),
                row.psnr,
                row.ssim,
                "" if below is row else below.name,
                float(gain.mean()),
                low,
                high,
                row.psnr - below.psnr,
                "" if below is row else holds,
            )
        )
    return results


def _by_seed(row: Row, scores: Sequence[Score]) -> NDArray[np.float64]:
    """PSNR and SSIM, `2 seeds scenes`, means over the hazes of a scene."""
    seeds: dict[str, list[Score]] = {}
    for s in scores:
        if s.system.rpartition("/")[0] == row.slug:
            seeds.setdefault(s.system, []).append(s)
    return np.array([[by_scene(s, metric) for s in seeds.values()] for metric in ("psnr", "ssim")])


def markdown(results: Sequence[Result]) -> str:
    """The results as a table of a page."""
    lines = [
        f"| row (protocol {PROTOCOL}) | PSNR here (95%) | of each seed | SSIM here (95%) | paper "
        "| over | gain here (95%) "
        "| gain in the paper | holds here |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        lines.append(
            f"| {r.row} | {r.psnr:.2f} ({r.psnr_low:.2f} to {r.psnr_high:.2f}) | {r.psnr_of_seeds} "
            f"| {r.ssim:.4f} ({r.ssim_low:.4f} to {r.ssim_high:.4f}) "
            f"| {r.paper_psnr:.2f} / {r.paper_ssim:.4f} | {r.over} "
            + (
                f"| {r.gain:+.2f} ({r.gain_low:+.2f} to {r.gain_high:+.2f}) | {r.paper_gain:+.2f} "
                if r.over
                else "| | "
            )
            + f"| {r.holds} |"
        )
    return "\n".join(lines) + "\n"
