"""Data sets of fixed hazy images in files, and batches of them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kddn.errors import DataError
from kddn.research.data.batches import BatchConfig, Batches, arrange, draw_windows, part_of
from kddn.research.data.pair import Pair
from kddn.research.data.pixels import check_picture, read_pixels, upright_size
from kddn.research.windows import box


@dataclass(frozen=True)
class PairFiles:
    """One hazy image, and what belongs to it."""

    scene: str
    """What it shows."""
    hazy: Path
    clean: Path | None
    """None where there is no ground truth, which no one can train on."""
    transmission: Path | None = None
    """A grey picture, where there is one."""
    airlight: float | None = None
    """The airlight, where it is known."""

    def check(self) -> None:
        """See that all files are there and whole, and fit each other.

        Raises:
            DataError: If one is not, or does not.
        """
        for path in (self.hazy, self.clean, self.transmission):
            if path is not None:
                check_picture(path)
        size = upright_size(self.hazy)
        if self.clean is not None and not fits(size, other := upright_size(self.clean)):
            raise _unlike(self.hazy, size, self.clean, other)
        if self.transmission is not None and (other := upright_size(self.transmission)) != size:
            raise _unlike(self.hazy, size, self.transmission, other)


BORDER = 10
"""Pixels a side that the clean images of RESIDE's rooms have and the hazy ones do not."""


def fits(hazy: Sequence[int], clean: Sequence[int]) -> bool:
    """Whether two sizes are those of a pair: equal, or with and without RESIDE's border."""
    more = {large - small for small, large in zip(hazy, clean, strict=True)}
    return more in ({0}, {2 * BORDER})


def _unlike(hazy: Path, size: Sequence[int], path: Path, other: Sequence[int]) -> DataError:
    (width, height), (other_width, other_height) = size, other
    return DataError(
        f"{hazy} is {width}x{height}, but {path} is {other_width}x{other_height}; both must show "
        "the same, pixel by pixel"
    )


def check_files(files: Iterable[PairFiles]) -> None:
    """See that all are there and whole, and fit each other.

    Raises:
        DataError: If one is not.
    """
    with ThreadPoolExecutor() as threads:
        list(threads.map(PairFiles.check, files))


def read_parts(files: PairFiles) -> Tensor:
    """Hazy image, clean image and transmission, if it is known, in one: uint8 `7 h w` or `6 h w`.

    A clean image of 640x480 beside a hazy one of 620x460 loses 10 pixels a side, as RESIDE's crop.
    Where there is no file of the transmission but the airlight is known, the scattering model gives
    it, by least squares over the three channels and 5x5 pixels: of one that has nearly the
    airlight's colour, its own three say nothing.

    Raises:
        DataError: If a file cannot be read or the sizes do not fit.
    """
    if files.clean is None:
        raise DataError(f"{files.hazy} comes without a clean image, so it can only be looked at")
    hazy, clean = _read(files.hazy, "RGB"), _read(files.clean, "RGB")
    if hazy.shape != clean.shape and fits(hazy.shape[1:], clean.shape[1:]):
        clean = clean[:, BORDER:-BORDER, BORDER:-BORDER]
    parts = {files.hazy: hazy, files.clean: clean}
    if files.transmission is not None:
        parts[files.transmission] = _read(files.transmission, "L")
    for path, part in parts.items():
        if part.shape[1:] != hazy.shape[1:]:
            raise _unlike(files.hazy, hazy.shape[:0:-1], path, part.shape[:0:-1])
    if files.transmission is None and files.airlight is not None:
        light, seen = clean / 255 - files.airlight, hazy / 255 - files.airlight
        common, own = (box((light * x).sum(0, keepdim=True), 2) for x in (seen, light))
        t = common / own.clamp(1e-4)
        return torch.cat([hazy, clean, (t.clamp(0, 1) * 255).round().byte()])
    return torch.cat(list(parts.values()))


def split_parts(parts: Tensor) -> Pair:
    """What `read_parts` gave, as a batch `b c h w`, as a pair in [0, 1]."""
    scaled = (parts.float() / 255).contiguous(memory_format=torch.channels_last)
    t = scaled[:, 6:] if scaled.shape[1] == 7 else None
    return Pair(scaled[:, :3], scaled[:, 3:6], t)


class FixedPairs(Batches):
    """Batches of fixed images, in an order of their own each epoch.

    Args:
        files: The images.
        config: Number, size and orientation of the images.
        seed: See `Batches`.
        length: Batches an epoch at most, on each device. No image comes twice until all have come
            that fill a batch.
        fraction: Of those batches to have.
        workers: Processes that read files ahead; with 0, all images are read into memory at once.

    Raises:
        DataError: If there are fewer images than a batch has, or one cannot be read.
    """

    def __init__(
        self,
        files: Sequence[PairFiles],
        config: BatchConfig,
        *,
        seed: int,
        length: int,
        fraction: float = 1.0,
        workers: int,
    ) -> None:
        if len(files) < config.size:
            raise DataError(
                f"there are {len(files)} images to train on, but a batch has {config.size}; "
                "add more, or make the batch's size smaller"
            )
        self.files = files
        self.workers = workers
        self.fraction = fraction
        self.batches_in_all = len(files) // config.size
        super().__init__(config, seed=seed, length=length)
        if workers > 0:
            check_files(files)
        with ThreadPoolExecutor() as threads:
            self.kept = list(threads.map(read_parts, files)) if workers == 0 else None

    def __len__(self) -> int:
        return part_of(min(self.length, self.batches_in_all // self.devices), self.fraction)

    def share(self, device_number: int, devices: int) -> None:
        """Draw one device's part of each epoch, so that no image comes twice in it."""
        if self.batches_in_all < devices:
            raise DataError(
                f"there are {self.batches_in_all} batches of {self.config.size} images here for "
                f"{devices} devices; use fewer devices or smaller batches"
            )
        super().share(device_number, devices)

    def __iter__(self) -> Iterator[Pair]:
        if self.workers == 0:
            yield from super().__iter__()
            return
        # Asked for the numbers only when the first batch is: a resumed run sets `first` till then.
        numbers = self.numbers()
        loader = DataLoader(
            _ByNumber(self), batch_size=None, sampler=numbers, num_workers=self.workers
        )
        for found in loader:
            if isinstance(found, DataError):
                raise found
            yield found

    def batch(self, number: int) -> Pair:
        """The batch of a number: the images whose turn it is in its epoch's order."""
        epoch, place = divmod(number, self.batches_in_all)
        # Orders of epochs must not repeat what batches draw.
        shuffle = torch.Generator().manual_seed((self.seed + 1) * -1_000_003 - epoch)
        order = torch.randperm(len(self.files), generator=shuffle).tolist()
        chosen = order[place * self.config.size : (place + 1) * self.config.size]
        images = [
            self.kept[index] if self.kept else read_parts(self.files[index]) for index in chosen
        ]
        generator = self.generator(number)
        scale, windows = draw_windows(
            self.config, [image.shape[-2:] for image in images], generator
        )
        crops = [image[:, *window] for image, window in zip(images, windows, strict=True)]
        if len({len(crop) for crop in crops}) > 1:
            crops = [crop[:6] for crop in crops]  # the transmission is known of some only
        return split_parts(arrange(torch.stack(crops), scale, self.config, generator))


class _ByNumber(Dataset[Pair | DataError]):
    """Batches, or what is wrong with them: raised in a worker, it would end as a traceback."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, number: int) -> Pair | DataError:
        try:
            return self.batches.batch(number)
        except DataError as error:
            return error


def _read(path: Path, mode: str) -> Tensor:
    pixels = read_pixels(path, mode)
    return torch.from_numpy(pixels).view(*pixels.shape[:2], -1).permute(2, 0, 1)
