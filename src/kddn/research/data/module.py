"""The data of a training run as Lightning wants it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn

from kddn.errors import DataError
from kddn.research.data.batches import BatchConfig, Batches, Mixed, part_of, resize
from kddn.research.data.graphics import Graphics, GraphicsConfig
from kddn.research.data.hazing import HazeConfig
from kddn.research.data.pair import Pair
from kddn.research.data.paired import (
    FixedPairs,
    PairFiles,
    check_files,
    read_parts,
    split_parts,
)
from kddn.research.data.photos import HazedPhotos, Photos, find_photos, load_photos, without_hazy
from kddn.research.data.scenes import (
    TRAIN,
    VALIDATION,
    HazedScenes,
    NyuScenes,
    load_nyu,
    sots_pair,
)
from kddn.research.data.sets import o_haze
from kddn.research.data.sets.its import ITS
from kddn.research.data.sets.pairs import PAIRS
from kddn.research.haze import SOTS_INDICES


@dataclass(frozen=True, kw_only=True)
class PhotosConfig:
    """Clean photographs, and the haze that is drawn over them without known depth."""

    root: Path
    """Folder of photographs. Every fifth by name is held back to validate on: a folder that gains
    or loses some between two runs holds back others."""
    fraction: float = 0.5
    """Fraction of the batches that are made of them, beside those of NYU's scenes."""
    max_fade: float | None = None
    """Photographs to train on whose own fog density is above this are left out; None keeps all.
    See `photos.without_hazy`; 0.55 leaves out an eighth of BSDS500, Urban100 and Sun-Hays80."""
    haze: HazeConfig = field(
        default_factory=lambda: HazeConfig(airlight=(0.6, 1.0), beta=(0.2, 3.0))
    )
    """What haze is drawn over them."""
    batch: BatchConfig | None = None
    """Number and size of a batch's images; by default as of NYU's scenes, whose originals are 620
    pixels long where photographs are 480."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must lie in (0, 1], not {self.fraction}")


class Pairs(Protocol):
    """Validation images, or batches of them, made or read as they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Pair: ...


class HazeData(LightningDataModule):
    """Hazy images of one or more sources, and validation at one or more sizes.

    Args:
        root: Folder of NYU Depth V2's labelled pairs: their scenes, hazed anew for every batch.
        batch: Number, size and orientation of a batch's images.
        haze: What haze is drawn over NYU's scenes: ITS's by default.
        photos: Photographs without depth, to train on too.
        graphics: Pictures without haze, which must come back as they are, to train on too.
        its: Folder of RESIDE's ITS (`hazy/`, `clear/`): trains on its fixed images of scenes 1 to
            1349 rather than on haze drawn anew.
        ohaze: Folder of O-HAZE (`hazy/`, `GT/`): trains on its scenes 1 to 35 alone, and validates
            on 36 to 40 alone.
        pairs: Folder of pairs of one's own (`hazy/`, `clear/`): trains on four fifths of their
            scenes alone, and validates on every fifth.
        epoch_length: Batches an epoch. 1748 batches of 8 are one pass over ITS's 13,990 images.
        fraction: Of each epoch's batches to train on, in (0, 1], but at least one.
        validation_scales: Sizes to validate at, each a figure of its own in the log.
        workers: Processes that read the files of ITS and of `pairs`. O-HAZE's are kept in memory.
        train_scenes: How many of NYU's 1,349 training scenes to use, from the first; of ITS too.
        validation_scenes: How many of NYU's 50 validation scenes to use in the log, from the first;
            each with one of SOTS's ten hazes in turn.
        seed: Seeds every draw of the training batches.
    """

    def __init__(
        self,
        root: Path | None = None,
        batch: BatchConfig | None = None,
        haze: HazeConfig | None = None,
        photos: PhotosConfig | None = None,
        graphics: GraphicsConfig | None = None,
        its: Path | None = None,
        ohaze: Path | None = None,
        pairs: Path | None = None,
        epoch_length: int = 1748,
        fraction: float = 1.0,
        validation_scales: Sequence[float] = (1.0,),
        workers: int = 2,
        train_scenes: int = len(TRAIN),
        validation_scenes: int = len(VALIDATION),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if root is None and ohaze is None and pairs is None:
            raise DataError(
                "give data.root, the folder of NYU's scenes, data.ohaze, O-HAZE's, or data.pairs, "
                "of pairs of your own"
            )
        given = {"its": its, "ohaze": ohaze, "pairs": pairs}
        fixed = [name for name, folder in given.items() if folder is not None]
        more = {"photos": photos, "graphics": graphics}
        drawn = [name for name, config in more.items() if config is not None]
        if len(fixed) > 1 or (fixed and drawn):
            raise DataError(
                f"data.{fixed[0]} is trained on alone: leave out data.{[*fixed, *drawn][1]}"
            )
        self.root = root
        self.batch = batch or BatchConfig()
        self.haze = haze or HazeConfig()
        if fixed and self.haze != HazeConfig():
            rank_zero_warn(f"data.haze is passed over: the images of data.{fixed[0]} have theirs")
        hazed = [(self.batch, self.haze)]
        if photos is not None:
            hazed.append((photos.batch or self.batch, photos.haze))
        if any(over.collage and images.size < 2 for images, over in hazed):
            raise DataError(
                "a collage needs images of the same batch: give a batch.size of 2 or more"
            )
        self.photos = photos
        self.graphics = graphics
        self.its = its
        self.ohaze = ohaze
        self.pairs = pairs
        if not 0 < fraction <= 1:
            raise DataError(f"data.fraction must lie in (0, 1], not {fraction}")
        if min(train_scenes, validation_scenes) < 1:
            raise DataError("data.train_scenes and data.validation_scenes must be 1 or more")
        self.epoch_length = epoch_length if fixed else part_of(epoch_length, fraction)
        self.fraction = fraction
        self.validation_scales = tuple(validation_scales)
        self.workers = workers
        self.train_ids = TRAIN[:train_scenes]
        self.validation_ids = VALIDATION[:validation_scenes]
        self.seed = seed
        self.batches: Batches | None = None
        self.validation: dict[str, Pairs] = {}
        """What is validated on, by name."""

    @property
    def has_transmission(self) -> bool:
        """Whether training pairs come with their transmission."""
        return self.ohaze is None and self.pairs is None

    def setup(self, stage: str) -> None:
        """Read the images, once, onto the device that trains."""
        if self.batches is not None:
            return
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.batches = self._training(device)
        self.batches.share(*self._device())
        judges = self._validation(device)
        self.validation = {f"psnr@{scale:g}": judges(scale) for scale in self.validation_scales}
        if self.photos is not None:
            held_back = load_photos(find_photos(self.photos.root, "validation")).to(device)
            self.validation["psnr@photos"] = _HeldBack(
                held_back, self.photos.batch or self.batch, self.photos.haze
            )

    def train_dataloader(self) -> Batches:
        """Batches to train on, once `setup` has read the images."""
        assert self.batches is not None
        return self.batches

    def val_dataloader(self) -> list[Iterable[Pair]]:
        """What this device validates on, in the order of `validation`."""
        number, devices = self._device()
        return [_Share(pairs, number, devices) for pairs in self.validation.values()]

    def _device(self) -> tuple[int, int]:
        """Which device this is, of how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _training(self, device: torch.device) -> Batches:
        if self.ohaze is not None:
            files = o_haze.O_HAZE.find(self.ohaze, o_haze.TRAIN)
            return self._fixed(files, workers=0)
        if self.pairs is not None:
            return self._fixed(_own_pairs(self.pairs, "train"), workers=self.workers)
        assert self.root is not None
        if self.its is not None:
            known = set(map(str, self.train_ids))  # the others validate
            files = [each for each in ITS.find(self.its) if each.scene in known]
            return self._fixed(files, workers=self.workers)
        scenes = HazedScenes(
            load_nyu(self.root, self.train_ids).to(device),
            self.batch,
            self.haze,
            seed=self.seed,
            length=self.epoch_length,
        )
        sources: list[tuple[Batches, float]] = [(scenes, 1.0)]
        if self.photos is not None:
            fraction = self.photos.fraction
            sources = [(scenes, 1 - fraction), (self._hazed_photos(device), fraction)]
        if self.graphics is not None:
            fraction = self.graphics.fraction
            sources = [(source, weight * (1 - fraction)) for source, weight in sources]
            sources.append((self._drawn(), fraction))
        if len(sources) == 1:
            return scenes
        return Mixed(
            [source for source in sources if source[1] > 0],
            self.batch,
            seed=self.seed,
            length=self.epoch_length,
        )

    def _drawn(self) -> Graphics:
        config = self.photos.batch if self.photos is not None else None
        return Graphics(config or self.batch, seed=self.seed, length=self.epoch_length)

    def _hazed_photos(self, device: torch.device) -> HazedPhotos:
        assert self.photos is not None
        photos = load_photos(find_photos(self.photos.root, "train"))
        if self.photos.max_fade is not None:
            photos = without_hazy(photos, self.photos.max_fade)
        return HazedPhotos(
            photos.to(device),
            self.photos.batch or self.batch,
            self.photos.haze,
            seed=self.seed,
            length=self.epoch_length,
        )

    def _fixed(self, files: Sequence[PairFiles], *, workers: int) -> FixedPairs:
        return FixedPairs(
            files,
            self.batch,
            seed=self.seed,
            length=self.epoch_length,
            fraction=self.fraction,
            workers=workers,
        )

    def _validation(self, device: torch.device) -> Callable[[float], Pairs]:
        """What makes the validation images of a size."""
        if self.ohaze is not None:
            files = o_haze.O_HAZE.find(self.ohaze, o_haze.VALIDATION)
            check_files(files)
            return lambda scale: _Whole(files, scale)
        if self.pairs is not None:
            own = _own_pairs(self.pairs, "validation")
            check_files(own)
            return lambda scale: _Whole(own, scale)
        assert self.root is not None
        scenes = load_nyu(self.root, self.validation_ids).to(device)
        return lambda scale: _SotsRule(scenes, scale)


def _own_pairs(root: Path, part: Literal["train", "validation"]) -> list[PairFiles]:
    """Pairs of one's own: of every fifth scene to validate on, of the others to train on."""
    files = PAIRS.find(root)
    held_back = set(list(dict.fromkeys(each.clean for each in files))[::5])
    return [each for each in files if (each.clean in held_back) == (part == "validation")]


class _Share:
    """What one device of several validates on; all of it where there is less than one for each."""

    def __init__(self, pairs: Pairs, device_number: int, devices: int) -> None:
        few = len(pairs) < devices
        self.pairs = pairs
        self.numbers = range(len(pairs)) if few else range(device_number, len(pairs), devices)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Pair]:
        return (self.pairs[number] for number in self.numbers)


class _SotsRule:
    """Validation scenes, each with one of SOTS's hazes in turn, made as they are asked for."""

    def __init__(self, scenes: NyuScenes, scale: float) -> None:
        self.scenes = scenes
        self.scale = scale

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Pair:
        haze_index = SOTS_INDICES[index % len(SOTS_INDICES)]
        return sots_pair(self.scenes, index, haze_index, scale=self.scale)


class _Whole:
    """Fixed pairs, whole, read as they are asked for."""

    def __init__(self, files: Sequence[PairFiles], scale: float) -> None:
        self.files = files
        self.scale = scale

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        return split_parts(resize(read_parts(self.files[index])[None], self.scale))


class _HeldBack:
    """Batches of photographs held back, with the haze of the training, always the same."""

    def __init__(self, photos: Photos, config: BatchConfig, haze: HazeConfig) -> None:
        count = -(-len(photos) // config.size)
        self.batches = HazedPhotos(photos, config, haze, seed=0, length=count)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Pair:
        return self.batches.batch(index)
