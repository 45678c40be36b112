"""Figure 8: what the spatial weight of a block lets through."""

from itertools import islice

import torch
from matplotlib.figure import Figure
from torch import Tensor

from kddn.errors import ModelError
from kddn.research.data.sets import find_data_set
from kddn.research.nets import Student
from kddn.research.nets.checkpoints import load_network
from kddn.research.nets.features import run_tapped
from kddn.research.paper.figures.material import Material, pixels


def draw(material: Material) -> Figure:
    """Hazy image, and mean magnitude of a block's features before and after its spatial weight.

    Needs `weights` `student`, and `nyu` or `sots-indoor`. The block is the last of the first group.
    Each map is scaled to its own largest value.
    """
    name, root = material.only_data("sots-indoor", "nyu")
    student = load_network(material.weight("student"))
    if not isinstance(student, Student) or not student.config.spatially_weighted:
        raise ModelError("this figure needs a student whose blocks have a spatial weight")
    cases = find_data_set(name).cases
    in_all = sum(1 for _ in cases(root))
    count = min(material.images or 3, in_all)
    shown = list(islice(cases(root), in_all // count - 1, None, in_all // count))[:count]
    figure = Figure(figsize=(7, 1.9 * count), layout="constrained")
    grid = figure.subplots(count, 3, squeeze=False)
    for row, case in zip(grid, shown, strict=True):
        before, after = features(student, case.hazy)
        for axes, image in zip(row, (case.hazy, before, after), strict=True):
            axes.imshow(pixels(image), cmap="viridis")
            axes.set(xticks=[], yticks=[])
    titles = "hazy image", "before spatially weighting", "after spatially weighting"
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize="small")
    return figure


def features(student: Student, hazy: Tensor) -> tuple[Tensor, Tensor]:
    """Mean magnitude over channels of `y` and of `w(y) * y` (`SWRCAB`), `b 1 h/4 w/4` in [0, 1]."""
    block = f"backbone.group1.blocks.{student.config.blocks - 1}"
    with torch.inference_mode():
        _, taken = run_tapped(student, hazy, [f"{block}.body", f"{block}.spatial_weight"])
    y, weight = taken[f"{block}.body"], taken[f"{block}.spatial_weight"]
    maps = [image.abs().mean(1, keepdim=True) for image in (y, weight * y)]
    return maps[0] / maps[0].max(), maps[1] / maps[1].max()
