"""What holds a student back: short runs of equal length, each with one thing changed.

python benchmarks/short_runs.py NYU OUTPUT [--family unet] [--vgg FILE] [--teacher FILE]
    [--distilled_from FILE] [--seeds N] [NAME ...]

In the family `small`, every run sees 4,008 whole rooms at about a fifth of their size (recipe
`scaled-down`, preset `small`, L1) unless its change says otherwise, and is measured on all 500
validation images at a fifth of their size. In the family `unet`, every run has three minutes
of the processors (recipe `kddn-indoor`), and is measured at half of the images' size, on two of
each scene's ten. The family `minutes` is five of those, validated on ten scenes as they go, for
`kddn reproduce figure6 --against minutes`. What is trained already is not trained again.
"""

import argparse
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kddn.research.data.sets.nyu import nyu_cases
from kddn.research.evaluation import settings
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.rows import write_rows
from kddn.research.evaluation.scores import Estimate, Score
from kddn.research.evaluation.systems import network_system
from kddn.research.training.run import train_once
from kddn.tables import markdown

_IMITATE = {"imitation": 1.0, "density": "transmission"}


def _losses(**losses: object) -> str:
    return f"--model.losses={json.dumps(losses)}"


_SMALL: dict[str, list[str]] = {
    "as it is": [],
    "half the learning rate": ["--model.optimization.learning_rate=5.0e-4"],
    "twice the learning rate": ["--model.optimization.learning_rate=2.0e-3"],
    "batches of 2": ["--data.batch.size=2", "--data.epoch_length=668"],
    "batches of 8": ["--data.batch.size=8", "--data.epoch_length=167"],
    "crops of 80": ["--data.batch.crop=80"],
    "turned by 90 degrees too": ["--data.batch.full_turns=true"],
    "ITS's airlight alone": ["--data.haze.white=0.0"],
    "SOTS's airlight alone": ["--data.haze.white=1.0"],
    "hazy images through JPEG": ["--data.haze.camera.jpeg=1.0"],
    "no global residual": ['--model.network={"class_path": "kddn.research.nets.Student", '
                           '"init_args": {"config": {"width": 32}}}'],
    "no averaging": ["--trainer.callbacks=null"],
    "2.2 times as long, as the perceptual loss is": ["--data.epoch_length=735"],
    "perceptual": [_losses(perceptual=1.0)],
    "perceptual at a tenth": [_losses(perceptual=0.1)],
    "perceptual up to relu3_1": [_losses(perceptual=1.0, vgg_weights=[1, 1, 1, 0, 0])],
    "imitation, pairs of the text": [_losses(**_IMITATE)],
    "imitation, pairs of the t-SNE": [_losses(**_IMITATE, pairs="tsne")],
    "imitation, all pairs": [_losses(**_IMITATE, pairs="all")],
    "perceptual and imitation": [_losses(perceptual=1.0, **_IMITATE)],
    "output distillation": [_losses(output_distillation=1.0)],
    "output distillation and imitation": [_losses(output_distillation=1.0, **_IMITATE)],
}  # fmt: skip


def _unet(**config: object) -> str:
    shape = {"class_path": "kddn.research.nets.UNet", "init_args": {"config": config}}
    return f"--model.network={json.dumps(shape)}"


_TIMER = "kddn.research.training.clock.ProcessorTimer"
_THREE_MINUTES = "00:00:03:00"


_UNET: dict[str, list[str]] = {
    "as it is": [],
    "wider": ["--model.network=unet-wide"],
    "batches of 4": ["--data.batch.size=4"],
    "batches of 16": ["--data.batch.size=16"],
    "twice Muon's rate": ["--model.optimization.matrix_rate=0.04"],
    "half Muon's rate": ["--model.optimization.matrix_rate=0.01"],
    "Adam": ["--model.optimization.optimizer=adam"],
    "larger rooms": ["--data.batch.scales=[0.35,0.5]"],
    "smaller rooms": ["--data.batch.scales=[0.18,0.25]"],
    "imitation": [_losses(**_IMITATE, pairs="unet")],
    "perceptual up to relu3_1 at a tenth": [_losses(perceptual=0.1, vgg_weights=[1, 1, 1, 0, 0])],
    "lights from pixels": [_unet(lights="pixels")],
    "lights as maps": [_unet(lights="maps")],
    "colours alone": [_unet(priors=False)],
    "no spatial weight": [_unet(spatially_weighted=False)],
    "filters of 3x3": [_unet(kernel=3)],
    "filters of 7x7": [_unet(kernel=7)],
    "more blocks below": [_unet(blocks=[1, 2, 8, 2, 1])],
    "three channels of scale": [_unet(scales=3)],
    "map at a half": [_unet(finer=True)],
    "Fourier transforms at a tenth": [_losses(fourier=0.1)],
    "no averaging": [
        f"--trainer.callbacks={_TIMER}",
        f"--trainer.callbacks.init_args.duration={_THREE_MINUTES}",
    ],
    "output distillation": [_losses(output_distillation=1.0)],
    "output distillation and imitation": [
        _losses(output_distillation=1.0, **_IMITATE, pairs="unet")
    ],
    "preset small": ["--model.network=small", "--model.optimization.matrix_rate=0.004"],
    "preset small, Adam": ["--model.network=small", "--model.optimization.optimizer=adam"],
    "preset paper": ["--model.network=paper", "--model.optimization.matrix_rate=0.004"],
    "preset paper, Adam": ["--model.network=paper", "--model.optimization.optimizer=adam"],
}

_MINUTES: dict[str, list[str]] = {
    name: [*_UNET[name], f"--data.epoch_length={40 if 'paper' in name else 60}"]
    for name in ("as it is", "preset small", "preset small, Adam", "preset paper",
                 "preset paper, Adam")
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Short runs that are compared with each other."""

    base: list[str]
    """Options that all share."""
    changes: dict[str, list[str]]
    """Options of a run by what they change."""
    scale: float
    """Size of the validation images."""
    every: int = 1
    """One of so many of them is measured."""


_BY_TIME = [
    "--config=kddn-indoor",
    "--model.network=unet",
    "--model.losses=null",
    "--data.batch={size: 8, crop: 640, scales: [0.25, 0.35], multiple: 16}",
    "--data.batch.full_turns=false",
    "--trainer.callbacks=kddn.research.training.callbacks.RampedAveraging",
    "--trainer.callbacks.init_args.decay=0.998",
    f"--trainer.callbacks+={_TIMER}",
    f"--trainer.callbacks.init_args.duration={_THREE_MINUTES}",
]

_SEEN_OFTEN = [
    "--trainer.check_val_every_n_epoch=2",
    "--data.validation_scenes=10",
    "--data.validation_scales=[0.5]",
]

FAMILIES = {
    "small": Family(["--config=scaled-down", "--model.network=small"], _SMALL, 0.2),
    "unet": Family(_BY_TIME, _UNET, 0.5, every=5),
    "minutes": Family([*_BY_TIME, *_SEEN_OFTEN], _MINUTES, 0.5, every=5),
}
"""`small`: equal numbers of images; `unet`: equal time on the machine at hand; `minutes`: the same,
with curves to draw."""

NEEDS = {"perceptual": "vgg", "imitation": "teacher", "output_distillation": "distilled_from"}
"""The file that a loss needs."""


@dataclass(frozen=True)
class Change:
    """A row of the table. Intervals are of 95%, over scenes."""

    change: str
    psnr: Estimate
    """dB, mean over images and seeds."""
    of_seeds: str
    gain: Estimate
    """dB over the run as it is."""


def main(
    nyu: Path,
    output: Path,
    family: Family,
    seeds: int,
    files: dict[str, Path],
    names: list[str],
) -> None:
    """Train, measure, and write images.csv, table.csv and table.md.

    Args:
        nyu: NYU's folder.
        output: Where runs and tables go.
        family: What all runs share, and what they change.
        seeds: Runs of each change.
        files: What losses need, by their names in `Losses`.
        names: Which changes.
    """
    needed = {need for name in names for need in needs_of(family.changes[name])}
    if missing := sorted(need for need in needed if files[need] is None):
        raise SystemExit(f"these changes need --{' and --'.join(missing)}, or name others")
    systems = {}
    for seed in range(seeds):
        for name in ["as it is", *(name for name in names if name != "as it is")]:
            folder = output / name.replace(" ", "-").replace(",", "").replace("'", "") / str(seed)
            changes = family.changes[name]
            options = [*family.base, *changes, f"--data.root={nyu}"]
            options += [f"--model.losses.{need}={files[need]}" for need in needs_of(changes)]
            options += [f"--seed_everything={seed}", f"--data.seed={seed}"]
            systems[f"{name}/{seed}"] = network_system(train_once("student", options, folder))
    cases = islice(nyu_cases(nyu, scale=family.scale), 0, None, family.every)
    scores = [s for s in score(systems, cases) if isinstance(s, Score)]
    write_rows(output / "images.csv", scores)
    psnrs = settings.by_setting(scores, "psnr")
    rows = [row(name, psnrs[name], psnrs["as it is"]) for name in psnrs]
    write_rows(output / "table.csv", rows)
    heads = ["change", "PSNR, dB (95%)", "of each seed", "gain, dB (95%)"]
    cells = [[r.change, f"{r.psnr:.2f}", r.of_seeds, f"{r.gain:+.2f}"] for r in rows]
    cells[0][-1] = ""  # over itself
    table = markdown([heads, *cells])
    (output / "table.md").write_text(table)
    print(table)


def needs_of(options: list[str]) -> list[str]:
    """The files that a run needs."""
    return [need for loss, need in NEEDS.items() if f'"{loss}"' in " ".join(options)]


def row(name: str, psnrs: settings.Figures, base: settings.Figures) -> Change:
    """Means over seeds, and over those of the run as it is."""
    mine, of_seeds = settings.mean(psnrs), settings.of_seeds(psnrs)
    return Change(name, mine, of_seeds, settings.gain(psnrs, base))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nyu", type=Path)
    parser.add_argument("output", type=Path)
    for file in NEEDS.values():
        parser.add_argument(f"--{file}", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--family", choices=list(FAMILIES), default="small")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_intermixed_args()
    if unknown := set(asked.names) - set(FAMILIES[asked.family].changes):
        known = ", ".join(FAMILIES[asked.family].changes)
        parser.error(f"there is no {min(unknown)!r}; there are {known}")
    given = {file: getattr(asked, file) for file in NEEDS.values()}
    chosen = FAMILIES[asked.family]
    main(asked.nyu, asked.output, chosen, asked.seeds, given, asked.names or list(chosen.changes))
