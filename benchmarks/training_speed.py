"""Images a second of each stage of a training step, and what each choice of settings gains.

python benchmarks/training_speed.py path/to/nyu [--network paper] [--crop 128] [--vgg FILE]
    [--photos FOLDER] [--keep_memory false]

Settings are measured in turn, round after round, and the medians compared: machines are noisy.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from rich import print as show
from rich.table import Table
from torch import Tensor, nn

from kddn.research.data import BatchConfig, HazeConfig, HazedScenes, NyuScenes, Pair, load_nyu
from kddn.research.data.camera import CameraConfig
from kddn.research.data.photos import HazedPhotos, find_photos, load_photos
from kddn.research.losses.distillation import Imitation
from kddn.research.losses.functions import perceptual, reconstruction
from kddn.research.nets import Teacher
from kddn.research.nets.depthwise import DepthwiseConv
from kddn.research.nets.registry import build
from kddn.research.nets.vgg import load_vgg
from kddn.research.training.memory import keep_freed_memory
from kddn.research.training.optimizers import Muon


@dataclass(frozen=True)
class Settings:
    """How a step is computed."""

    channels_last: bool = True
    compiled: bool = False
    bf16: bool = False
    torchs_depthwise: bool = False
    """PyTorch's own gradient of depthwise convolutions rather than `DepthwiseConv`'s."""

    def __str__(self) -> str:
        return ", ".join(name for name, on in asdict(self).items() if on) or "plain"


class Step:
    """One student with its data, and the parts of its training step."""

    def __init__(
        self, scenes: NyuScenes, network: str, config: BatchConfig, settings: Settings
    ) -> None:
        self.settings = settings
        self.device = scenes.clean.device
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        student = build("student", network).to(self.device)
        student.to(memory_format=layout)  # type: ignore[call-overload]
        for module in student.modules():
            if settings.torchs_depthwise and isinstance(module, DepthwiseConv):
                module.forward = partial(nn.Conv2d.forward, module)  # type: ignore[method-assign]
        self.student: Callable[[Tensor], Tensor] = (
            torch.compile(student) if settings.compiled else student
        )
        self.optimizer = torch.optim.Adam(student.parameters(), lr=1e-4)
        self.data = HazedScenes(scenes, config, seed=0, length=1)
        self.batch = Pair(
            *(x.contiguous(memory_format=layout) for x in self.data.batch(0) if x is not None)
        )

    def make_data(self) -> None:
        """Draw a batch."""
        self.data.batch(1)

    def forward(self) -> Tensor:
        """The student on a batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bf16):
            return self.student(self.batch.hazy)

    def train(self) -> None:
        """Forward, L1, backward, Adam."""
        loss = reconstruction(self.forward().float(), self.batch.clean)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def loss_stages(
    scenes: NyuScenes, config: BatchConfig, vgg: Path | None, settings: Settings
) -> dict[str, Callable[[], None]]:
    """The losses that run networks of their own, forward and backward, on a batch."""

    def mixed() -> torch.autocast:
        return torch.autocast(scenes.clean.device.type, torch.bfloat16, enabled=settings.bf16)

    batch = HazedScenes(scenes, config, seed=0, length=1).batch(0)
    student = nn.Conv2d(3, 3, 3, padding=1).to(scenes.clean.device)
    stages: dict[str, Callable[[], None]] = {}
    full = build("student", "paper").to(scenes.clean.device)
    imitate = Imitation(full, Teacher().to(scenes.clean.device)).to(scenes.clean.device)
    with mixed():
        _, features = imitate.tap(full, batch.hazy)
    features = {name: feature.detach().requires_grad_() for name, feature in features.items()}

    def imitation() -> None:
        with mixed():
            loss = imitate(features, batch.clean)
        loss.backward()

    stages[f"imitation loss alone: {settings}"] = imitation
    if vgg is None:
        return stages
    for of, count in (("relu5_1", 5), ("relu3_1", 3)):
        phi = load_vgg(vgg, stages=count).to(scenes.clean.device)

        def compare(phi: nn.Module = phi) -> None:
            with torch.no_grad(), mixed():
                truth = phi(batch.clean)
            with mixed():
                loss = perceptual(phi(student(batch.hazy)), truth)
            loss.backward()

        stages[f"perceptual loss alone, to {of}: {settings}"] = compare
    return stages


def optimizer_stages(network: str, device: torch.device) -> dict[str, Callable[[], object]]:
    """A step of each optimiser, its gradients given."""
    student = build("student", network).to(device)
    muon = Muon(student)
    matrices = [  # all that PyTorch's own takes
        nn.Parameter(weight.detach().flatten(1).contiguous())
        for weight in muon.param_groups[0]["params"]
    ]
    optimizers = {
        "Muon's step, with AdamW's for the rest": muon,
        "torch.optim.Muon's step, matrices alone": torch.optim.Muon(matrices, lr=0.02),
        "AdamW's step": torch.optim.AdamW(student.parameters()),
    }
    return {name: partial(step, optimizer) for name, optimizer in optimizers.items()}


def step(optimizer: torch.optim.Optimizer) -> None:
    """One step along gradients of 1."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.ones_like(weight)
    optimizer.step()


def measure(stages: dict[str, Callable[[], object]], images: int, rounds: int) -> dict[str, float]:
    """Images a second of each stage: medians over rounds in which all take their turn."""
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(rounds + 1):
        for name, stage in stages.items():
            _wait()
            began = time.perf_counter()
            stage()
            _wait()
            if number > 0:  # the first is for warming up
                seconds[name].append(time.perf_counter() - began)
    return {name: images / statistics.median(times) for name, times in seconds.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main(
    root: Path,
    network: str = "paper",
    batch_size: int = 8,
    crop: int = 128,
    rounds: int = 5,
    device: str = "cpu",
    vgg: Path | None = None,
    photos: Path | None = None,
    keep_memory: bool = True,
    compiled: bool = True,
) -> None:
    """Print images a second.

    Args:
        root: Folder of NYU Depth V2's labelled pairs.
        network: The student's preset.
        batch_size: Images a batch.
        crop: Side of a crop.
        rounds: Measurements of each stage.
        device: Where to measure.
        vgg: VGG's weights, to measure the perceptual loss too.
        photos: Folder of photographs, to measure haze over drawn depth too.
        keep_memory: Whether freed memory is kept on a CPU, as `kddn train` does.
        compiled: Whether to measure the compiled network too.
    """
    if device == "cpu" and keep_memory:
        keep_freed_memory()
    scenes = load_nyu(root, range(1, 51)).to(torch.device(device))
    config = BatchConfig(size=batch_size, crop=crop)
    base = Settings(bf16=device != "cpu")
    variants = {
        base,
        replace(base, channels_last=not base.channels_last),
        replace(base, bf16=not base.bf16),
    }
    if compiled:
        variants.add(replace(base, compiled=True))
    if any(isinstance(each, DepthwiseConv) for each in build("student", network).modules()):
        variants |= {replace(settings, torchs_depthwise=True) for settings in variants}
    stages: dict[str, Callable[[], object]] = {}
    for settings in sorted(variants, key=str):
        step = Step(scenes, network, config, settings)
        stages[f"training step: {settings}"] = step.train
        if settings == base:
            stages |= {"data alone, scenes": step.make_data, "forward alone": step.forward}
    if photos is not None:
        loaded = load_photos(find_photos(photos, "validation")).to(torch.device(device))
        camera = CameraConfig(gamma=1.15, noise=0.008, jpeg=0.3)
        haze = HazeConfig(tint=0.03, camera=camera)
        hazed = HazedPhotos(loaded, config, haze, seed=0, length=1)
        stages["data alone, photographs"] = lambda: hazed.batch(1)
    stages |= optimizer_stages(network, torch.device(device))
    for settings in (base, replace(base, bf16=not base.bf16)):
        stages |= loss_stages(scenes, config, vgg, settings)
    table = Table("stage", "images a second", box=None)
    for name, rate in measure(stages, batch_size, rounds).items():
        table.add_row(name, f"{rate:.1f}")
    show(table)


if __name__ == "__main__":
    auto_cli(main)
