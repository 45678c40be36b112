"""Networks in files: safetensors whose metadata says what was built, checkpoints, and ONNX."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.inference.models import find_model
from kddn.research.nets.baselines import BASELINES
from kddn.research.nets.registry import ARCHITECTURES, describe, rebuild

PREFIX = "network."
"""Before the names of a network's tensors, in checkpoints and in ONNX files."""

HALF = "_half"
"""Behind the names of tensors that an ONNX file stores in 16 bits."""


def save_network(network: nn.Module, path: Path) -> None:
    """Write weights and shape to a safetensors file.

    Args:
        network: What to save.
        path: The file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(network.state_dict(), path, describe(network))


def save_tensors(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors to a safetensors file, those that share memory once each."""
    # Layers may be used twice, under two names.
    places = Counter(tensor.untyped_storage().data_ptr() for tensor in state.values())
    apart = {
        name: tensor.clone() if places[tensor.untyped_storage().data_ptr()] > 1 else tensor
        for name, tensor in state.items()
    }
    save_file({name: tensor.contiguous().cpu() for name, tensor in apart.items()}, path, metadata)


SHIPPED = "kddn:"
"""Before the name of weights that are in the package."""

_SHIPPED = Path(__file__).parents[1] / "weights"
"""Those that no picture is dehazed with: teachers."""


def find_weights(path: Path) -> Path:
    """The file of weights: a path is that already, `kddn:NAME` is in the package.

    `kddn:kddn-photo` is the network of that model, `kddn:teacher` our best teacher.

    Raises:
        ModelError: If the package has no weights of that name.
    """
    if not str(path).startswith(SHIPPED):
        return path
    name = str(path).removeprefix(SHIPPED)
    if (file := _SHIPPED / f"{name}.safetensors").is_file():
        return file
    model = find_model(name)
    if model.path is None:
        raise ModelError(f"{name} has no weights to load")
    return model.path


def is_weights(name: str) -> bool:
    """Whether a system is asked for by its weights, to run in PyTorch, rather than as a model."""
    return name.startswith(SHIPPED) or Path(name).suffix in (".safetensors", ".ckpt")


def load_network(path: Path) -> nn.Module:
    """Build the network that a file holds, in eval mode.

    What it holds is told by the file or its card, or of compared systems' released weights by the
    names and shapes of their tensors.

    Args:
        path: A `.safetensors` file, a training `.ckpt`, or the `.onnx` file of an exported model,
            which has its card beside it; or `kddn:NAME`, see `find_weights`.

    Raises:
        ModelError: If the file is missing, unreadable, or does not say what it holds.
    """
    path = find_weights(path)
    if not path.is_file():
        raise ModelError(
            f"{path} does not exist; give a .safetensors or .ckpt file of a run, or an .onnx file"
        )
    state, metadata = _READERS.get(path.suffix, read_weights)(path)
    said = metadata.get("kind") in ARCHITECTURES
    network = None if said else _find_baseline(state)
    try:
        network = network or rebuild(metadata)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error
    if difference := first_difference(network.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit the network it names: {difference}")
    network.load_state_dict({name: _without_denormals(t) for name, t in state.items()})
    return network.eval()


def first_difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """How tensors do not fit a network, told of the first that does not; None if they do."""
    for name, tensor in wanted.items():
        if name not in found:
            return f"it has no {name}"
        if found[name].shape != tensor.shape:
            shapes = (" x ".join(map(str, each.shape)) for each in (found[name], tensor))
            return f"its {name} is {' rather than '.join(shapes)}"
        if not found[name].isfinite().all():
            return f"its {name} holds values that are not finite"
    return next((f"{name} has no place in it" for name in found if name not in wanted), None)


def _find_baseline(state: dict[str, Tensor]) -> nn.Module | None:
    """The compared system that has tensors of just these names and shapes."""
    shapes = {name: tensor.shape for name, tensor in state.items()}
    for baseline in BASELINES.values():
        if {name: tensor.shape for name, tensor in wanted_tensors(baseline).items()} == shapes:
            return baseline()
    return None


@cache
def wanted_tensors(network: Callable[..., nn.Module], *config: object) -> dict[str, Tensor]:
    """Those that a network has, without their values: for names and shapes."""
    with torch.device("meta"):
        return network(*config).state_dict()


def _without_denormals(weights: Tensor) -> Tensor:
    """Numbers too small to matter as 0: many processors take long over each.

    Weight decay leaves them behind: nearly half of AOD-Net's released weights are such numbers.
    """
    if not weights.is_floating_point():  # of batch norms, how many batches they have seen
        return weights
    return torch.where(weights.abs() < torch.finfo(weights.dtype).tiny, 0, weights)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and what it says of itself.

    Raises:
        ModelError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        hint = "; see `kddn import` for others' files" if path.suffix != ".safetensors" else ""
        raise ModelError(f"{path} is not a readable safetensors file ({error}){hint}") from error


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} is no checkpoint of ours, or damaged ({error}); see `kddn import` for others'"
        ) from error
    if not isinstance(checkpoint, dict):
        raise ModelError(f"{path} is no checkpoint of ours; see `kddn import` for others'")
    return network_state(checkpoint)


def _read_onnx(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    card = path.with_suffix(".json")
    try:
        network = json.loads(card.read_text("utf-8", "replace"))["network"]
        description = {"kind": network["kind"], "config": json.dumps(network.get("config"))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{card} does not say which network {path} holds ({error!r})") from error
    try:
        tensors = onnx.load(path).graph.initializer
    except Exception as error:  # protobuf's errors share no base class
        raise ModelError(f"{path} is not a readable ONNX file ({error})") from error
    state = {
        tensor.name.removeprefix(PREFIX).removesuffix(HALF): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).copy()
        ).float()
        for tensor in tensors
        if tensor.name.startswith(PREFIX)
    }
    return state, description


_READERS = {".ckpt": _read_checkpoint, ".onnx": _read_onnx}
"""What reads a file of an ending: the weights, and what `describe` says of the network."""


def network_state(checkpoint: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The network's weights in a training checkpoint, and what `describe` says of it."""
    state = {
        name.removeprefix(PREFIX): value.contiguous()
        for name, value in checkpoint.get("state_dict", {}).items()
        if name.startswith(PREFIX)
    }
    return state, checkpoint.get("network", {})
