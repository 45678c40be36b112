"""The paper's figures, made from weights, data and logs of one's own: one file each."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from kddn.research.paper.figures import curves, density, panels, tsne, weighting
from kddn.research.paper.figures.material import Material

FIGURES: dict[str, Callable[[Material], Figure]] = {
    "figure1": tsne.draw,
    "figure4": panels.figure4,
    "figure5": density.draw,
    "figure6": curves.draw,
    "figure7": panels.figure7,
    "figure8": weighting.draw,
    "figure9": panels.figure9,
    "figure10": panels.figure10,
}
"""The figures by name; 2 and 3 are drawings of the networks."""


def reproduce_figure(name: str, material: Material, output: Path) -> list[Path]:
    """Draw a figure and write it as PDF and PNG.

    Args:
        name: `figure1`, and so on.
        material: What it is made of; each figure says what it needs.
        output: Folder of the files.

    Returns:
        The files.
    """
    figure = FIGURES[name](material)
    output.mkdir(parents=True, exist_ok=True)
    files = [output / f"{name}.pdf", output / f"{name}.png"]
    for path in files:
        figure.savefig(path, dpi=150)
    return files


__all__ = ["FIGURES", "Material", "reproduce_figure"]
