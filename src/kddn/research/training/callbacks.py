"""What a run leaves while it goes on: plain weights beside checkpoints, averages, and pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import WeightAveraging
from PIL import Image
from torch import Tensor

from kddn.io.compare import side_by_side, stacked
from kddn.research.data import Pair
from kddn.research.nets.checkpoints import network_state, save_tensors
from kddn.research.training.module import Training
from kddn.research.training.schedule import progress


class WeightsBeside(TorchCheckpointIO):
    """Writes the network's weights as safetensors beside each checkpoint.

    The checkpoint is for going on, the safetensors for using: averaged, where the run averages.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, and the weights beside it."""
        super().save_checkpoint(checkpoint, path, storage_options)
        state, metadata = network_state(checkpoint)
        save_tensors(state, _beside(path), metadata)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, and the weights beside it."""
        super().remove_checkpoint(path)
        _beside(path).unlink(missing_ok=True)


def _beside(path: Any) -> Path:
    return Path(path).with_suffix(".safetensors")


class RampedAveraging(WeightAveraging):
    """An exponential mean of the weights that soon forgets what a run began with.

    Lightning's `EMAWeightAveraging` of decay 0.999 still has a third of the first weights after
    1,000 steps. Here, the decay grows to its value with the number `n` of steps:
    `min(decay, (1 + n) / (10 + n))`.

    Args:
        decay: Weight of the mean so far, below 1.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"RampedAveraging needs a decay in [0, 1), not {decay}")
        super().__init__(multi_avg_fn=self._mean)
        self.decay = decay

    def _mean(
        self, means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int
    ) -> None:
        decay = min(self.decay, (1 + int(count)) / (10 + int(count)))
        for mean, weight in zip(means, weights, strict=True):
            if mean.is_floating_point():
                mean.lerp_(weight, 1 - decay)
            else:  # of batch norms, how many batches they have seen
                mean.copy_(weight)


class CycleAveraging(WeightAveraging):
    """Averages the weights along the lower halves of the learning rate's cycles, all alike.

    As Athiwaratkun et al. (ICLR 2019) do with their cyclic schedule ("fast-SWA"). An exponential
    mean is Lightning's own `EMAWeightAveraging`.

    Args:
        start: Fraction of the run before which nothing is averaged: until then, the average is the
            latest weights.
        every: Steps between two weights that count.
    """

    def __init__(self, start: float = 1 / 3, every: int = 10) -> None:
        if not 0 <= start < 1 or every < 1:
            raise ValueError(
                f"CycleAveraging needs start in [0, 1) and every >= 1, not {start}, {every}"
            )
        super().__init__(avg_fn=self._mean)
        self.start = start
        self.every = every
        self.count = 0
        """How many weights the average is of."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember the run, whose progress decides what counts."""
        super().setup(trainer, pl_module, stage)
        self._trainer, self._module = trainer, pl_module

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether the weights of a step count: by the phase of the learning rate's cycle."""
        if step_idx is None or step_idx % self.every:
            return False
        assert isinstance(self._module, Training)
        fraction = progress(self._trainer)
        if fraction < self.start:
            self.count = 0
            return True
        low = self._module.optimization.phase(fraction) >= 0.5
        self.count += low
        return low or self.count == 0

    def _mean(self, mean: Tensor, weights: Tensor, count: Tensor | int) -> Tensor:
        # Not the caller's count, which has those before the start too.
        return mean + (weights - mean) / max(self.count, 1)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, the count among it."""
        return {**super().state_dict(), "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        super().load_state_dict(state_dict)
        self.count = state_dict["count"]


def _to_pil(image: Tensor) -> Image.Image:
    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


class SamplePictures(Callback):
    """Writes what the first validation images came to, as `samples/{step}.png` in the run's folder.

    Args:
        count: How many images.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self._rows: list[Any] = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Pair,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what became of the first images."""
        if dataloader_idx == 0 and batch_idx < self.count:
            assert isinstance(pl_module, Training)
            panels = {"input": pl_module.sees(batch), "output": outputs, "target": batch.clean}
            self._rows.append(
                side_by_side([(name, _to_pil(image[0])) for name, image in panels.items()])
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was kept as one picture."""
        if self._rows and trainer.log_dir is not None and trainer.is_global_zero:
            folder = Path(trainer.log_dir) / "samples"
            folder.mkdir(parents=True, exist_ok=True)
            stacked(self._rows).save(folder / f"{trainer.global_step:07d}.png")
        self._rows.clear()
