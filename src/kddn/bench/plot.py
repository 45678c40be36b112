"""Quality against time, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kddn.bench.report import Quality, as_used, common_size, data_sets, ratio, reference
from kddn.bench.run import Row

_MARKS = {"model": "o", "prior": "s", "compared": "^"}


def draw(path: Path, rows: Sequence[Row], quality: Quality) -> None:
    """A panel a data set: PSNR of each system, and how long it takes beside the default model.

    Time is of pictures of the largest size that all could be measured at, decoding and encoding
    among it.
    """
    data = data_sets(quality)
    figure = Figure(figsize=(5 * len(data), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(data), squeeze=False)[0], data, strict=True):
        _panel(axes, rows, {system: figures[name] for system, figures in quality.items()}, name)
    figure.savefig(path, dpi=120)


def _panel(axes: Axes, rows: Sequence[Row], psnr: dict[str, float], data: str) -> None:
    for row in as_used(rows):
        times = ratio(rows, row, "seconds")
        if row.system.name not in psnr or times is None:
            continue
        place = times, psnr[row.system.name]
        (mark,) = axes.plot(*place, _MARKS[row.system.kind])
        axes.annotate(
            row.system.name,
            place,
            xytext=(6, 4),
            textcoords="offset points",
            color=mark.get_color(),
            fontsize="small",
        )
    axes.axhline(psnr["hazy"], color="gray", ls=":", lw=1)
    axes.set(
        xscale="log",
        xlabel=f"time for {common_size(rows):g} megapixels, {reference(rows).name} = 1",
        ylabel="PSNR, dB",
        title=data,
    )
    axes.margins(x=0.25, y=0.12)
    axes.grid(alpha=0.3)
