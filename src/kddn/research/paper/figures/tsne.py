"""Figure 1: what a student's features look like among the teacher's, with and without its help."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from torch import Tensor, nn

from kddn.research.data.batches import resize
from kddn.research.data.sets import Case, find_data_set
from kddn.research.losses.distillation import TSNE_PAIRS
from kddn.research.nets.checkpoints import load_network
from kddn.research.nets.features import run_tapped
from kddn.research.paper.figures.material import Material

PAIR = TSNE_PAIRS[1]
"""The fourth group against the second block."""

Features = NDArray[np.float64]
"""`n c`: one row a place of an image, or an image."""


def draw(material: Material) -> Figure:
    """t-SNE of features of 100 images, of students trained without and with a teacher.

    Needs `weights` `without`, `with` and `teacher`, and `nyu` or `sots-indoor`. Images are halved;
    each gives the mean of its feature map. A student's features first go through the pointwise
    convolution `g` of equation 5, fitted by least squares for each student alike, since without one
    its channels are nobody's. Under each panel, the fraction of the teacher's variance that is left
    after it.
    """
    name, root = material.only_data("sots-indoor", "nyu")
    teacher = load_network(material.weight("teacher"))
    students = {part: load_network(material.weight(part)) for part in ("without", "with")}
    count = material.images or 100
    cases = list(islice(_two_a_scene(find_data_set(name).cases(root)), count))
    figure = Figure(figsize=(8, 4.3), layout="constrained")
    for axes, (part, student) in zip(figure.subplots(1, 2), students.items(), strict=True):
        ours, theirs, left = project(student, teacher, cases)
        both = TSNE(perplexity=min(30, len(cases) / 3), random_state=0).fit_transform(
            np.concatenate([ours, theirs])
        )
        axes.scatter(*both[: len(ours)].T, s=12, label="student, hazy input")
        axes.scatter(*both[len(ours) :].T, s=12, label="teacher, clean input")
        axes.set(title=f"{part} the teacher", xticks=[], yticks=[])
        axes.set_xlabel(f"variance left: {left:.0%}")
    axes.legend(loc="best", fontsize="small")
    return figure


def project(
    student: nn.Module, teacher: nn.Module, cases: list[Case]
) -> tuple[Features, Features, float]:
    """Means of the student's projected features and of the teacher's, an image a row.

    Returns:
        The student's, the teacher's, and the fraction of the teacher's variance, place by place,
        that the projection does not explain.
    """
    ours, theirs = zip(*(_features(student, teacher, case) for case in cases), strict=True)
    x, y = np.concatenate(ours), np.concatenate(theirs)
    with_bias = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    g, *_ = np.linalg.lstsq(with_bias, y, rcond=None)
    fitted = with_bias @ g
    left = float(((fitted - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())
    ends = np.cumsum([len(rows) for rows in ours])[:-1]
    means = [np.array([p.mean(0) for p in np.split(rows, ends)]) for rows in (fitted, y)]
    return means[0], means[1], left


def _features(student: nn.Module, teacher: nn.Module, case: Case) -> tuple[Features, Features]:
    """Both networks' features of an image, every place a row."""
    assert case.clean is not None
    with torch.inference_mode():
        _, ours = run_tapped(student, resize(case.hazy, 0.5), [PAIR.student])
        _, theirs = run_tapped(teacher, resize(case.clean, 0.5), [PAIR.teacher])
    return _rows(ours[PAIR.student]), _rows(theirs[PAIR.teacher])


def _rows(features: Tensor) -> Features:
    rows: Features = features[0, :, ::4, ::4].flatten(1).T.double().numpy()
    return rows


def _two_a_scene(cases: Iterator[Case]) -> Iterator[Case]:
    """Two images of each scene, in turn through its hazes."""
    seen: dict[str, int] = {}
    for case in cases:
        place = seen[case.scene] = seen.get(case.scene, -1) + 1
        if place % 5 == len(seen) % 5:
            yield case
