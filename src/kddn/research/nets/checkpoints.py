"""Networks in files: safetensors whose metadata says what was built, checkpoints, and ONNX."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.inference.models import find_model
from kddn.research.nets import Teacher, TeacherConfig
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
    state = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    save_file(state, path, describe(network))


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
    state, metadata = _READERS.get(path.suffix, _read_weights)(path)
    said = metadata.get("kind") in ARCHITECTURES
    network = None if said else _find_baseline(state)
    try:
        network = network or rebuild(metadata)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error
    try:
        network.load_state_dict({name: _without_denormals(t) for name, t in state.items()})
    except RuntimeError as error:
        raise ModelError(f"{path}: weights do not fit the network it names: {error}") from error
    return network.eval()


def _find_baseline(state: dict[str, Tensor]) -> nn.Module | None:
    """The compared system that has tensors of just these names and shapes."""
    shapes = {name: tensor.shape for name, tensor in state.items()}
    for baseline in BASELINES.values():
        with torch.device("meta"):
            wanted = {name: tensor.shape for name, tensor in baseline().state_dict().items()}
        if wanted == shapes:
            return baseline()
    return None


def _without_denormals(weights: Tensor) -> Tensor:
    """Numbers too small to matter as 0: many processors take long over each.

    Weight decay leaves them behind: nearly half of AOD-Net's released weights are such numbers.
    """
    return torch.where(weights.abs() < torch.finfo(weights.dtype).tiny, 0, weights)


def _read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error})") from error


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"{path} is not a readable training checkpoint ({error})") from error
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


def load_authors_teacher(path: Path) -> Teacher:
    """Build the teacher, preset `authors`, from a state dict with the authors' key names.

    Args:
        path: A safetensors file with `conv0`, `down.0`, `down.1`, `res1` to `res6`, `up.1`,
            `up.3` and `out`.

    Raises:
        ModelError: If the file is missing, unreadable, or a key is missing or of another shape.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    theirs, _ = _read_weights(path)
    teacher = Teacher(TeacherConfig(layout="authors"))
    names = {
        "encoder.0": "conv0",
        "encoder.1": "down.0",
        "encoder.2": "down.1",
        "decoder.1": "up.1",
        "decoder.3": "up.3",
        "decoder.4": "out",
    }
    for block in range(1, 7):
        for conv in range(2):
            names[f"backbone.block{block}.body.{conv}"] = f"res{block}.model.{conv}"
    try:
        teacher.load_state_dict(
            {
                f"{ours}.conv.{part}": theirs[f"{name}.conv.{part}"]
                for ours, name in names.items()
                for part in ("weight", "bias")
            }
        )
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path} is no teacher in the authors' layout: {error}") from error
    return teacher.eval()
