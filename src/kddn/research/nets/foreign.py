"""Weights that other projects saved, as networks of ours."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.research.nets import pickles
from kddn.research.nets.checkpoints import first_difference, read_weights, wanted_tensors
from kddn.research.nets.registry import ARCHITECTURES, Architecture

_AUTHORS_TEACHER = {
    "conv0": "encoder.0",
    "down.0": "encoder.1",
    "down.1": "encoder.2",
    "up.1": "decoder.1",
    "up.3": "decoder.3",
    "out": "decoder.4",
    **{
        f"res{block}.model.{conv}": f"backbone.block{block}.body.{conv}"
        for block in range(1, 7)
        for conv in range(2)
    },
}
"""Names of layers of the teacher in the authors' code, and here."""


def load_foreign(path: Path, network: str | None = None) -> nn.Module:
    """Build the network whose weights a file of another project holds, in eval mode.

    No code that the file names is run.

    Args:
        path: A state dict or a whole module, as `torch.save` or safetensors wrote it, also inside a
            checkpoint; its tensors may have a common prefix such as `module.`.
        network: Which it is, `ROLE/PRESET`, such as `teacher/authors`; by default the one with
            tensors of just these names and shapes.

    Raises:
        ModelError: If the file cannot be read, or holds another network: the first tensor that
            differs is named.
    """
    known = dict(_known())
    if network is not None and network not in known:
        raise ModelError(f"there is no network {network!r}; use {', '.join(known)}")
    asked = {network: known[network]} if network else known
    read = _read(path)
    states = (read, _without_prefix(read), _renamed(_without_prefix(read)))
    wanted = {
        name: wanted_tensors(architecture.network, *([] if config is None else [config]))
        for name, (architecture, config) in asked.items()
    }
    state, name = max(
        itertools.product(states, asked), key=lambda pair: _shared(pair[0], wanted[pair[1]])
    )
    architecture, config = asked[name]
    if difference := first_difference(wanted[name], state):
        raise ModelError(
            f"{path} holds no network that is known here, or is damaged; nearest is {name}, but "
            f"{difference}"
        )
    built = architecture.build(config)
    built.load_state_dict(state)
    return built.eval()


def _shared(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> int:
    """How many tensors have the names and shapes of a network's."""
    return sum(name in wanted and wanted[name].shape == found[name].shape for name in found)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    if path.suffix == ".safetensors":
        return read_weights(path)[0]
    try:
        found = pickles.tensors(pickles.load(path.read_bytes()))
    except (ModelError, OSError) as error:
        raise ModelError(f"{path}: {error}") from error
    if not found:
        raise ModelError(f"{path} holds no tensors")
    return found


def _known() -> Iterator[tuple[str, tuple[Architecture, object]]]:
    """All networks that have a name."""
    for architecture in ARCHITECTURES.values():
        for preset, config in architecture.presets.items():
            yield f"{architecture.role}/{preset}", (architecture, config)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without the parts that all of them begin with."""
    columns = zip(*(name.split(".")[:-1] for name in state), strict=False)
    common = itertools.takewhile(lambda column: len(set(column)) == 1, columns)
    length = sum(len(column[0]) + 1 for column in common)
    return {name[length:]: tensor for name, tensor in state.items()}


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names become ours."""
    if not all(f"{layer}.conv.weight" in state for layer in _AUTHORS_TEACHER):
        return state
    return {
        f"{_AUTHORS_TEACHER.get(layer, layer)}.conv.{part}": tensor
        for name, tensor in state.items()
        for layer, _, part in [name.rpartition(".conv.")]
    }
