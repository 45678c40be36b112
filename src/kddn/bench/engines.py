"""What runs networks: ONNX Runtime as users have it, and others to compare with."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from kddn.dehazer import Dehazer
from kddn.filters import Floats
from kddn.inference.estimators import Estimator, Network, OnnxNetwork, as_estimator
from kddn.inference.models import Model


class OpenVinoNetwork:
    """A network run by OpenVINO on the CPU, in float32 as in the other engines.

    Left to itself it would compute in bfloat16 where the processor can.

    Args:
        model: The network.
    """

    def __init__(self, model: Model) -> None:
        import openvino

        core = openvino.Core()
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self._run: Any = core.compile_model(core.read_model(model.read()), "CPU", exact)

    def run(self, image: Floats, outputs: list[str]) -> list[Floats]:
        """See `kddn.inference.estimators.Network`."""
        found = self._run({"hazy": np.ascontiguousarray(image.transpose(2, 0, 1)[None])})
        return [found[name][0].transpose(1, 2, 0) for name in outputs]


def _torch_network(model: Model) -> Network:
    from kddn.bench.torch_systems import TorchNetwork

    return TorchNetwork(model)


ENGINES: dict[str, Callable[[Model], Network]] = {
    "onnxruntime": OnnxNetwork,
    "openvino": OpenVinoNetwork,
    "torch": _torch_network,
}
"""What loads the network of a model, by the engine's name, which is its package's too."""


def installed() -> list[str]:
    """The engines that are here."""
    return [name for name in ENGINES if find_spec(name)]


class EngineDehazer(Dehazer):
    """A `Dehazer` whose network runs in an engine of choice.

    Args:
        model: A model's name.
        engine: A key of `ENGINES`.
    """

    def __init__(self, model: str, engine: str) -> None:
        self._engine = engine
        super().__init__(model)

    def _open(self) -> Estimator:
        self.network = ENGINES[self._engine](self.model)
        return as_estimator(self.network, self.model)
