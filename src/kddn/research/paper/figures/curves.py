"""Figure 6: how PSNR rises with training, setting by setting."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kddn.errors import DataError, KddnError
from kddn.research.paper.figures.material import Against, Material

Curve = NDArray[np.float64]
"""`n 2`: steps or minutes, and PSNR."""


def draw(material: Material) -> Figure:
    """PSNR on validation images against steps or minutes; a band from worst to best seed.

    Needs `logs`, several under one name where there are several seeds.
    """
    if not material.logs:
        raise KddnError("this figure needs logs: give `logs` NAME=metrics.csv, a seed each")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, paths in material.logs.items():
        curves = [read_curve(path, material.against) for path in paths]
        steps = _in_common([curve[:, 0] for curve in curves])
        of_seeds = np.array([np.interp(steps, *curve.T) for curve in curves])
        (line,) = axes.plot(steps, of_seeds.mean(0), label=name)
        if len(curves) > 1:
            axes.fill_between(
                steps, of_seeds.min(0), of_seeds.max(0), alpha=0.2, color=line.get_color(), lw=0
            )
    axes.set(xlabel=material.against, ylabel="PSNR, dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def _in_common(steps: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """All points at which a seed was measured, where every seed was still, or already, running."""
    first, last = max(each[0] for each in steps), min(each[-1] for each in steps)
    together = np.unique(np.concatenate(steps))
    common: NDArray[np.float64] = together[(together >= first) & (together <= last)]
    return common


def read_curve(path: Path, against: Against = "step") -> Curve:
    """Validation PSNR of a run's log, and after how many steps or minutes of training.

    Raises:
        DataError: If it cannot be read or holds no validation.
    """
    # Of a run that was resumed, the earlier parts lie beside the last.
    parts = [path]
    if path.name == "metrics.csv":
        there = path.parent.glob("metrics-*.csv")
        earlier = [part for part in there if part.stem.removeprefix("metrics-").isdecimal()]
        parts = [*sorted(earlier, key=lambda part: int(part.stem.removeprefix("metrics-"))), path]
    points, before = list[tuple[float, float]](), 0.0
    for part in parts:
        try:
            with part.open() as file:
                lines = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{part} cannot be read as a log ({error})") from error
        latest = 0.0
        if against == "step":  # a run goes on from a checkpoint that may be older than its log
            first = min((float(line["step"]) for line in lines if line.get("step")), default=0.0)
            points = [point for point in points if point[0] < first]
        for line in lines:
            now = float(line.get(against) or latest)
            before += latest if now < latest and against == "minutes" else 0.0  # resumed
            latest = now
            if line.get("psnr"):
                points.append((before + latest, float(line["psnr"])))
        before += latest if against == "minutes" else 0.0  # which each part counts from 0
    if not points:
        raise DataError(f"{path} holds no PSNR: give the metrics.csv of a run that validated")
    return np.array(points)
