"""Figures 4, 7, 9 and 10: what systems make of the same images, side by side."""

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure
from torch import Tensor

from kddn.errors import KddnError
from kddn.research.data.sets import Case, find_data_set
from kddn.research.evaluation.protocols import PROTOCOLS
from kddn.research.evaluation.systems import System, find_systems
from kddn.research.paper.figures.material import Material, evenly, pixels

_PROTOCOL = PROTOCOLS["full"]


def draw(material: Material, *, data: str, instead: tuple[str, ...], images: int) -> Figure:
    """A row an image: hazy, what each of `models` makes of it, and the target where there is one.

    Under each panel PSNR and SSIM by protocol `full`. Images are those that the material
    chooses, or taken evenly from the data set.

    Args:
        material: Needs `models`, and the data set or what can stand in for it.
        data: The paper's data set.
        instead: What can stand in for it.
        images: How many images to show, unless the material says.
    """
    if not material.models:
        raise KddnError("this figure compares systems: give `model`, several")
    name, root = material.only_data(data, *instead)
    data_set = find_data_set(name)
    names = [case.name for case in data_set.cases(root)]
    wanted = _check(material.chosen, names) or evenly(names, material.images or images)
    # Read once more: a whole set of large photographs would not fit into memory.
    found = {case.name: case for case in data_set.cases(root) if case.name in wanted}
    shown = [found[each] for each in wanted]
    systems = dict(find_systems(material.models, both_paths=False))
    columns = len(systems) + (shown[0].clean is not None)
    figure = Figure(figsize=(2.2 * columns, 1.9 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for row, case in zip(grid, shown, strict=True):
        panels = [_panel(system, case) for system in systems.values()]
        if case.clean is not None:
            panels.append((case.clean, "PSNR / SSIM"))
        for axes, (image, text) in zip(row, panels, strict=True):
            axes.imshow(pixels(image))
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(text, fontsize="small")
    for axes, title in zip(grid[0], [*systems, "target"][:columns], strict=True):
        axes.set_title(title, fontsize="small")
    return figure


def _check(chosen: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    if missing := [name for name in chosen if name not in names]:
        raise KddnError(
            f"there is no image {missing[0]} among {len(names)}; they are called "
            f"{', '.join(names[:3])} ..."
        )
    return chosen


def _panel(system: System, case: Case) -> tuple[Tensor, str]:
    prediction = system(case.hazy)
    if case.clean is None:
        return prediction, ""
    psnr, ssim = _PROTOCOL.measure(prediction, case.clean)
    return prediction, f"{psnr.item():.2f} / {ssim.item():.4f}"


figure4 = partial(draw, data="d-hazy-middlebury", instead=("sots-indoor", "nyu"), images=4)
figure7 = partial(draw, data="o-haze", instead=("outdoor",), images=3)
figure9 = partial(draw, data="real", instead=("rtts", "hsts-real"), images=5)
figure10 = partial(draw, data="dense-haze", instead=("real", "nyu"), images=1)
