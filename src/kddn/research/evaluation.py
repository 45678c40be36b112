"""Systems on data sets, by named protocols, through the runtime that users run.

Several images share a scene, so the 95% intervals resample scenes, not images.
"""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import islice
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
from kddn.errors import KddnError
from kddn.priors.dark_channel import dark_channel
from kddn.priors.filters import gray
from kddn.research.data.sets import Case, find_data_set
from kddn.research.protocols import PROTOCOLS
from kddn.research.weights import load_network

System = Callable[[Tensor], Tensor]
"""Removes haze from `1 3 h w` in [0, 1], giving as much, clamped or not."""


@dataclass(frozen=True)
class Score:
    """How well one image came out."""

    data: str
    """The data set."""
    protocol: str
    """How it was measured."""
    system: str
    """What removed the haze, and by which path."""
    scene: str
    """What intervals resample."""
    image: str
    """Its name."""
    psnr: float
    """dB."""
    ssim: float
    """At most 1."""
    seconds: float
    """Time to remove the haze, on the machine at hand."""


@dataclass(frozen=True)
class Look:
    """What can be said of a picture without ground truth."""

    data: str
    system: str
    image: str
    contrast: float
    """Mean gradient of the luma, relative to the hazy picture's."""
    saturated: float
    """Share of pixels with a channel at 0 or 1 that was not there in the hazy picture."""
    dark_channel: float
    """Mean dark channel: of a clear outdoor picture, near 0."""
    seconds: float


@dataclass(frozen=True)
class Summary:
    """Means over all images, with the ends of their 95% intervals."""

    data: str
    protocol: str
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
    data: Mapping[str, Path],
    models: Sequence[str],
    *,
    protocols: Sequence[str] = ("full",),
    output: Path | None = None,
    images: int | None = None,
    device: str = "auto",
) -> list[Summary]:
    """Measure models, print tables, and write `images.csv`, `summary.csv` and, for pictures
    without ground truth, `looks.csv`.

    Args:
        data: Names of data sets, each with its folder.
        models: Names, `.onnx` files, or weights (`.safetensors`, `.ckpt`) of our own networks and
            of compared systems, which run in PyTorch.
        protocols: How to measure.
        output: Folder for the files; none are written without.
        images: How many images of each set to use, from the first.
        device: Where the models run.

    Returns:
        A row a data set, protocol and system: the hazy input, then each model by each of its paths.

    Raises:
        KddnError: If there is no such data set, protocol or model, or an image cannot be read.
    """  # noqa: D205
    sets = {name: find_data_set(name) for name in data}
    _check("protocol", protocols, PROTOCOLS)
    systems = dict(_systems(models, device))
    cases = (case for name, root in data.items() for case in islice(sets[name].cases(root), images))
    results = list(score(systems, track(cases, "Images"), protocols))
    scores = [result for result in results if isinstance(result, Score)]
    looks = [result for result in results if isinstance(result, Look)]
    summaries = summarize(scores)
    if summaries:
        show(_table(summaries))
    if looks:
        show(_looks_table(looks))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_rows(output / "images.csv", scores)
        write_rows(output / "summary.csv", summaries)
        write_rows(output / "looks.csv", looks)
    return summaries


def score(
    systems: Mapping[str, System], cases: Iterable[Case], protocols: Sequence[str] = ("full",)
) -> Iterator[Score | Look]:
    """Score every system on every image, by every protocol."""
    for case in cases:
        for name, system in systems.items():
            began = time.perf_counter()
            clear = system(case.hazy)
            seconds = time.perf_counter() - began
            if case.clean is None:
                yield _look(case, name, clear, seconds)
                continue
            for protocol_name in protocols:
                protocol = PROTOCOLS[protocol_name]
                takes = protocol.takes(case.hazy)
                judged = clear if takes else protocol.run(system, case.hazy)
                psnr, ssim = protocol.measure(judged, case.clean)
                yield Score(
                    case.data,
                    protocol_name,
                    name,
                    case.scene,
                    case.name,
                    psnr.item(),
                    ssim.item(),
                    seconds,
                )


def summarize(scores: Sequence[Score]) -> list[Summary]:
    """Means of each system's scores on each set by each protocol, in the order they come in."""
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for s in scores:
        groups.setdefault((s.data, s.protocol, s.system), []).append(s)
    return [_summary(group) for group in groups.values()]


def _summary(scores: Sequence[Score]) -> Summary:
    psnrs, ssims = by_scene(scores).T
    first = scores[0]
    return Summary(
        first.data,
        first.protocol,
        first.system,
        len(scores),
        float(psnrs.mean()),
        *bootstrap(psnrs),
        float(ssims.mean()),
        *bootstrap(ssims),
        float(np.median([score.seconds for score in scores])),
    )


def by_scene(scores: Sequence[Score]) -> NDArray[np.float64]:
    """Mean PSNR and SSIM of each scene, `scenes 2`, in the order the scenes come in.

    An image equal to the truth counts as 100 dB, so that means stay finite.
    """
    scenes: dict[str, list[tuple[float, float]]] = {}
    for s in scores:
        scenes.setdefault(s.scene, []).append((min(s.psnr, 100.0), s.ssim))
    return np.array([np.mean(values, axis=0) for values in scenes.values()])


def bootstrap(values: NDArray[np.floating], *, resamples: int = 2000) -> tuple[float, float]:
    """Ends of the 95% interval of the mean of values, one a scene, by resampling them."""
    draws = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def network_system(weights: Path) -> System:
    """A network that a file of weights holds, in PyTorch."""
    network = load_network(weights)

    def dehaze(hazy: Tensor) -> Tensor:
        with torch.inference_mode():
            clear: Tensor = network(hazy)
        return clear

    return dehaze


def _systems(models: Sequence[str], device: str) -> Iterator[tuple[str, System]]:
    yield "hazy", lambda hazy: hazy
    for name in models:
        if Path(name).suffix in (".safetensors", ".ckpt"):
            yield Path(name).stem, network_system(Path(name))
            continue
        dehazer = Dehazer(name, device)
        if dehazer.working_size < 620:
            yield f"{dehazer.model.name} @{dehazer.working_size}", runtime_system(dehazer)
        yield f"{dehazer.model.name} full", runtime_system(dehazer, full_resolution=True)


def runtime_system(dehazer: Dehazer, *, full_resolution: bool = False) -> System:
    """The runtime, as a person meets it: 8 bit in, 8 bit out."""

    def dehaze(hazy: Tensor) -> Tensor:
        picture = (hazy[0] * 255).round().byte().permute(1, 2, 0).numpy()
        clear = dehazer(picture, full_resolution=full_resolution)
        return torch.from_numpy(clear).permute(2, 0, 1)[None].float() / 255

    return dehaze


def _look(case: Case, system: str, clear: Tensor, seconds: float) -> Look:
    before, after = (image[0].clamp(0, 1).permute(1, 2, 0).numpy() for image in (case.hazy, clear))
    ends = [(image <= 0.5 / 255) | (image >= 1 - 0.5 / 255) for image in (before, after)]
    return Look(
        case.data,
        system,
        case.name,
        _gradient(after) / max(_gradient(before), 1e-9),
        float((ends[1] & ~ends[0]).any(axis=2).mean()),
        float(dark_channel(after).mean()),
        seconds,
    )


def _gradient(image: NDArray[np.float32]) -> float:
    luma = gray(image)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def _check(kind: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise KddnError(f"there is no {kind} {name!r}; there are {', '.join(known)}")


def _table(summaries: Sequence[Summary]) -> Table:
    table = Table(
        "data", "protocol", "system", "images", "PSNR, dB (95%)", "SSIM (95%)", "s an image",
        box=None,
    )  # fmt: skip
    for row in summaries:
        table.add_row(
            row.data,
            row.protocol,
            row.system,
            str(row.images),
            f"{row.psnr:.2f} ({row.psnr_low:.2f} to {row.psnr_high:.2f})",
            f"{row.ssim:.4f} ({row.ssim_low:.4f} to {row.ssim_high:.4f})",
            f"{row.seconds:.3f}",
        )
    return table


def _looks_table(looks: Sequence[Look]) -> Table:
    table = Table("data", "system", "images", "contrast", "saturated", "dark channel", box=None)
    for system in dict.fromkeys(look.system for look in looks):
        mine = [look for look in looks if look.system == system]
        table.add_row(
            mine[0].data,
            system,
            str(len(mine)),
            f"x{np.mean([look.contrast for look in mine]):.2f}",
            f"{np.mean([look.saturated for look in mine]):.2%}",
            f"{np.mean([look.dark_channel for look in mine]):.3f}",
        )
    return table


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write rows, all of one dataclass, as CSV; without rows, no file."""
    if not rows:
        return
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(rows[0]))
        for row in rows:
            writer.writerow(f"{v:.5g}" if isinstance(v, float) else v for v in astuple(row))
