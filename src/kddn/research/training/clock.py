"""What training costs: the time of the processors that work on it."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer


def processor_seconds() -> float:
    """Seconds that a processor has worked for this thread.

    Of a thread that trains, they pass as those of the clock do while it has the machine to itself,
    and more slowly while it is paused or shares it.
    """
    return time.thread_time()


class ProcessorTimer(Timer):
    """Ends a run on a CPU after a time by `processor_seconds`, as `max_time` does by the clock.

    So a run learns as much where it is paused meanwhile, or beside other work. The learning rate
    falls over that time.

    Args:
        duration: `DD:HH:MM:SS`.
    """

    def __init__(self, duration: str) -> None:
        super().__init__(duration)
        self._began: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._began = processor_seconds()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock, and keep what it says."""
        self._offset = self.time_elapsed()  # type: ignore[assignment]
        self._began = None
        super().on_train_end(trainer, pl_module)

    def time_elapsed(self, stage: Any = "train") -> float:
        """Seconds of training, those before it was resumed among them; of other stages none."""
        if stage != "train":
            return 0.0
        return self._offset + (0.0 if self._began is None else processor_seconds() - self._began)
