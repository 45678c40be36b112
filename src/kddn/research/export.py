"""From trained weights to a model that the runtime takes: ONNX and its card."""

import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kddn.errors import ModelError, one_line
from kddn.inference.models import CARD_FORMAT, Output
from kddn.research.nets.affine import AffineNetwork
from kddn.research.nets.checkpoints import HALF, PREFIX, load_network
from kddn.research.nets.registry import describe


class _Clamped(nn.Module):
    """A network whose output is a picture: RGB in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, hazy: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
        out: Tensor = self.network(hazy)
        return out.clamp(0, 1)


class _Map(nn.Module):
    """A network whose output is a map."""

    def __init__(self, network: AffineNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, hazy: Float[Tensor, "1 3 h w"]
    ) -> tuple[Float[Tensor, "1 s a b"], Float[Tensor, "1 3 a b"]]:
        scale, offset = self.network.estimate(hazy)
        return scale, offset


def _stride(network: nn.Module) -> int:
    """What both sides of the exported network's input must be multiples of."""
    return network.stride if isinstance(network, AffineNetwork) else 1


def export(
    weights: Path,
    output: Path,
    *,
    working_size: int,
    summary: str,
    trained_on: str = "",
    licence: str = "",
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write `output` (ONNX) and beside it its card. Training reads its weights too.

    Args:
        weights: `weights.safetensors` or a `.ckpt` of a training run, or another `.onnx`.
        output: The `.onnx` file.
        working_size: Longest side, in pixels, that the model estimates haze at.
        summary: One sentence on what it is for.
        trained_on: The data it learned from, for its card.
        licence: Of the weights, for its card.
        half: Whether to store 16 bits a weight: half the size, and computed with in 32 bits.
        overwrite: Whether existing files may be replaced.

    Raises:
        ModelError: If the weights cannot be read, a file exists already, or the size is none.
    """
    if working_size < 1:
        raise ModelError(f"`working_size` must be 1 or more, not {working_size}")
    if output.suffix != ".onnx":
        raise ModelError(f"{output}: the model's name must end in .onnx")
    card = output.with_suffix(".json")
    for path in (output, card):
        if path.exists() and not overwrite:
            raise ModelError(f"{path} exists already; ask to overwrite, or name another output")
    network = load_network(weights)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(to_onnx(network, half=half))
    output_is: Output = "affine" if isinstance(network, AffineNetwork) else "image"
    fields = {
        "format": CARD_FORMAT,
        "summary": summary,
        "output": output_is,
        "stride": _stride(network),
        "working_size": working_size,
        "trained_on": trained_on,
        "licence": licence,
        "network": {name: _as_json(text) for name, text in describe(network).items()},
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    card.write_text(json.dumps(fields, indent=2) + "\n")


def _as_json(text: str) -> Any:
    """What a text says as JSON, or else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def to_onnx(network: nn.Module, *, half: bool = False) -> bytes:
    """A network as an ONNX model, from `hazy` to `clear`, or to `scale` and `offset`, `1 c h w`.

    The input's height and width are free, but for the multiples of an affine network's stride.

    Args:
        network: In eval mode.
        half: Whether to store 16 bits a weight.

    Raises:
        ModelError: If PyTorch cannot write it for pictures of every size.
    """
    exported = _Map(network) if isinstance(network, AffineNetwork) else _Clamped(network)
    stride = _stride(network)
    example = torch.rand(1, 3, 96 // stride * stride, 128 // stride * stride)
    names = {2: "height", 3: "width"}
    free = {
        axis: stride * torch.export.Dim(name) if stride > 1 else torch.export.Dim(name)
        for axis, name in names.items()
    }
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                exported.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(free,),
                input_names=["hazy"],
                output_names=["scale", "offset"] if isinstance(exported, _Map) else ["clear"],
                verbose=False,
            )
        except Exception as error:  # PyTorch's share no base class
            raise _not_exported(network, one_line(str(error))) from error
    assert program is not None
    model = program.model_proto
    sides = model.graph.input[0].type.tensor_type.shape.dim[2:]
    if not all(side.dim_param for side in sides):
        raise _not_exported(network, "it computes with its input's size as a number")
    # The exporter's notes on every operation: a quarter of the file, and paths of this machine.
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    _keep_all(model.graph, network)
    if half:
        _store_in_half(model.graph)
    content: bytes = model.SerializeToString()
    return content


def _not_exported(network: nn.Module, cause: str) -> ModelError:
    return ModelError(
        f"{type(network).__name__} cannot be exported: {cause[:200]}; it can be evaluated as it is"
    )


def _keep_all(graph: onnx.GraphProto, network: nn.Module) -> None:
    """Also store the weights that the exporter has worked into others (a norm's), to train on."""
    stored = {tensor.name for tensor in graph.initializer}
    for name, tensor in network.state_dict().items():
        if f"{PREFIX}{name}" not in stored:
            values = tensor.detach().cpu().numpy()
            graph.initializer.append(onnx.numpy_helper.from_array(values, f"{PREFIX}{name}"))


_WORTH = 1024
"""Values from which a weight is stored in 16 bits."""


def _store_in_half(graph: onnx.GraphProto) -> None:
    """Store large weights in 16 bits, and cast them when the model is loaded."""
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _WORTH:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}{HALF}"))
        cast = onnx.helper.make_node("Cast", [f"{name}{HALF}"], [name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, cast)
