"""Models on the validation scenes, through the runtime that users run.

Protocol `full`: 620x460 RGB rounded to 8 bit as a PNG would hold it, PSNR and SSIM (11x11 gaussian,
sigma 1.5) at full size, averaged over images. Ten hazy images share a scene, so the 95% intervals
resample scenes, not images.
"""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich import print as show
from rich.progress import track
from rich.table import Table
from torch import Tensor

from kddn import Dehazer
from kddn.research.data import VALIDATION, load_nyu, sots_pair
from kddn.research.haze import SOTS_INDICES
from kddn.research.metrics import psnr, ssim
from kddn.research.weights import load_network

Picture = NDArray[np.uint8]
"""RGB `h w 3`."""


@dataclass(frozen=True)
class Score:
    """How well one image came out."""

    system: str
    """What removed the haze, and by which path."""
    scene: int
    """RESIDE's id."""
    haze: int
    """SOTS's index of the haze, 1 to 10."""
    psnr: float
    """dB."""
    ssim: float
    """At most 1."""
    seconds: float
    """Time to remove the haze, on the machine at hand."""


@dataclass(frozen=True)
class Summary:
    """Means over all images, with the ends of their 95% intervals."""

    system: str
    images: int
    psnr: float
    psnr_low: float
    psnr_high: float
    ssim: float
    ssim_low: float
    ssim_high: float
    seconds: float
    """Median."""


def evaluate(
    root: Path,
    models: Sequence[str],
    *,
    output: Path | None = None,
    scenes: int = len(VALIDATION),
    device: str = "auto",
) -> list[Summary]:
    """Measure models, print a table, and write `images.csv` and `summary.csv`.

    Args:
        root: Folder of NYU Depth V2's labelled pairs.
        models: Names, `.onnx` files, or weights (`.safetensors`, `.ckpt`) of our own networks and
            of compared systems, which run in PyTorch.
        output: Folder for the two files; none are written without.
        scenes: How many of the 50 validation scenes, from the first; ten images each.
        device: Where the models run.

    Returns:
        A row a system: the hazy input, then each model by each of its paths.
    """
    systems = dict(_systems(models, device))
    scores = list(score(systems, root, VALIDATION[:scenes]))
    summaries = [summarize([s for s in scores if s.system == name]) for name in systems]
    _show(summaries)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_rows(output / "images.csv", scores)
        write_rows(output / "summary.csv", summaries)
    return summaries


def score(
    systems: dict[str, Callable[[Picture], Picture]],
    root: Path,
    ids: Sequence[int],
    *,
    scale: float = 1.0,
) -> Iterator[Score]:
    """Score every system on every image of the given scenes, at a scale of their size."""
    loaded = load_nyu(root, ids)
    for index, scene in enumerate(track(ids, "Scenes")):
        for haze in SOTS_INDICES:
            pair = sots_pair(loaded, index, haze, scale=scale)
            hazy = (pair.hazy[0] * 255).round().byte().permute(1, 2, 0).numpy()
            for name, system in systems.items():
                began = time.perf_counter()
                clear = system(hazy)
                seconds = time.perf_counter() - began
                result = _batch(clear)
                yield Score(
                    name,
                    scene,
                    haze,
                    psnr(result, pair.clean).item(),
                    ssim(result, pair.clean).item(),
                    seconds,
                )


def bootstrap(values: NDArray[np.floating], *, resamples: int = 2000) -> tuple[float, float]:
    """Ends of the 95% interval of the mean of values, one a scene, by resampling them."""
    draws = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def summarize(scores: Sequence[Score]) -> Summary:
    """Means of one system's scores, with bootstrap intervals over scenes."""
    scenes = sorted({score.scene for score in scores})
    by_scene = np.array(
        [
            np.mean([(s.psnr, s.ssim) for s in scores if s.scene == scene], axis=0)
            for scene in scenes
        ]
    )  # scenes 2
    psnrs, ssims = by_scene.T
    return Summary(
        scores[0].system,
        len(scores),
        float(psnrs.mean()),
        *bootstrap(psnrs),
        float(ssims.mean()),
        *bootstrap(ssims),
        float(np.median([score.seconds for score in scores])),
    )


def _systems(
    models: Sequence[str], device: str
) -> Iterator[tuple[str, Callable[[Picture], Picture]]]:
    yield "hazy", lambda hazy: hazy
    for name in models:
        if Path(name).suffix in (".safetensors", ".ckpt"):
            yield Path(name).stem, network_system(Path(name))
            continue
        dehazer = Dehazer(name, device)
        if dehazer.working_size < 620:
            yield f"{dehazer.model.name} @{dehazer.working_size}", dehazer
        yield f"{dehazer.model.name} full", _full_resolution(dehazer)


def network_system(weights: Path) -> Callable[[Picture], Picture]:
    """A network in PyTorch as something that makes pictures of pictures."""
    network = load_network(weights)

    def dehaze(hazy: Picture) -> Picture:
        x = torch.from_numpy(hazy).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            clear = network(x)[0].clamp(0, 1)
        rounded: Picture = (clear * 255).round().byte().permute(1, 2, 0).numpy()
        return rounded

    return dehaze


def _full_resolution(dehazer: Dehazer) -> Callable[[Picture], Picture]:
    return lambda hazy: dehazer(hazy, full_resolution=True)


def _batch(picture: Picture) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def _show(summaries: Sequence[Summary]) -> None:
    table = Table("system", "images", "PSNR, dB (95%)", "SSIM (95%)", "s an image", box=None)
    for row in summaries:
        table.add_row(
            row.system,
            str(row.images),
            f"{row.psnr:.2f} ({row.psnr_low:.2f} to {row.psnr_high:.2f})",
            f"{row.ssim:.4f} ({row.ssim_low:.4f} to {row.ssim_high:.4f})",
            f"{row.seconds:.3f}",
        )
    show(table)


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write rows, all of one dataclass, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(rows[0]))
        for row in rows:
            writer.writerow(f"{v:.5g}" if isinstance(v, float) else v for v in astuple(row))
