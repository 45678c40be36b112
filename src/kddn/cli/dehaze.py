"""`kddn dehaze`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import track

from kddn.dehazer import Dehazer
from kddn.errors import KddnError
from kddn.models import DEFAULT


def dehaze(
    pictures: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    strength: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 1.0,
    full_resolution: Annotated[bool, Parameter(negative=())] = False,
    model: str = DEFAULT,
    device: str = "auto",
    compare: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Remove haze from picture files.

    `photo.jpg` becomes `photo-dehazed.jpg` beside it. Size, format, orientation, EXIF, colour
    profile and transparency stay.

    Parameters
    ----------
    pictures
        Picture files.
    output
        The result's file, for one picture; its ending tells the format.
    overwrite
        Replace results that exist already.
    strength
        How much of the haze to remove, from 0 (none) to 1 (all that is found).
    full_resolution
        Run the network on all pixels rather than on a small copy: slow.
    model
        A model's name, as `kddn models` lists them, or an .onnx file.
    device
        auto, cpu, cuda, directml or coreml.
    compare
        Also write before and after side by side, as `photo-compared.jpg`.
    """
    if output is not None and len(pictures) > 1:
        raise KddnError("--output names one file, but there are several pictures; leave it out")
    dehazer = Dehazer(model, device)
    # Progress goes where errors go, so that a pipe gets the names of the new files and no more.
    console = Console(stderr=True, highlight=False)
    failed = 0
    hidden = len(pictures) == 1 or not console.is_terminal
    for picture in track(pictures, "Removing haze", console=console, disable=hidden):
        try:
            result = dehazer.file(
                picture,
                output,
                strength=strength,
                full_resolution=full_resolution,
                overwrite=overwrite,
            )
            print(result)
            if compare:
                print(_compare(picture, result, overwrite=overwrite))
        except KddnError as error:
            failed += 1
            console.print(f"kddn: {error}", style="red", markup=False, soft_wrap=True)
    if failed:
        sys.exit(1)


def _compare(before: Path, after: Path, *, overwrite: bool) -> Path:
    from kddn.compare import write_comparison

    path = before.with_stem(before.stem + "-compared")
    write_comparison(before, after, path, overwrite=overwrite)
    return path
