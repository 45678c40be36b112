"""On paper: the training that our weights have had, as time of one H100.

    python benchmarks/h100.py > results/scaling/h100.txt

Counted: operations of a training step (PyTorch's counter, forward and backward, imitation's teacher
among them, perceptual losses not), steps and images by the runs' logs and recipes. Assumed: an H100
does 989 TFLOP/s in bf16 at best, and a tenth of that here; a step, however small, takes 20 ms. None
has been measured.
"""

import csv
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from kddn.research import nets
from kddn.research.data import BatchConfig, Pair
from kddn.research.data.batches import draw_windows
from kddn.research.losses.functions import reconstruction
from kddn.research.losses.objective import Losses, Objective
from kddn.research.nets.registry import Role, build
from kddn.research.training.recipes import find_recipe, with_bases

RESULTS = Path(__file__).parents[1] / "results"
WEIGHTS = ("kddn-photo", "kddn-indoor", "kddn-paper", "kddn-teacher")
OF_BEFORE = {
    ("kddn-photo", f"training-{log}")
    for log in ("1", "2", "3", "3b", "3c", "3d", "4", "5", "6", "6b", "6c", "7b", "8b")
}
"""Logs of weights that had the name before, and of runs that were not taken."""
SPEED = 0.1 * 989e12
STEP = 0.02
SIDE = 128


def merged(into: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two recipes, of which the latter wins."""
    for name, value in other.items():
        both = isinstance(value, dict) and isinstance(into.get(name), dict)
        into[name] = merged(dict(into[name]), value) if both else value
    return into


def recipe(name: str) -> dict[str, Any]:
    """All that a recipe says, with its bases."""
    whole: dict[str, Any] = {}
    for path in with_bases(find_recipe(name)):
        merged(whole, yaml.safe_load(path.read_text()))
    return whole


def pixels(batch: dict[str, Any], size: tuple[int, int]) -> float:
    """Mean number of an image's pixels that a network sees."""
    config = BatchConfig(**batch | {"scales": tuple(batch.get("scales", BatchConfig.scales))})
    generator = torch.Generator().manual_seed(0)
    seen: list[float] = []
    for _ in range(200):
        scale, ((rows, columns),) = draw_windows(config, [size], generator)
        seen.append((rows.stop - rows.start) * (columns.stop - columns.start) * scale**2)
    return sum(seen) / len(seen)


def operations(model: dict[str, Any], stage: Role) -> float:
    """Of a training step, for each pixel of an image."""
    network = model["network"]
    if isinstance(network, dict):
        kind = network["class_path"].rpartition(".")[2]
        trained = getattr(nets, kind)(
            getattr(nets, f"{kind}Config")(**network["init_args"]["config"])
        )
    else:
        trained = build(stage, network)
    x = torch.rand(1, 3, SIDE, SIDE)
    with FlopCounterMode(display=False) as counter:
        if stage == "teacher":
            loss = reconstruction(trained(x), x)
        else:
            kept = ("imitation", "pairs", "density", "teacher")
            losses = {key: value for key, value in model.get("losses", {}).items() if key in kept}
            if "teacher" in losses:
                losses["teacher"] = Path(losses["teacher"])
            objective = Objective(trained, Losses(**losses))
            terms = objective(trained, Pair(x, x, x[:, :1]))
            loss = torch.stack(list(terms.values())).sum()
        loss.backward()
    return float(counter.get_total_flops()) / SIDE**2


def had(name: str) -> tuple[int, float, float]:
    """Steps and images that weights were trained for, and operations."""
    in_all, images, done = 0, 0.0, 0.0
    stage: Role = "teacher" if name == "kddn-teacher" else "student"
    for log in sorted((RESULTS / name).glob("training-[0-9]*.csv")):
        if (name, log.stem) in OF_BEFORE:
            continue
        # The digit is the recipe's: 3b was trained by 3, otherwise sized.
        says = recipe(f"{name}-{log.stem.removeprefix('training-')[0]}")
        with log.open() as file:
            in_all += (steps := max(int(line["step"]) for line in csv.DictReader(file)) + 1)
        data = says["data"]
        sources = [(1.0, pixels(data["batch"], (460, 620)), data["batch"]["size"])]
        if "photos" in data:
            share, batch = data["photos"].get("fraction", 0.5), data["photos"]["batch"]
            sources = [
                (1 - share, *sources[0][1:]),
                (share, pixels(batch, (321, 481)), batch["size"]),
            ]
        a_pixel = operations(says["model"], stage)
        images += steps * sum(weight * size for weight, _, size in sources)
        done += steps * a_pixel * sum(weight * area * size for weight, area, size in sources)
    return in_all, images, done


def main() -> None:
    """Print a row for each of our weights."""
    print(
        f"{'weights':14} {'steps':>8} {'images':>10} {'GFLOP/image':>12} "
        f"{'minutes by steps':>17} {'by operations':>14} {'images/hour at most':>20}"
    )
    for name in WEIGHTS:
        steps, images, done = had(name)
        print(
            f"{name:14} {steps:8,} {images:10,.0f} {done / images / 1e9:12.1f} "
            f"{steps * STEP / 60:17.1f} {done / SPEED / 60:14.1f} "
            f"{3600 * SPEED * images / done:20,.0f}"
        )


if __name__ == "__main__":
    main()
