"""What says how to make a hazy picture clear: one interface, whatever a model's output is."""

from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import Any, Protocol

import numpy as np

from kddn.affine import AffineMap, fit
from kddn.errors import ModelError
from kddn.filters import Floats
from kddn.inference.models import Model
from kddn.priors import PRIORS


class Estimator(Protocol):
    """A model ready to run. Threads may share one."""

    stride: int
    """What both sides of a picture must be multiples of."""

    def estimate(self, hazy: Floats) -> AffineMap:
        """What to do with each place of a picture.

        Args:
            hazy: RGB, float32 `h w 3` in [0, 1], at the working size.
        """
        ...


class Network(Protocol):
    """A network loaded into an engine."""

    def run(self, image: Floats, outputs: list[str]) -> list[Floats]:
        """Its outputs of those names, `h w c` each, for an RGB picture `h w 3` in [0, 1]."""
        ...


class ImageEstimator:
    """A model whose output is a picture: its map is fitted with the guided filter.

    Args:
        remove_haze: From a hazy RGB picture, float32 `h w 3` in [0, 1] and of any size, to the
            clear one, as large.
    """

    stride = 1

    def __init__(self, remove_haze: Callable[[Floats], Floats]) -> None:
        self.remove_haze = remove_haze

    def estimate(self, hazy: Floats) -> AffineMap:
        """See `Estimator`."""
        return fit(hazy, self.remove_haze(hazy))


class MapEstimator:
    """A network whose output is the map itself, `scale` and `offset` at a size of its own.

    Args:
        network: Where it runs.
        stride: What both sides of its input must be multiples of.
    """

    def __init__(self, network: Network, stride: int) -> None:
        self.stride = stride
        self._network = network

    def estimate(self, hazy: Floats) -> AffineMap:
        """See `Estimator`."""
        return AffineMap(*self._network.run(hazy, ["scale", "offset"]))


PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Devices that can be asked for, and what ONNX Runtime calls them."""

_AUTOMATIC = ("cuda", "cpu")
"""What `auto` chooses from, best first."""


def open_estimator(model: Model, device: str = "auto", threads: int | None = None) -> Estimator:
    """Make a model ready to run.

    Args:
        model: Which.
        device: `auto`, or a key of `PROVIDERS`.
        threads: Threads of a CPU that a network runs in; one a core by default.

    Raises:
        ModelError: If the device is unknown or missing, or the weights cannot be used.
    """
    if model.path is None:
        if device not in ("auto", "cpu"):
            raise ModelError(f"{model.name} runs on the cpu, not on {device!r}")
        return ImageEstimator(PRIORS[model.name].remove_haze)
    return as_estimator(OnnxNetwork(model, device, threads), model)


def as_estimator(network: Network, model: Model) -> Estimator:
    """What a network says, read as its card says."""
    if model.output == "affine":
        return MapEstimator(network, model.stride)
    return ImageEstimator(lambda hazy: network.run(hazy, ["clear"])[0])


class OnnxNetwork:
    """A network run by ONNX Runtime.

    Args:
        model: The network.
        device: `auto`, or a key of `PROVIDERS`.
        threads: Threads of a CPU that it runs in; one a core by default.
    """

    def __init__(self, model: Model, device: str = "auto", threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        chosen = _choose_device(device, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False  # pictures come in many sizes
        options.intra_op_num_threads = threads or 0  # 0 stands for one a core
        # The arena saves asking for memory layer by layer; what the largest picture needed is
        # given back after it.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        content = model.read()

        def begin(device: str) -> Any:
            # Its own way of falling back prints, where a picture may go, and is never undone.
            given = {"providers": [PROVIDERS[device]], "enable_fallback": False}
            try:
                session = onnxruntime.InferenceSession(content, options, **given)
            except Exception as error:  # ONNX Runtime's own errors share no base class
                raise ModelError(f"{model.path} cannot be run on {device}: {error}") from error
            if PROVIDERS[device] not in session.get_providers():  # it could not be loaded
                raise ModelError(
                    f"device {device!r} could not be started; see ONNX Runtime's requirements for "
                    f"{PROVIDERS[device]}, or use device 'cpu'"
                )
            return session

        try:
            self._session = begin(chosen)
        except ModelError:
            if device != "auto" or chosen == "cpu":
                raise
            chosen = "cpu"
            self._session = begin(chosen)
        self.device = chosen
        """Where it runs."""
        # A GPU does one picture after the other anyway; waiting there would take its memory.
        self._turn = nullcontext() if chosen == "cpu" else Lock()

    def run(self, image: Floats, outputs: list[str]) -> list[Floats]:
        """Run it on a picture, RGB `h w 3` in [0, 1]: its outputs of those names, `h w c` each.

        Raises:
            ModelError: If it stops, or has no such outputs.
        """
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        try:
            with self._turn:
                found: list[Any] = self._session.run(outputs, {"hazy": batch}, self._run_options)
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(
                f"the network stopped on {batch.shape[3]}x{batch.shape[2]} pixels ({error}); "
                "try a smaller working size"
            ) from error
        return [each[0].transpose(1, 2, 0) for each in found]


def _choose_device(device: str, available: list[str]) -> str:
    here = [name for name, provider in PROVIDERS.items() if provider in available]
    if device == "auto":
        return next(name for name in _AUTOMATIC if name in here)
    if device not in PROVIDERS:
        raise ModelError(f"there is no device {device!r}; use auto, {', '.join(PROVIDERS)}")
    if device not in here:
        raise ModelError(
            f"device {device!r} is not available here (this machine has: {', '.join(here)}); "
            f"install the onnxruntime build that brings {PROVIDERS[device]}, or use device 'auto'"
        )
    return device
