"""Systems on data sets, by named protocols, through the runtime that users run."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kddn import Dehazer
from kddn.errors import KddnError, ModelError
from kddn.filters import gray
from kddn.priors.dark_channel import dark_channel
from kddn.research.data.sets import Case, find_data_set
from kddn.research.evaluation import reports
from kddn.research.evaluation.metrics import ciede2000, ms_ssim, perceptual_distance
from kddn.research.evaluation.protocols import PROTOCOLS
from kddn.research.evaluation.scores import NoReference, Score, Summary, summarize
from kddn.research.haze import fade
from kddn.research.nets.checkpoints import is_weights, load_network
from kddn.research.nets.vgg import load_vgg

System = Callable[[Tensor], Tensor]
"""Removes haze from `1 3 h w` in [0, 1], giving as much, clamped or not."""

Metric = Callable[[Tensor, Tensor], Tensor]
"""One figure an image, of a prediction and its target, `b 3 h w` in [0, 1]."""

METRICS: dict[str, Metric] = {"ms-ssim": ms_ssim, "ciede2000": ciede2000}
"""What can be measured beside PSNR and SSIM, the same by every protocol. One more, `vgg`, needs
weights: `kddn.research.evaluation.metrics.perceptual_distance`."""


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
) -> list[Summary]:
    """Measure models, print tables, and write what was found.

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

    Returns:
        A row a data set, protocol and system: the hazy input, then each model by each of its paths.

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
    files = {name: reports.checksum_of(name) for name in models}  # which may change meanwhile
    checksums = reports.Checksums()
    cases = (case for name, root in data.items() for case in islice(sets[name].cases(root), images))
    seen = checksums.of(reports.watched(cases))
    found = score(systems, seen, protocols, more)
    earlier = None if beside is None else reports.Earlier(beside)
    if earlier is not None:
        earlier.check_names(files)
        kept = list(earlier.rows(data, systems, protocols, ["psnr", "ssim", *more], files))
        found = chain(kept, earlier.checked(found))
    results = list(found if output is None else reports.written(found, output))
    if earlier is not None:
        results.sort(key=_place(result.data for result in results))
    scores = [result for result in results if isinstance(result, Score)]
    unreferenced = [result for result in results if isinstance(result, NoReference)]
    summaries = summarize(scores)
    reports.print_tables(summaries, unreferenced)
    if output is not None:
        reports.write_rows(output / "summary.csv", summaries)
        if summaries:
            (output / "summary.md").write_text(reports.markdown(summaries), "utf-8")
        if unreferenced:
            table = reports.no_reference_markdown(unreferenced)
            (output / "no-reference.md").write_text(table, "utf-8")
        reports.remove_others(output, scored=bool(scores), looked_at=bool(unreferenced))
        reports.write_record(output / "evaluation.json", files, checksums, earlier)
    return summaries


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


def network_system(weights: Path, device: str = "auto") -> System:
    """A network that a file of weights holds, in PyTorch.

    Args:
        weights: The file.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: If the file cannot be used, or there is no such device.
    """
    cuda = torch.cuda.is_available()
    if device not in ("auto", "cpu", *["cuda"] * cuda):
        raise ModelError(f"PyTorch has no device {device!r} here; use auto{' or cuda' * cuda}")
    place = torch.device("cuda" if cuda and device != "cpu" else "cpu")
    return system_of(load_network(weights), place)


def system_of(network: nn.Module, place: torch.device | None = None) -> System:
    """A network in PyTorch, on a device; the CPU by default."""
    place = place or torch.device("cpu")
    network = network.eval().to(place)

    def dehaze(hazy: Tensor) -> Tensor:
        with torch.inference_mode():
            prediction: Tensor = network(hazy.to(place))
        return prediction.cpu()

    return dehaze


def find_systems(
    models: Sequence[str], device: str = "auto", *, both_paths: bool = True
) -> Iterator[tuple[str, System]]:
    """The hazy input, then each model, as `evaluate` takes them.

    Args:
        models: Names, `.onnx` files or weights.
        device: Where the models run.
        both_paths: Whether models of the runtime come at full resolution too, beside the working
            size that users get.
    """
    yield "hazy", lambda hazy: hazy
    stems = Counter(["hazy", *(Path(name).stem for name in dict.fromkeys(models))])
    for name in models:
        called = Path(name).stem if stems[Path(name).stem] == 1 else name
        if is_weights(name):
            yield called, network_system(Path(name), device)
            continue
        dehazer = Dehazer(name, device)
        yield f"{called} @{dehazer.working_size}", runtime_system(dehazer)
        if both_paths:
            yield f"{called} full", runtime_system(dehazer, full_resolution=True)


def runtime_system(dehazer: Dehazer, *, full_resolution: bool = False) -> System:
    """The runtime, as a person meets it: 8 bit in, 8 bit out."""

    def dehaze(hazy: Tensor) -> Tensor:
        picture = (hazy[0] * 255).round().byte().permute(1, 2, 0).numpy()
        prediction = dehazer(picture, full_resolution=full_resolution)
        return torch.from_numpy(prediction).permute(2, 0, 1)[None].float() / 255

    return dehaze


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


def _fade(image: NDArray[np.float32]) -> float | None:
    try:
        return fade((image * 255).round().astype(np.uint8))
    except ImportError:
        return None


def _gradient(image: NDArray[np.float32]) -> float:
    luma = gray(image)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def _check(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise KddnError(f"there is no {kind} {name!r}; there are {', '.join(known)}")
