"""What runs in PyTorch as it is: our networks, and those of other papers."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kddn.bench.tasks import System
from kddn.errors import ModelError
from kddn.filters import Floats
from kddn.inference.models import Model, find_model
from kddn.research.nets.affine import AffineNetwork
from kddn.research.nets.baselines import BASELINES
from kddn.research.nets.checkpoints import load_network

COMPARED = ("aod-net", "dehazenet", "grid-dehaze-net", "gfn", "pdn")
"""Networks of other papers, which work on all of a picture's pixels."""


class TorchNetwork:
    """A shipped network run by PyTorch.

    Args:
        model: The network.
    """

    def __init__(self, model: Model) -> None:
        assert model.path is not None
        self._network = load_network(model.path)

    def run(self, image: Floats, outputs: list[str]) -> list[Floats]:
        """See `kddn.inference.estimators.Network`."""
        found = _outputs(self._network, _batch(image))
        return [each[0].permute(1, 2, 0).numpy() for each in found]


def gflop(network: nn.Module, width: int, height: int) -> float:
    """Additions and multiplications of convolutions and products, in thousand millions.

    A multiply-add counts as two.
    """
    counter = FlopCounterMode(display=False)
    with counter:  # which cannot follow views of what learns
        _outputs(network.requires_grad_(False), torch.zeros(1, 3, height, width))
    return counter.get_total_flops() / 1e9


@cache
def gflop_of(system: System, width: int, height: int) -> float:
    """The same, of a model's network or a compared one."""
    if system.kind == "compared":
        return gflop(compared_network(system), width, height)
    return model_gflop(find_model(system.name), width, height)


def model_gflop(model: Model, width: int, height: int) -> float:
    """The same, of a model."""
    assert model.path is not None
    return gflop(load_network(model.path), width, height)


def compared_network(system: System) -> nn.Module:
    """The network of another paper, with its weights or random ones.

    Raises:
        ModelError: If weights cannot be read, or are another system's.
    """
    if system.weights is not None:
        network = load_network(system.weights)
        if not isinstance(network, type(BASELINES[system.name]())):
            raise ModelError(f"{system.weights} holds a {type(network).__name__}, no {system.name}")
        return network
    torch.manual_seed(0)
    return BASELINES[system.name]().eval()


def on_pixels(network: nn.Module) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """What a network makes of a picture's own pixels, `h w 3`."""

    def dehaze(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        (clear,) = _outputs(network, _batch(pixels.astype(np.float32) / np.float32(255)))
        whole: NDArray[np.uint8] = (clear[0] * 255).round().byte().permute(1, 2, 0).numpy()
        return whole

    return dehaze


def _batch(image: Floats) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@torch.inference_mode()
def _outputs(network: nn.Module, hazy: Tensor) -> tuple[Tensor, ...]:
    """The clear picture, or the map, as a model's ONNX file says it."""
    if isinstance(network, AffineNetwork):
        return tuple(network.estimate(hazy))
    clear: Tensor = network(hazy)
    return (clear.clamp(0, 1),)
