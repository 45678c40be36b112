"""Tables 1 and 2: train the rows, measure them, and lay them beside the paper's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from kddn import tables
from kddn.errors import KddnError
from kddn.research.data import VALIDATION
from kddn.research.data.sets import Case, find_data_set
from kddn.research.data.sets.nyu import NYU_CLEAR, nyu_cases
from kddn.research.evaluation import reports, settings
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.record import Checksums
from kddn.research.evaluation.scores import Estimate, Score, summarize
from kddn.research.evaluation.systems import System, network_system, system_of
from kddn.research.losses.objective import untrained_teacher
from kddn.research.paper.runs import Runs
from kddn.research.paper.tables import PROTOCOL, TABLES, Row
from kddn.research.training.recipes import losses_of, read_recipe


@dataclass(frozen=True)
class Result:
    """A row beside the paper's. Intervals are of 95%."""

    row: str
    seeds: int
    psnr: Estimate
    """Mean over images and seeds, dB."""
    psnr_of_seeds: str
    """Each seed's mean."""
    ssim: Estimate
    paper_psnr: float
    paper_ssim: float
    over: str
    """The row that is next below in the paper, by PSNR."""
    gain: Estimate
    """PSNR over that row's, on the same images, dB."""
    paper_gain: float
    holds: str
    """Whether the paper's order of the two holds here; see `settings.is_above`."""


def reproduce(
    table: str,
    runs: Runs,
    data: Mapping[str, Path] | None = None,
    *,
    scale: float = 1.0,
    scenes: int = len(VALIDATION),
) -> list[Result]:
    """Train what is missing of a table, measure it, and write it to `output` as CSV and Markdown.

    Args:
        table: `table1` or `table2`.
        runs: How to train.
        data: Folder of `sots-indoor`, which the paper measures on; NYU's validation scenes under
            its haze stand in for it.
        scale: Size of NYU's to measure at; 1 is the original. For students trained at that size.
        scenes: How many of NYU's 50 validation scenes to measure on, ten images each.

    Raises:
        KddnError: If there is no such table, or something is missing or of no use for it.
    """
    if table not in TABLES:
        raise KddnError(f"there is no {table!r}; there are {', '.join(TABLES)}")
    rows = TABLES[table]
    if runs.root is None:
        raise KddnError(f"{table} needs NYU's scenes: give `root`, the folder of rgb/ and depth/")
    if runs.vgg is None and any(losses_of(row.recipe).get("perceptual") for row in rows):
        raise KddnError(f"{table} has rows with the perceptual loss: give `vgg`, a file of weights")
    runs.check()
    reports.check_table_folder(runs.output)
    cases, of = _images(table, runs.root, data or {}, scale, scenes)
    weights = {
        f"{row.slug}/{seed}": runs.student(row, seed) for seed in range(runs.seeds) for row in rows
    }
    systems = {name: network_system(path) for name, path in weights.items()}
    checksums = Checksums()
    images = checksums.of(reports.watched(cases))
    found = score(systems, images, [PROTOCOL])
    scores = [result for result in found if isinstance(result, Score)]
    results = compare(rows, scores)
    table_page = markdown(results, of)
    if any(row.teacher for row in rows):
        table_page += "\n" + teachers_markdown(rows, runs, scenes)
    reports.write_table(runs.output, scores, results, table_page, weights.values(), checksums)
    return results


def compare(rows: Sequence[Row], scores: Sequence[Score]) -> list[Result]:
    """Lay rows beside the paper's, and each beside the row that is next below it in the paper."""
    by_paper = sorted(rows, key=lambda row: row.psnr)
    psnrs, ssims = (settings.by_setting(scores, metric) for metric in ("psnr", "ssim"))
    results = []
    for row in rows:
        below = by_paper[max(by_paper.index(row) - 1, 0)]
        mine, others = psnrs[row.slug], psnrs[below.slug]
        results.append(
            Result(
                row.name,
                len(mine),
                settings.mean(mine),
                settings.of_seeds(mine),
                settings.mean(ssims[row.slug]),
                row.psnr,
                row.ssim,
                "" if below is row else below.name,
                settings.gain(mine, others),
                row.psnr - below.psnr,
                "" if below is row else settings.is_above(mine, others),
            )
        )
    return results


def _images(
    table: str, root: Path, data: Mapping[str, Path], scale: float, scenes: int
) -> tuple[Iterator[Case], str]:
    """What a table is measured on, and what to call it."""
    if strange := set(data) - {"sots-indoor"}:
        raise KddnError(
            f"{table} is of sots-indoor, or of NYU's scenes (`root`) in its place: leave out the "
            f"`data` {min(strange)}"
        )
    if not data:
        return nyu_cases(root, scenes=scenes, scale=scale), "nyu for sots-indoor"
    if scale != 1:
        raise KddnError("`scale` is for NYU's scenes; leave it out, or `data`")
    cases = find_data_set("sots-indoor").cases(data["sots-indoor"])
    return chain([next(cases)], cases), "sots-indoor"  # the first tells of mistakes now


def teachers_markdown(rows: Sequence[Row], runs: Runs, scenes: int) -> str:
    """What each row's teacher makes of NYU's validation scenes, beside the paper's figures."""
    assert runs.root is not None
    in_the_paper = {row.name: row.teacher for row in rows if row.teacher}
    systems = {row.name: _teacher(row, runs) for row in rows if row.teacher}
    found = score(systems, islice(NYU_CLEAR.cases(runs.root), scenes), [PROTOCOL])
    summaries = summarize([each for each in found if isinstance(each, Score)])
    heads = [f"teacher (nyu-clear, protocol {PROTOCOL})", "PSNR here (95%)", "SSIM here (95%)"]
    lines = [[*heads, "paper"]]
    for row in summaries:
        psnr, ssim = in_the_paper[row.system]
        figures = [f"{row.figures['psnr']:.2f}", f"{row.figures['ssim']:.4f}"]
        lines.append([row.system, *figures, f"{psnr:.2f} / {ssim:.4f}"])
    return tables.markdown(lines)


def _teacher(row: Row, runs: Runs) -> System:
    if losses_of(row.recipe).get("teacher") == "untrained":
        return system_of(untrained_teacher())
    return network_system(runs.teacher(read_recipe(row.recipe)["teacher_recipe"]))


def markdown(results: Sequence[Result], data: str = "nyu for sots-indoor") -> str:
    """The results as a table of a page."""
    heads = [
        f"row ({data}, protocol {PROTOCOL})",
        "PSNR here (95%)",
        "of each seed",
        "SSIM here (95%)",
    ]
    heads += ["paper", "over", "gain here (95%)", "gain in the paper", "holds here"]
    rows = [
        [
            r.row,
            f"{r.psnr:.2f}",
            r.psnr_of_seeds,
            f"{r.ssim:.4f}",
            f"{r.paper_psnr:.2f} / {r.paper_ssim:.4f}",
            r.over,
            f"{r.gain:+.2f}" if r.over else "",
            f"{r.paper_gain:+.2f}" if r.over else "",
            r.holds,
        ]
        for r in results
    ]
    return tables.markdown([heads, *rows])
