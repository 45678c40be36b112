"""What turns a hazy picture into a clear one: one interface, one class an engine."""

from collections.abc import Callable

import numpy as np

from kddn.affine import Floats
from kddn.errors import ModelError
from kddn.models import Model
from kddn.priors import PRIORS

Engine = Callable[[Floats], Floats]
"""Takes a hazy RGB picture, float32 `h w 3` in [0, 1], and gives back the clear one, as large.

Threads may share an engine.
"""

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Devices that can be asked for, and what ONNX Runtime calls them."""

_AUTOMATIC = ("cuda", "cpu")
"""What `auto` chooses from, best first."""


def open_engine(model: Model, device: str = "auto") -> Engine:
    """Make a model ready to run.

    Args:
        model: Which.
        device: `auto`, or a key of `PROVIDERS`.

    Raises:
        ModelError: If the device is unknown or missing, or the weights cannot be used.
    """
    if model.path is None:
        if device not in ("auto", "cpu"):
            raise ModelError(f"{model.name} runs on the cpu, not on {device!r}")
        return PRIORS[model.name].remove_haze
    return OnnxEngine(model, device)


class OnnxEngine:
    """A network run by ONNX Runtime.

    Args:
        model: The network.
        device: `auto`, or a key of `PROVIDERS`.
    """

    def __init__(self, model: Model, device: str = "auto") -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        chosen = _choose_device(device, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False  # pictures come in many sizes
        # The arena saves asking for memory layer by layer; what the largest picture needed is
        # given back after it.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            self._session = onnxruntime.InferenceSession(
                model.read(), options, providers=[PROVIDERS[chosen]]
            )
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(f"{model.path} cannot be run on {chosen}: {error}") from error
        if PROVIDERS[chosen] not in self._session.get_providers():  # it fell back to the CPU
            if device != "auto":
                raise ModelError(
                    f"device {device!r} could not be started; see ONNX Runtime's requirements for "
                    f"{PROVIDERS[device]}, or use device 'cpu'"
                )
            chosen = "cpu"
        self.device = chosen
        """Where it runs."""

    def __call__(self, image: Floats) -> Floats:
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        try:
            clear: Floats = self._session.run(None, {"hazy": batch}, self._run_options)[0][0]
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(
                f"the network stopped on {batch.shape[3]}x{batch.shape[2]} pixels ({error}); "
                "try a smaller working size"
            ) from error
        return clear.transpose(1, 2, 0)


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
