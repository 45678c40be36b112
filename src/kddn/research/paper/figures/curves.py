"""Figure 6: how PSNR rises with training, setting by setting."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kddn.errors import DataError, KddnError
from kddn.research.paper.figures.material import Material

Curve = NDArray[np.float64]
"""`n 2`: step and PSNR."""


def draw(material: Material) -> Figure:
    """PSNR on validation images against steps; a band from the worst to the best seed.

    Needs `logs`, several under one name where there are several seeds.
    """
    if not material.logs:
        raise KddnError("this figure needs logs: give --logs NAME=metrics.csv, a seed each")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, paths in material.logs.items():
        curves = [read_curve(path) for path in paths]
        steps = curves[0][:, 0]
        of_seeds = np.array([np.interp(steps, *curve.T) for curve in curves])
        (line,) = axes.plot(steps, of_seeds.mean(0), label=name)
        if len(curves) > 1:
            axes.fill_between(
                steps, of_seeds.min(0), of_seeds.max(0), alpha=0.2, color=line.get_color(), lw=0
            )
    axes.set(xlabel="step", ylabel="PSNR, dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def read_curve(path: Path) -> Curve:
    """Steps and validation PSNR of a run's log.

    Raises:
        DataError: If it cannot be read or holds no validation.
    """
    # Of a run that was resumed, the earlier parts lie beside the last.
    parts = sorted(path.parent.glob("metrics-*.csv")) if path.name == "metrics.csv" else []
    lines = []
    for part in (*parts, path):
        try:
            with part.open() as file:
                lines += list(csv.DictReader(file))
        except OSError as error:
            raise DataError(f"{part} cannot be read ({error.strerror})") from error
    points = [(float(line["step"]), float(line["psnr"])) for line in lines if line.get("psnr")]
    if not points:
        raise DataError(f"{path} holds no PSNR: give the metrics.csv of a run that validated")
    return np.array(points)
