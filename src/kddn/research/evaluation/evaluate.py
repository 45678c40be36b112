"""Systems on data sets, by named protocols, through the runtime that users run."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kddn.errors import KddnError
from kddn.filters import gray
from kddn.priors.dark_channel import dark_channel
from kddn.research.data.sets import Case, find_data_set
from kddn.research.evaluation import reports
from kddn.research.evaluation.earlier import Earlier
from kddn.research.evaluation.metrics import ciede2000, ms_ssim, perceptual_distance
from kddn.research.evaluation.protocols import PROTOCOLS
from kddn.research.evaluation.record import Checksums, checksum_of
from kddn.research.evaluation.rows import written
from kddn.research.evaluation.scores import NoReference, Score, Summary, summarize
from kddn.research.evaluation.systems import System, find_systems
from kddn.research.haze import fade
from kddn.research.nets.vgg import load_vgg

Metric = Callable[[Tensor, Tensor], Tensor]
"""One figure an image, of a prediction and its target, `b 3 h w` in [0, 1]."""

METRICS: dict[str, Metric] = {"ms-ssim": ms_ssim, "ciede2000": ciede2000}
"""What can be measured beside PSNR and SSIM, the same by every protocol. One more, `vgg`, needs
weights: `kddn.research.evaluation.metrics.perceptual_distance`."""


class Evaluation(NamedTuple):
    """What models did on data sets."""

    summaries: list[Summary]
    """A row a data set, protocol and system: the hazy input, then each model by each of its paths.
    """
    no_reference: list[NoReference]
    """A row a picture without ground truth and system."""


def evaluate(
    data: Mapping[str, Path],
    models: Sequence[str],
    *,
    protocols: Sequence[str] = ("full",),
    metrics: Sequence[str] = (),
    vgg: Path | None = None,
    output: Path | None = None,
    beside: Path | None = None,
    images: int | None = None,
    full_resolution: bool = True,
    device: str = "auto",
) -> Evaluation:
    """Measure models, and write what was found.

    Args:
        data: Names of data sets, each with its folder.
        models: Names, `.onnx` files, or weights (`.safetensors`, `.ckpt`) of our own networks and
            of compared systems (`kddn:NAME` where the package has them), which run in PyTorch.
        protocols: How to measure.
        metrics: What to measure beside PSNR and SSIM: names in `METRICS`.
        vgg: Weights of VGG, to measure the distance of its features too.
        output: Folder for `images.csv` and, of pictures without ground truth, `no-reference.csv`,
            both written while it goes on, with `.part` behind their names; and at its end
            `summary.csv` and `.md`, `no-reference.md`, and `evaluation.json` with versions and
            checksums. None are written without.
        beside: Output of an earlier evaluation, whose rows of other systems come before the new
            ones; it may be `output` itself.
        images: How many images of each set to use, from the first.
        full_resolution: Whether models of the runtime run at full resolution too, beside the
            working size that users get.
        device: Where the models run.

    Raises:
        KddnError: If there is no such data set, protocol, metric or model, an image cannot be
            read, or the earlier evaluation was of other images.
    """
    sets = {name: find_data_set(name) for name in data}
    _check("protocol", protocols, PROTOCOLS)
    _check("metric", metrics, METRICS)
    more = {name: METRICS[name] for name in metrics}
    if vgg is not None:
        more["vgg"] = partial(perceptual_distance, vgg=load_vgg(vgg))
    if output is not None:
        reports.check_folder(output)
    systems = dict(find_systems(models, device, both_paths=full_resolution))
    files = {name: checksum_of(name) for name in models}  # which may change meanwhile
    checksums = Checksums()
    cases = (case for name, root in data.items() for case in islice(sets[name].cases(root), images))
    found = score(systems, checksums.of(reports.watched(cases)), protocols, more)
    earlier = None if beside is None else Earlier(beside)
    if earlier is not None:
        earlier.check_names(files)
        kept = list(earlier.rows(data, systems, protocols, ["psnr", "ssim", *more], files))
        found = chain(kept, earlier.checked(found))
    results = list(found if output is None else written(found, output))
    if earlier is not None:
        results.sort(key=_place(result.data for result in results))
    if earlier is not None:
        earlier.check_pixels(results, checksums.record())
    summaries = summarize([result for result in results if isinstance(result, Score)])
    no_reference = [result for result in results if isinstance(result, NoReference)]
    if output is not None:
        reports.write_evaluation(output, summaries, no_reference, files, checksums, earlier)
    return Evaluation(summaries, no_reference)


def _place(data: Iterable[str]) -> Callable[[Score | NoReference], tuple[int, bool]]:
    """A key that sorts results by data sets, in the order in which these come, hazy input first."""
    places = {name: place for place, name in enumerate(dict.fromkeys(data))}
    return lambda result: (places[result.data], result.system != "hazy")


def score(
    systems: Mapping[str, System],
    cases: Iterable[Case],
    protocols: Sequence[str] = ("full",),
    metrics: Mapping[str, Metric] | None = None,
) -> Iterator[Score | NoReference]:
    """Score every system on every image, by every protocol."""
    for case in cases:
        for name, system in systems.items():
            began = time.perf_counter()
            prediction = system(case.hazy)
            seconds = time.perf_counter() - began
            if case.clean is None:
                yield _no_reference(case, name, prediction, seconds)
                continue
            with torch.inference_mode():
                more = {of: m(prediction, case.clean).item() for of, m in (metrics or {}).items()}
            for protocol_name in protocols:
                protocol = PROTOCOLS[protocol_name]
                takes = protocol.takes(case.hazy)
                judged = prediction if takes else protocol.run(system, case.hazy)
                psnr, ssim = protocol.measure(judged, case.clean)
                figures = {"psnr": psnr.item(), "ssim": ssim.item(), **more}
                yield Score(case.data, protocol_name, name, case.scene, case.name, figures, seconds)


def _no_reference(case: Case, system: str, prediction: Tensor, seconds: float) -> NoReference:
    before, after = (
        image[0].clamp(0, 1).permute(1, 2, 0).numpy() for image in (case.hazy, prediction)
    )
    ends = [(image <= 0.5 / 255) | (image >= 1 - 0.5 / 255) for image in (before, after)]
    return NoReference(
        case.data,
        system,
        case.name,
        _gradient(after) / max(_gradient(before), 1e-9),
        float((ends[1] & ~ends[0]).any(axis=2).mean()),
        float(dark_channel(after).mean()),
        _fade(after),
        seconds,
    )


_LEAST_FADE = 16
"""Pixels that a side must have: FADE looks at places of 8x8."""


def _fade(image: NDArray[np.float32]) -> float | None:
    """Fog density; None without `kddn[fade]`, and of what is too small or too flat to tell."""
    if min(image.shape[:2]) < _LEAST_FADE:
        return None
    try:
        density = fade((image * 255).round().astype(np.uint8))
    except ImportError:
        return None
    return density if math.isfinite(density) else None


def _gradient(image: NDArray[np.float32]) -> float:
    luma = gray(image)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def _check(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise KddnError(f"there is no {kind} {name!r}; there are {', '.join(known)}")
