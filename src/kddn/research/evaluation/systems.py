"""What is evaluated: anything that removes haze from an image, as models and networks do."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kddn import Dehazer
from kddn.errors import ModelError
from kddn.research.nets.checkpoints import is_weights, load_network

System = Callable[[Tensor], Tensor]
"""Removes haze from `1 3 h w` in [0, 1], giving as much, clamped or not."""


def network_system(weights: Path, device: str = "auto") -> System:
    """A network that a file of weights holds, in PyTorch.

    Args:
        weights: The file.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: If the file cannot be used, or there is no such device.
    """
    cuda = torch.cuda.is_available()
    if device not in ("auto", "cpu", *["cuda"] * cuda):
        raise ModelError(f"PyTorch has no device {device!r} here; use auto{' or cuda' * cuda}")
    place = torch.device("cuda" if cuda and device != "cpu" else "cpu")
    return system_of(load_network(weights), place)


def system_of(network: nn.Module, place: torch.device | None = None) -> System:
    """A network in PyTorch, on a device; the CPU by default."""
    place = place or torch.device("cpu")
    network = network.eval().to(place)

    def dehaze(hazy: Tensor) -> Tensor:
        with torch.inference_mode():
            prediction: Tensor = network(hazy.to(place))
        return prediction.cpu()

    return dehaze


def find_systems(
    models: Sequence[str], device: str = "auto", *, both_paths: bool = True
) -> Iterator[tuple[str, System]]:
    """The hazy input, then each model, as `evaluate` takes them.

    Args:
        models: Names, `.onnx` files or weights.
        device: Where the models run.
        both_paths: Whether models of the runtime come at full resolution too, beside the working
            size that users get.
    """
    yield "hazy", lambda hazy: hazy
    stems = Counter(["hazy", *(Path(name).stem for name in dict.fromkeys(models))])
    for name in models:
        called = Path(name).stem if stems[Path(name).stem] == 1 else name
        if is_weights(name):
            yield called, network_system(Path(name), device)
            continue
        dehazer = Dehazer(name, device)
        yield f"{called} @{dehazer.working_size}", runtime_system(dehazer)
        if both_paths:
            yield f"{called} full", runtime_system(dehazer, full_resolution=True)


def runtime_system(dehazer: Dehazer, *, full_resolution: bool = False) -> System:
    """The runtime, as a person meets it: 8 bit in, 8 bit out."""

    def dehaze(hazy: Tensor) -> Tensor:
        picture = (hazy[0] * 255).round().byte().permute(1, 2, 0).numpy()
        prediction = dehazer(picture, full_resolution=full_resolution)
        return torch.from_numpy(prediction).permute(2, 0, 1)[None].float() / 255

    return dehaze
