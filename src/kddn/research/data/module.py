"""The data of a training run as Lightning wants it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from kddn.research.data.its import ItsBatches, find_its
from kddn.research.data.nyu import TRAIN, VALIDATION, NyuScenes, load_nyu
from kddn.research.data.pairs import Pair
from kddn.research.data.synthesis import SynthesisConfig, SyntheticHaze, sots_pair
from kddn.research.haze import SOTS_INDICES


class NyuHaze(LightningDataModule):
    """NYU scenes hazed on the fly by ITS's rule; validation scenes hazed by SOTS's.

    Args:
        root: Folder of NYU Depth V2's labelled pairs, with `rgb/` and `depth/`.
        synthesis: How training batches are drawn.
        epoch_length: Batches an epoch. 1748 batches of 8 are one pass over ITS's 13,990 images.
        validation_scales: Sizes to validate at, each a figure of its own in the log.
        its: Folder of RESIDE's ITS (`hazy/`, `clear/`): trains on its fixed images rather than on
            haze drawn anew; `epoch_length` then has no effect but to bound an epoch.
        workers: Processes that read ITS's files.
        train_scenes: How many of the 1,349 training scenes to use, from the first.
        validation_scenes: How many of the 50 validation scenes to use in the log, from the first;
            each with one of SOTS's ten hazes in turn.
        seed: Seeds every draw of the training batches.
    """

    def __init__(
        self,
        root: Path,
        synthesis: SynthesisConfig | None = None,
        epoch_length: int = 1748,
        validation_scales: Sequence[float] = (1.0,),
        its: Path | None = None,
        workers: int = 2,
        train_scenes: int = len(TRAIN),
        validation_scenes: int = len(VALIDATION),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.synthesis = synthesis or SynthesisConfig()
        self.epoch_length = epoch_length
        self.validation_scales = tuple(validation_scales)
        self.its = its
        self.workers = workers
        self.train_ids = TRAIN[:train_scenes]
        self.validation_ids = VALIDATION[:validation_scenes]
        self.seed = seed
        self.batches: SyntheticHaze | ItsLoader | None = None
        self._validation: NyuScenes | None = None

    def setup(self, stage: str) -> None:
        """Read the scenes, once, onto the device that trains."""
        if self.batches is not None:
            return
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if self.its is None:
            scenes = load_nyu(self.root, self.train_ids).to(device)
            self.batches = SyntheticHaze(
                scenes, self.synthesis, seed=self.seed, length=self.epoch_length
            )
        else:
            fixed = ItsBatches(find_its(self.its), self.synthesis, seed=self.seed)
            self.batches = ItsLoader(fixed, length=self.epoch_length, workers=self.workers)
        self._validation = load_nyu(self.root, self.validation_ids).to(device)

    def train_dataloader(self) -> Iterable[Pair]:
        assert self.batches is not None
        return self.batches

    def val_dataloader(self) -> list[Iterable[Pair]]:
        assert self._validation is not None
        return [_SotsRule(self._validation, scale) for scale in self.validation_scales]


class ItsLoader:
    """Epochs of ITS's batches, read ahead by worker processes."""

    def __init__(self, batches: ItsBatches, *, length: int, workers: int) -> None:
        self.batches = batches
        self.length = min(length, len(batches))
        self.workers = workers
        self.first = 0
        """Number of the next epoch's first batch."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Pair]:
        numbers = range(self.first, self.first + self.length)
        yield from DataLoader(
            self.batches, batch_size=None, sampler=numbers, num_workers=self.workers
        )


class _SotsRule:
    """Validation scenes, each with one of SOTS's hazes in turn, made as they are asked for."""

    def __init__(self, scenes: NyuScenes, scale: float) -> None:
        self.scenes = scenes
        self.scale = scale

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Pair]:
        for index in range(len(self.scenes)):
            haze_index = SOTS_INDICES[index % len(SOTS_INDICES)]
            yield sots_pair(self.scenes, index, haze_index, scale=self.scale)
