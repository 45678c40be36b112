"""`kddn reproduce`."""

import sys
from inspect import signature
from pathlib import Path
from typing import Annotated, Literal

from kddn.cli._options import AT_LEAST_ONE, Several
from kddn.cli._research import named_paths, research
from kddn.errors import KddnError


def reproduce(
    what: Literal[
        "table1",
        "table2",
        "table3",
        "table4",
        "figure1",
        "figure4",
        "figure5",
        "figure6",
        "figure7",
        "figure8",
        "figure9",
        "figure10",
    ],
    /,
    *,
    root: Path | None = None,
    data: Several = None,
    weights: Several = None,
    model: Several = None,
    logs: Several = None,
    against: Literal["step", "minutes"] = "step",
    output: Path | None = None,
    seeds: Annotated[int, AT_LEAST_ONE] = 1,
    network: str = "paper",
    budget: float = 1.0,
    config: Several = None,
    teacher: Path | None = None,
    mid_teacher: Path | None = None,
    vgg: Path | None = None,
    scale: float = 1.0,
    scenes: Annotated[int, AT_LEAST_ONE] = 50,
    images: Annotated[int | None, AT_LEAST_ONE] = None,
    image: Several = None,
) -> None:
    """Make one of the paper's tables or figures again.

    For a table, train its rows, measure them, and compare with the paper; what is trained already
    is not trained again, so a stopped command goes on when repeated. A figure is drawn from
    weights, data or logs, and says what it needs.

    Args:
        what: Which table or figure.
        root: Folder of NYU Depth V2's labelled pairs, to train on, and for Tables 1 and 2, unless
            `data` is given, to measure on.
        data: A data set, as `sots-indoor=FOLDER`; for Tables 3 and 4 and figures, may be given
            several times. `nyu` can stand in for sots-indoor, and does in Tables 1 and 2 where no
            other is given. Table 4 also trains on `o-haze`.
        weights: For Tables 3 and 4, a system that is trained already, as `gfn=FILE`; for Figure 1,
            `with=FILE`, `without=FILE` and `teacher=FILE`; for Figure 8, `student=FILE`.
        model: For Figures 4, 7, 9 and 10, a system to compare, as `kddn evaluate` takes it; may be
            given several times.
        logs: For Figure 6, a run's metrics.csv under the setting's name, as `L1=FILE`; may be given
            several times, also with one name.
        against: For Figure 6, what PSNR is drawn against: steps, or minutes of training.
        output: Folder for the runs, `images.csv`, `table.csv` and `table.md`, or for a figure's
            files; by default under runs/reproduced.
        seeds: For Tables 1 and 2, runs a row.
        network: For Tables 1 and 2, the student: paper, authors, small, unet or unet-wide.
        budget: Fraction of each epoch's batches to train on, the same for every row.
        config: A recipe or YAML file that changes every run; may be given several times.
        teacher: Weights of the teacher; without, it is trained first.
        mid_teacher: Weights of Table 2's teacher of about 33 dB; without, it is trained first.
        vgg: torchvision's VGG19 file, or VGG16, for the rows with the perceptual loss.
        scale: For Tables 1 and 2, size of the validation images to measure on; 1 is the original.
        scenes: For Tables 1 and 2, how many of the 50 validation scenes to use, ten images each.
        images: For Tables 3 and 4 and figures, how many images of each data set to use.
        image: For Figures 4, 7, 9 and 10, the name of an image to show; may be given several times.
    """
    _check_given(
        what,
        root=root, weights=weights, model=model, logs=logs, against=against, seeds=seeds,
        network=network, budget=budget, config=config, teacher=teacher, mid_teacher=mid_teacher,
        vgg=vgg, scale=scale, scenes=scenes, images=images, image=image,
    )  # fmt: skip
    folders, files = named_paths(data or []), named_paths(weights or [])
    output = output or Path("runs/reproduced", what if what.startswith("table") else "figures")
    if what.startswith("figure"):
        curves: dict[str, list[Path]] = {}
        for entry in logs or []:
            [(name, path)] = named_paths([entry]).items()
            curves.setdefault(name, []).append(path)
        figures = research("paper.figures")
        material = figures.Material(
            data=folders,
            weights=files,
            models=model or [],
            logs=curves,
            against=against,
            images=images,
            chosen=image or (),
        )
        for path in figures.reproduce_figure(what, material, output):
            print(path)
        return
    teachers = {"teacher": teacher, "teacher-ohaze": teacher, "teacher-mid": mid_teacher}
    runs = research("paper.runs").Runs(
        root=root,
        ohaze=folders.get("o-haze") if what == "table4" else None,
        output=output,
        seeds=seeds,
        network=network,
        budget=budget,
        config=config or (),
        teachers={recipe: weights for recipe, weights in teachers.items() if weights},
        vgg=vgg,
    )
    if what in ("table3", "table4"):
        research("paper.systems").reproduce_systems(what, runs, folders, files, images=images)
    else:
        research("paper.ablations").reproduce(what, runs, folders, scale=scale, scenes=scenes)
    sys.stdout.write((output / "table.md").read_text("utf-8", "surrogateescape"))


_ABLATIONS = ("table1", "table2")
_TABLES = (*_ABLATIONS, "table3", "table4")
_SIDE_BY_SIDE = ("figure4", "figure7", "figure9", "figure10")
_USED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("root", "budget", "config", "teacher", "vgg"), _TABLES),
    **dict.fromkeys(("seeds", "network", "scale", "scenes"), _ABLATIONS),
    **dict.fromkeys(("model", "image"), _SIDE_BY_SIDE),
    **dict.fromkeys(("logs", "against"), ("figure6",)),
    "mid_teacher": ("table2",),
    "weights": ("table3", "table4", "figure1", "figure8"),
    "images": ("table3", "table4", "figure1", "figure5", "figure8", *_SIDE_BY_SIDE),
}
"""Tables and figures that an option means something to."""


def _check_given(what: str, **given: object) -> None:
    """See that nothing is asked for that would be passed over.

    Raises:
        KddnError: If something is.
    """
    usual = {name: each.default for name, each in signature(reproduce).parameters.items()}
    for name, value in given.items():
        if value != usual[name] and what not in _USED_BY[name]:
            raise KddnError(
                f"`{name}` means nothing to {what}, but to {', '.join(_USED_BY[name])}; leave it "
                "out"
            )
