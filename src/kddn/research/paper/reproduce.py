"""`kddn reproduce`: train the rows of a table, measure them, and lay them beside the paper's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from kddn.errors import KddnError
from kddn.research.cli import find_recipe, train
from kddn.research.data import VALIDATION
from kddn.research.data.sets.nyu import nyu_cases
from kddn.research.evaluation import (
    Score,
    bootstrap,
    by_scene,
    network_system,
    score,
)
from kddn.research.haze import SOTS_INDICES
from kddn.research.nets import STUDENT_PRESETS, Student, StudentPreset
from kddn.research.paper.tables import TABLES, Row
from kddn.research.reports import write_rows


@dataclass(frozen=True, kw_only=True)
class Runs:
    """How the rows of a table are trained: all in the same way."""

    root: Path
    """Folder of NYU Depth V2's labelled pairs."""
    output: Path
    """Folder of the runs, one a row and seed: a finished one is not trained again."""
    seeds: int = 1
    """Runs a row."""
    network: StudentPreset = "paper"
    """The student."""
    budget: float = 1.0
    """Share of each epoch's batches."""
    config: Sequence[str] = ()
    """Recipes or files that change every run."""
    teachers: Mapping[str, Path] = field(default_factory=dict)
    """Weights of teachers by the recipe they stand for; those missing are trained."""
    vgg: Path | None = None
    """Weights of VGG, for the rows with the perceptual loss."""

    def student(self, row: Row, seed: int) -> Path:
        """Weights of one row from one seed, trained if they are not there yet."""
        changes = _recipe(row)
        losses = _losses(row)
        weighted = "network" not in changes["model"]  # only the baseline's recipe has another
        shape = replace(STUDENT_PRESETS[self.network], spatially_weighted=weighted)
        network = {"class_path": _name(Student), "init_args": {"config": asdict(shape)}}
        options = [f"--model.network={json.dumps(network)}"]
        if losses.get("imitation") and "teacher" not in losses:
            teacher = self.teacher(changes.get("teacher_recipe", "teacher"))
            options.append(f"--model.losses.teacher={teacher}")
        if losses.get("perceptual") and self.vgg is not None:
            options.append(f"--model.losses.vgg={self.vgg}")
        return self._train("student", row.recipe, seed, self.output / row.slug / f"{seed}", options)

    def teacher(self, recipe: str) -> Path:
        """Weights of the teacher that a recipe makes, trained if they are not there yet."""
        if recipe in self.teachers:
            return self.teachers[recipe]
        return self._train("teacher", recipe, 0, self.output / recipe, [])

    def _train(self, stage: str, recipe: str, seed: int, folder: Path, more: list[str]) -> Path:
        if (weights := folder / "weights.safetensors").is_file():
            return weights
        logger = {
            "class_path": _name(CSVLogger),
            "init_args": {"save_dir": str(folder), "name": "", "version": ""},
        }
        options = [word for name in (recipe, *self.config) for word in ("--config", name)]
        options += [
            f"--seed_everything={seed}",
            f"--data.seed={seed}",
            f"--data.root={self.root}",
            f"--budget={self.budget}",
            f"--trainer.default_root_dir={folder}",
            f"--trainer.logger={json.dumps(logger)}",
        ]
        if (last := folder / "checkpoints" / "last.ckpt").is_file():
            options.append(f"--resume={last}")
        return train(stage, [*options, *more])


def _recipe(row: Row) -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load(find_recipe(row.recipe).read_text())
    return recipe


def _losses(row: Row) -> dict[str, Any]:
    losses: dict[str, Any] = _recipe(row)["model"].get("losses", {})
    return losses


def _name(of: type) -> str:
    return f"{of.__module__}.{of.__qualname__}"


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
    if runs.vgg is None and any(_losses(row).get("perceptual") for row in rows):
        raise KddnError(f"{table} has rows with the perceptual loss: give --vgg, a file of weights")
    systems = {
        f"{row.slug}/{seed}": network_system(runs.student(row, seed))
        for seed in range(runs.seeds)
        for row in rows
    }
    cases = nyu_cases(runs.root, scenes=scenes, scale=scale)
    images = track(cases, "Images", total=scenes * len(SOTS_INDICES))
    scores = [result for result in score(systems, images) if isinstance(result, Score)]
    results = compare(rows, scores)
    write_rows(runs.output / "images.csv", scores)
    write_rows(runs.output / "table.csv", results)
    page = markdown(results)
    (runs.output / "table.md").write_text(page)
    Console().print(page, soft_wrap=True)
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
        "| row | PSNR here (95%) | of each seed | SSIM here (95%) | paper | over | gain here (95%) "
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
