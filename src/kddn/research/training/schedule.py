"""The optimiser and its learning rate over a run, however the run's end is given."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Timer
from torch import nn

from kddn.research.training.optimizers import Muon


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """An optimiser with a cyclic cosine schedule over the whole run, however its end is given."""

    optimizer: Literal["adam", "muon"] = "adam"
    """`adam`, as in the paper, or `muon` on matrices and filters with AdamW on the rest."""
    learning_rate: float = 1e-4
    """Where each cycle starts; with Muon, AdamW's."""
    matrix_rate: float = 0.02
    """Where each cycle starts for what Muon changes: it falls with the learning rate."""
    floor: float = 5e-8
    """Where each cycle ends."""
    weight_decay: float = 0.0
    """Muon's and AdamW's: what a step takes off the weights, times the rate."""
    cycles: int = 3
    """Cycles a run. The paper's student has three of 20 epochs."""
    warmup: float = 0.0
    """Fraction of the run over which the rate first rises from the floor."""

    def __post_init__(self) -> None:
        if not 0 < self.floor <= self.learning_rate:
            raise ValueError("optimization needs 0 < floor <= learning_rate")
        if self.matrix_rate <= 0:
            raise ValueError(f"matrix_rate must be above 0, not {self.matrix_rate}")
        if self.weight_decay < 0 or (self.weight_decay and self.optimizer != "muon"):
            raise ValueError("weight_decay must be 0 or more, and needs optimizer: muon")
        if self.cycles < 1 or not 0 <= self.warmup < 1:
            raise ValueError("optimization needs cycles >= 1 and 0 <= warmup < 1")

    def phase(self, progress: float) -> float:
        """Fraction of the present cycle that is done when `progress`, in [0, 1], of the run is."""
        return progress * self.cycles % 1 if progress < 1 else 1.0

    def rate(self, progress: float) -> float:
        """Learning rate when `progress`, in [0, 1], of the run is done."""
        phase = self.phase(progress)
        rate = self.floor + (self.learning_rate - self.floor) * (1 + math.cos(math.pi * phase)) / 2
        if progress < self.warmup:
            return max(self.floor, rate * progress / self.warmup)
        return rate

    @property
    def matrix_share(self) -> float:
        """Muon's rate over AdamW's, the same all the time."""
        return self.matrix_rate / self.learning_rate

    def optimize(self, modules: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of what learns, at its highest rates."""
        if self.optimizer == "muon":
            return Muon(
                modules,
                self.learning_rate,
                self.matrix_rate,
                weight_decay=self.weight_decay,
            )
        return torch.optim.Adam(modules.parameters(), lr=self.learning_rate)


def progress(trainer: Trainer) -> float:
    """Fraction of a run that is done: of its steps, epochs or time, whichever ends first.

    A run without an end counts as just begun. Devices must ask together, within a batch.
    """
    fractions = [0.0]
    if trainer.max_steps > 0:
        fractions.append(trainer.global_step / trainer.max_steps)
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        # Not by steps, of which an epoch may have had more: on fewer devices, or not accumulated.
        batches = trainer.num_training_batches
        here: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        done = trainer.current_epoch * batches + here.processed
        fractions.append(done / (trainer.max_epochs * batches))
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None:
            elapsed = callback.time_elapsed()
            fractions.append(elapsed / (elapsed + left))
    # Clocks of devices differ; what follows from them, such as the learning rate, must not.
    return trainer.strategy.broadcast(min(max(fractions), 1.0))
