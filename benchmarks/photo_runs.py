"""What holds kddn-photo back: short runs of equal length from one start, each changed in one thing.

python benchmarks/photo_runs.py NYU PHOTOS REAL OUTPUT [--minutes 4] [NAME ...]

Each run has as many minutes of the processors (recipe `kddn-photo-4` from kddn-indoor's weights, on
small images, Muon's rate higher), and is measured on one of eight drawn hazes, one of 21 images of
the validation rooms, one of four clear photographs, and by FADE on every other real one, for which
`kddn[fade]` is needed. What is trained already is not trained again.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from kddn.research.data.sets import find_data_set
from kddn.research.evaluation import settings
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.rows import write_rows
from kddn.research.evaluation.scores import Estimate, NoReference, Score
from kddn.research.evaluation.systems import network_system
from kddn.research.training.run import train_once
from kddn.tables import markdown

BASE = [
    "--config=kddn-photo-4",
    "--model.start=kddn:kddn-indoor",
    "--model.optimization.matrix_rate=0.012",
    "--data.batch.scales=[0.28,0.45]",
    "--data.photos.batch.scales=[0.3,0.5]",
]
_HAZE = "--data.photos.haze."
_IMITATION = {
    "imitation": 1.0,
    "density": "transmission",
    "pairs": "unet",
    "teacher": "kddn:teacher",
}
_THREE_SCALES = {"widths": [48, 96, 144], "blocks": [2, 2, 6, 2, 2], "lights": "maps", "scales": 3}
_PLAIN = {
    "dim": 0,
    "tinted": 0,
    "vary": 0,
    "grain": 0,
    "night": 0,
    "aerial": 0,
    "airlight": "[0.7,1]",
    "camera.gamma": 1,
    "camera.noise": 0,
    "camera.jpeg": 0,
}

CHANGES: dict[str, list[str]] = {
    "as it is": [],
    "no floor of transmission": [f"{_HAZE}floor=0"],
    "floor at 0.15": [f"{_HAZE}floor=0.15"],
    "scenes as bright as they are": [f"{_HAZE}dim=0"],
    "no tone curve of cameras": [f"{_HAZE}camera.gamma=1"],
    "airlight from 0.7": [f"{_HAZE}airlight=[0.7,1]"],
    "no strong tints": [f"{_HAZE}tinted=0"],
    "scenes in their own colours": [f"{_HAZE}vary=0"],
    "all haze before the sky too": [f"{_HAZE}aerial=0"],
    "half of it haze that ends before the sky": [f"{_HAZE}aerial=0.5"],
    "plain haze": [f"{_HAZE}{name}={value}" for name, value in _PLAIN.items()],
    "three channels of scale": [
        '--model.network={"class_path": "kddn.research.nets.UNet", "init_args": '
        f'{{"config": {json.dumps(_THREE_SCALES)}}}}}'
    ],
    "half of it rooms": ["--data.photos.fraction=0.5"],
    "imitation": [f"--model.losses={json.dumps(_IMITATION)}"],
    "a tenth of the photographs clear": [f"{_HAZE}haze_free=0.1"],
}
"""Options of a run by what they change."""

EVERY = {"outdoor": 8, "nyu": 21, "clear": 4, "real": 2}
"""One of so many images of each set is measured."""


@dataclass(frozen=True)
class Change:
    """A row of the table: gains over the run as it is, with intervals of 95% over scenes."""

    change: str
    outdoor: Estimate
    """dB, of drawn haze."""
    rooms: Estimate
    """dB."""
    clear: float
    """PSNR of clear photographs, dB."""
    fade: float
    """FADE of real photographs over that of the hazy ones."""
    saturated: float
    """Share of the real photographs that is newly black or white."""

    def cells(self) -> list[str]:
        """A row of the table."""
        gains = [f"{self.outdoor:+.2f}", f"{self.rooms:+.2f}"]
        return [
            self.change,
            *gains,
            f"{self.clear:.1f}",
            f"{self.fade:.3f}",
            f"{self.saturated:.2%}",
        ]


def main(roots: dict[str, Path], output: Path, minutes: int, names: Sequence[str]) -> None:
    """Train, measure, and write table.csv and table.md.

    Args:
        roots: Folders of NYU, photographs and real hazy photographs, by data set.
        output: Where runs and the table go.
        minutes: Of the processors, for each run.
        names: Which changes.
    """
    systems = {"hazy/0": lambda hazy: hazy}
    for name in dict.fromkeys(["as it is", *names]):
        options = [*BASE, *CHANGES[name]]
        options += [f"--data.root={roots['nyu']}", f"--data.photos.root={roots['outdoor']}"]
        options += [f"--trainer.callbacks.duration=00:00:{minutes:02}:00"]  # the timer is the last
        weights = train_once("student", options, output / name.replace(" ", "-"))
        systems[f"{name}/0"] = network_system(weights)
    cases = (
        case
        for data, every in EVERY.items()
        for case in islice(find_data_set(data).cases(roots[data]), 0, None, every)
    )
    found = list(score(systems, cases))
    rows = list(changes(found))
    write_rows(output / "table.csv", rows)
    heads = ["change", "drawn haze, gain, dB (95%)", "rooms, gain, dB (95%)",
             "clear photographs, dB", "FADE, of the input's", "newly black or white"]  # fmt: skip
    cells = [r.cells() for r in rows]
    cells[0][1:3] = "", ""  # over itself
    table = markdown([heads, *cells])
    (output / "table.md").write_text(table)
    print(table)


def changes(found: Iterable[Score | NoReference]) -> Iterable[Change]:
    """A row for each run, from the scores of all and of the hazy images."""
    found = list(found)
    psnrs = {
        data: settings.by_setting(
            [s for s in found if isinstance(s, Score) and s.data == data], "psnr"
        )
        for data in ("outdoor", "nyu", "clear")
    }
    real = [s for s in found if isinstance(s, NoReference)]

    def mean(name: str, field: str) -> float:
        return float(np.mean([getattr(s, field) for s in real if s.system == f"{name}/0"]))

    for name in psnrs["outdoor"]:
        if name == "hazy":
            continue
        outdoor, rooms = (
            settings.gain(psnrs[data][name], psnrs[data]["as it is"]) for data in ("outdoor", "nyu")
        )
        yield Change(
            name,
            outdoor,
            rooms,
            settings.mean(psnrs["clear"][name]).mean,
            mean(name, "fade") / mean("hazy", "fade"),
            mean(name, "saturated"),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for folder in ("nyu", "photos", "real", "output"):
        parser.add_argument(folder, type=Path)
    parser.add_argument("--minutes", type=int, default=4)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_intermixed_args()
    if unknown := set(asked.names) - set(CHANGES):
        parser.error(f"there is no {min(unknown)!r}; there are {', '.join(CHANGES)}")
    folders = {"nyu": asked.nyu, "outdoor": asked.photos, "clear": asked.photos, "real": asked.real}
    main(folders, asked.output, asked.minutes, asked.names or list(CHANGES))
