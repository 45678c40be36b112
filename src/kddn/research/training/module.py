"""Teacher and student as Lightning modules: the two stages of training (section 4.1)."""

import time
from abc import abstractmethod
from collections import deque
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.research.data import Pair
from kddn.research.data.module import HazeData
from kddn.research.evaluation.metrics import psnr
from kddn.research.losses.functions import reconstruction
from kddn.research.losses.objective import Losses, Objective
from kddn.research.nets.checkpoints import load_network
from kddn.research.nets.registry import build, describe
from kddn.research.nets.widening import grow
from kddn.research.training.clock import processor_seconds
from kddn.research.training.schedule import Optimization, progress


class Training(LightningModule):
    """What both stages share: the optimiser, its schedule, and validation."""

    def __init__(self, network: nn.Module, optimization: Optimization | None) -> None:
        super().__init__()
        # Channels-last convolutions train faster: on CPU by a fifth.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimization = optimization or Optimization()
        self.drawn = 0
        """Batches that all devices together have begun, in earlier parts of the run too."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser of the network and of what the losses train along."""
        return self.optimization.optimize(self)

    def on_train_start(self) -> None:
        """Start the clocks of the log."""
        self._began, self._begun_at = time.perf_counter(), -1.0
        self._cost = processor_seconds if self.device.type == "cpu" else time.perf_counter
        self._cost_before = self._cost()
        self._ends: deque[float] = deque(maxlen=50)
        # A run resumed within an epoch gets no call of on_train_epoch_start.
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Number the epoch's batches over the whole run."""
        # Batches are numbered over the whole run: a resumed one goes on with the next.
        self.trainer.datamodule.batches.first = self.drawn  # type: ignore[attr-defined]

    def on_train_batch_start(self, batch: Pair, batch_idx: int) -> None:
        """Set the learning rate by the progress of the run."""
        self.drawn += self.trainer.world_size
        done = progress(self.trainer)
        self._begun_at = done if self._begun_at < 0 else self._begun_at
        rate = self.optimization.rate(done)
        for group in self.trainer.optimizers[0].param_groups:
            matrices = group.get("matrices", False)  # Muon's
            group["lr"] = self.optimization.matrix_share * rate if matrices else rate
        self.log("lr", rate)

    def on_train_batch_end(self, outputs: Any, batch: Pair, batch_idx: int) -> None:
        """Log the speed and the time that is left."""
        self._ends.append(time.perf_counter())
        steps, seconds = len(self._ends) - 1, self._ends[-1] - self._ends[0]
        if steps > 0:
            images = len(batch.clean) * self.trainer.world_size
            self.log("images/s", images * steps / seconds, prog_bar=True)
        self.log("minutes", (self._cost() - self._cost_before) / 60)
        done = progress(self.trainer)
        if done > self._begun_at:
            elapsed = self._ends[-1] - self._began
            left = elapsed * (1 - done) / (done - self._begun_at)
            self.log("minutes left", left / 60, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Have a checkpoint say which network it holds."""
        checkpoint["network"] = describe(self.network)
        checkpoint["batches"] = {"drawn": self.drawn, "a_step": self._batches_a_step()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the first batch that has not been drawn."""
        now = self._batches_a_step()
        # Checkpoints without this are of one device and as many batches a step as now.
        before = checkpoint.get(
            "batches", {"drawn": checkpoint["global_step"] * now, "a_step": now}
        )
        self.drawn = before["drawn"]
        if before["a_step"] != now:
            rank_zero_warn(
                f"this run had {before['a_step']} batches a step and goes on with {now}: no batch "
                "comes twice, and steps and learning rate go on as before, but each step sees "
                f"{now / before['a_step']:g} times as many images"
            )

    def _batches_a_step(self) -> int:
        return self.trainer.world_size * self.trainer.accumulate_grad_batches

    @abstractmethod
    def sees(self, batch: Pair) -> Tensor:
        """What of a batch the network gets to see."""

    def validation_step(self, batch: Pair, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """What the network makes of a validation batch; its PSNR is logged."""
        of = list(self.trainer.datamodule.validation)[dataloader_idx]  # type: ignore[attr-defined]
        prediction: Tensor = self.network(self.sees(batch))
        score = psnr(prediction.clamp(0, 1), batch.clean).mean()
        # The first is also called `psnr`: what the best checkpoint is chosen by.
        for name in [of, "psnr"][: 2 if dataloader_idx == 0 else 1]:
            self.log(
                name,
                score,
                # Lightning takes the mean over devices of this, which of integers is an integer.
                batch_size=float(len(batch.clean)),  # type: ignore[arg-type]
                prog_bar=name == "psnr",
                add_dataloader_idx=False,
                sync_dist=True,
            )
        return prediction


class TeacherTraining(Training):
    """Stage one: the teacher reconstructs clean images, `|J - T(J)|` (equation 1).

    Args:
        network: A preset's name (`kddn.research.nets`), or any network from RGB to RGB by
            `class_path` and `init_args`.
        start: Weights to start from (`.safetensors`, `.ckpt` or `.onnx`) rather than from noise.
        optimization: Learning rate and its schedule.
        enough: Validation PSNR in dB at which it stops, for a teacher that is not to be good.
    """

    def __init__(
        self,
        network: str | nn.Module = "paper",
        start: Path | None = None,
        optimization: Optimization | None = None,
        enough: float | None = None,
    ) -> None:
        teacher = build("teacher", network) if isinstance(network, str) else network
        super().__init__(_begin(teacher, start), optimization)
        self.enough = enough

    def on_validation_end(self) -> None:
        """Stop if the teacher is good enough."""
        reached = self.trainer.callback_metrics.get("psnr")
        if self.enough is not None and reached is not None and reached >= self.enough:
            self.trainer.should_stop = True

    def on_fit_end(self) -> None:
        """Tell if it has not become good enough."""
        reached = self.trainer.callback_metrics.get("psnr")
        if self.enough is not None and reached is not None and reached < self.enough:
            rank_zero_warn(
                f"the teacher ended at {reached:.2f} dB on its validation images, below the "
                f"{self.enough:g} dB that were to be enough: it is not the one that was asked for"
            )

    def sees(self, batch: Pair) -> Tensor:
        """The clean image."""
        return batch.clean

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        """The reconstruction loss (equation 1)."""
        loss = reconstruction(self.network(self.sees(batch)), batch.clean)
        self.log("loss", loss, prog_bar=True, sync_dist=True)
        return loss


class StudentTraining(Training):
    """Stage two: the student removes haze, helped by a teacher or not (equation 2).

    Args:
        network: A preset's name (`kddn.research.nets`), or any network from RGB to RGB by
            `class_path` and `init_args`.
        start: Weights to start from (`.safetensors`, `.ckpt` or `.onnx`) rather than from noise.
            Those of a narrower student are widened, and a U whose lights come from the picture
            becomes one that has them as maps.
        losses: What to train for; L1 alone by default.
        optimization: Learning rate and its schedule.
    """

    def __init__(
        self,
        network: str | nn.Module = "paper",
        start: Path | None = None,
        losses: Losses | None = None,
        optimization: Optimization | None = None,
    ) -> None:
        student = build("student", network) if isinstance(network, str) else network
        super().__init__(_begin(student, start), optimization)
        self.objective = Objective(self.network, losses or Losses())

    def on_fit_start(self) -> None:
        """See that the data has what the losses need."""
        self.check_data(self.trainer.datamodule)  # type: ignore[attr-defined]

    def check_data(self, data: HazeData) -> None:
        """See that data has what the losses need.

        Raises:
            ModelError: If it has not.
        """
        if self.objective.needs_transmission and not data.has_transmission:
            raise ModelError(
                "density: transmission needs transmission maps, which this data set does not have; "
                "give losses.density: residual"
            )

    def sees(self, batch: Pair) -> Tensor:
        """The hazy image."""
        return batch.hazy

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        """The total loss (equation 2); each of its terms is logged."""
        terms = self.objective(self.network, batch)
        loss = torch.stack(list(terms.values())).sum()
        self.log("loss", loss, prog_bar=True, sync_dist=True)
        if len(terms) > 1:
            by_term = {f"loss/{name}": term for name, term in terms.items()}
            self.log_dict(by_term, sync_dist=True)
        return loss


def _begin(network: nn.Module, start: Path | None) -> nn.Module:
    if start is None:
        return network
    trained = grow(load_network(start), network)
    if describe(trained) != describe(network):
        raise ModelError(
            f"{start} holds a {describe(trained)}, the run asks for a {describe(network)}; "
            "choose the preset that fits, or other weights"
        )
    return trained.train()
