"""`kddn export`."""

from pathlib import Path
from typing import Annotated

from kddn.cli._options import AT_LEAST_ONE, Flag
from kddn.cli._research import research


def export(
    weights: Path,
    output: Path,
    /,
    *,
    working_size: Annotated[int, AT_LEAST_ONE],
    summary: str,
    trained_on: str = "",
    licence: str = "",
    half: Flag = False,
    overwrite: Flag = False,
) -> None:
    """Write trained weights as a model to dehaze with: ONNX and its card.

    Args:
        weights: `weights.safetensors` or `last.ckpt` of a training run.
        output: The .onnx file; its card is written beside it.
        working_size: Longest side, in pixels, that the model estimates haze at.
        summary: One sentence on what it is for.
        trained_on: The data it learned from, for its card.
        licence: Of the weights, for its card.
        half: Store 16 bits a weight: half the size; it is computed with in 32 bits.
        overwrite: Replace files that exist already.
    """
    research("export").export(
        weights,
        output,
        working_size=working_size,
        summary=summary,
        trained_on=trained_on,
        licence=licence,
        half=half,
        overwrite=overwrite,
    )
    print(output)
