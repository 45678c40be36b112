"""What figures are made of: data, trained weights, logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kddn.errors import DataError, KddnError
from kddn.research.data.sets import find_data_set

T = TypeVar("T")

Against = Literal["step", "minutes"]
"""What curves are drawn against."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a figure is made of. Each figure says what it needs."""

    data: Mapping[str, Path] = field(default_factory=dict)
    """Folders of data sets, by name."""
    weights: Mapping[str, Path] = field(default_factory=dict)
    """Files of weights, by the part that they play."""
    models: Sequence[str] = ()
    """Systems to compare, as `kddn evaluate` takes them."""
    logs: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """`metrics.csv` files of runs, those of one setting under its name."""
    against: Against = "step"
    """What curves are drawn against."""
    images: int | None = None
    """How many images to show, or to compute from."""
    chosen: Sequence[str] = ()
    """Names of the images to show, in their order, for figures that compare systems."""

    def only_data(self, wanted: str, *others: str) -> tuple[str, Path]:
        """Name and folder of the data set to draw from.

        Args:
            wanted: The paper's.
            others: What can stand in for it.

        Raises:
            DataError: If none of them is given.
        """
        for name in (wanted, *others):
            if name in self.data:
                return name, self.data[name]
        source = find_data_set(wanted).source
        instead = f", or instead of it {' or '.join(others)}" if others else ""
        raise DataError(
            f"this figure needs {wanted} (from {source}){instead}; give `data` NAME=FOLDER"
        )

    def weight(self, part: str) -> Path:
        """The file of weights that plays a part.

        Raises:
            KddnError: If it is not given.
        """
        if part not in self.weights:
            raise KddnError(f"this figure needs weights: give `weights` {part}=FILE")
        return self.weights[part]


def pixels(image: Tensor) -> NDArray[np.float32]:
    """The first image of a batch, `b c h w`, as matplotlib shows it: `h w 3` or `h w`."""
    shown: NDArray[np.float32] = image[0].detach().float().clamp(0, 1).permute(1, 2, 0).numpy()
    return shown[..., 0] if shown.shape[2] == 1 else shown


def evenly(items: Sequence[T], count: int) -> Sequence[T]:
    """So many of them, spread over all."""
    count = min(count, len(items))
    return items[:: max(1, len(items) // count)][:count]
