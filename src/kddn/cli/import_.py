"""`kddn import`."""

from pathlib import Path

from kddn.cli._options import Flag
from kddn.cli._research import research
from kddn.errors import ModelError


def import_weights(
    weights: Path,
    output: Path,
    /,
    *,
    network: str | None = None,
    overwrite: Flag = False,
) -> None:
    """Write weights that another project saved as a file that every command here takes.

    No code that the file names is run: a whole module, as older projects released it, becomes its
    tensors alone.

    Args:
        weights: A .pth, .pt, .ckpt or .safetensors file.
        output: The .safetensors file.
        network: Which it is, such as `teacher/authors`; by default told by names and shapes.
        overwrite: Replace a file that exists already.
    """
    if output.suffix != ".safetensors":
        raise ModelError(f"{output}: the name must end in .safetensors; `kddn export` makes models")
    if output.exists() and not overwrite:
        raise ModelError(f"{output} exists already; ask to overwrite, or name another output")
    built = research("nets.foreign").load_foreign(weights, network)
    research("nets.checkpoints").save_network(built, output)
    print(output)
