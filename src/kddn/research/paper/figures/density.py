"""Figure 5: where the haze is, by either way of equation 6."""

from matplotlib.figure import Figure

from kddn.research.data import VALIDATION, load_nyu, sots_pair
from kddn.research.haze import density_from_residual, density_from_transmission
from kddn.research.paper.figures.material import Material, evenly, pixels


def draw(material: Material) -> Figure:
    """Hazy image `I`, clean image `J`, `psi1 = norm(1 - t)` and `psi2 = norm(|I_g - J_g|)`.

    Needs `nyu`, whose transmission is known. The haze is the densest of SOTS's.
    """
    _, root = material.only_data("nyu")
    ids = evenly(VALIDATION, material.images or 3)
    figure = Figure(figsize=(9, 1.9 * len(ids)), layout="constrained")
    grid = figure.subplots(len(ids), 4, squeeze=False)
    for row, reside_id in zip(grid, ids, strict=True):
        pair = sots_pair(load_nyu(root, [reside_id]), 0, 10)
        assert pair.transmission is not None
        densities = [
            density_from_transmission(pair.transmission),
            density_from_residual(pair.hazy, pair.clean),
        ]
        for axes, image in zip(row, [pair.hazy, pair.clean, *densities], strict=True):
            axes.imshow(pixels(image), cmap="jet", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
    titles = "hazy image I", "clean image J", "norm(1 - t)", "norm(|I$_g$ - J$_g$|)"
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    return figure
