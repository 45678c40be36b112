"""`kddn evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kddn.cli._options import AT_LEAST_ONE, Several
from kddn.cli._research import named_paths, research
from kddn.inference.models import DEFAULT


def evaluate(
    *,
    data: Several = None,
    root: Path | None = None,
    model: Several = None,
    protocol: Several = None,
    metric: Several = None,
    vgg: Path | None = None,
    output: Path | None = None,
    beside: Path | None = None,
    images: Annotated[int | None, AT_LEAST_ONE] = None,
    full_resolution: bool = True,
    device: str = "auto",
) -> None:
    """Measure models on data sets: PSNR and SSIM, with 95% intervals, beside the hazy input.

    Args:
        data: A data set, as `nyu`, whose folder is --root, or `nyu=FOLDER`; may be given several
            times. `kddn data list` names them all; nyu is the default.
        root: Folder of the data set.
        model: A model's name, its .onnx file, or weights (.safetensors, .ckpt) of a network to run
            in PyTorch, compared systems too; may be given several times.
        protocol: full, kddn, ffa, grid or dehazeformer; may be given several times.
        metric: Beside PSNR and SSIM: ms-ssim or ciede2000; may be given several times.
        vgg: torchvision's VGG19 file, or VGG16: measures the distance of its features too.
        output: A folder for `images.csv`, `summary.csv`, and `evaluation.json` with versions and
            checksums.
        beside: An earlier --output, the same one too, whose rows of other models come before the
            new ones.
        images: How many images of each data set to use, from the first.
        full_resolution: Whether models of the runtime are measured at full resolution too, beside
            the working size that users get.
        device: auto, cpu, cuda, directml or coreml.
    """
    folders = named_paths(data or ["nyu"], root)
    found = research("evaluation.evaluate").evaluate(
        folders,
        model or ["dcp", DEFAULT],
        protocols=protocol or ["full"],
        metrics=metric or [],
        vgg=vgg,
        output=output,
        beside=beside,
        images=images,
        full_resolution=full_resolution,
        device=device,
    )
    reports = research("evaluation.reports")
    console = Console()
    if not console.is_terminal:  # no name is to be cut off for a width that nobody has
        console = Console(width=_WIDE)
    if found.summaries:
        console.print(_table(reports.cells(found.summaries)))
    if found.no_reference:
        console.print(_table(reports.no_reference_cells(found.no_reference)))


_WIDE = 1000
"""Letters in a line of what goes to a file or a pipe, at most."""


def _table(cells: Sequence[Sequence[str]]) -> Table:
    heads, *rows = cells
    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*map(escape, row))
    return table
