"""Training on several devices: what each sees, and that together they are as one."""

import csv
import os
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock, patch

import pytest
import torch

from helpers import tiny
from kddn.errors import DataError
from kddn.research.data.batches import BatchConfig, Batches
from kddn.research.data.module import _Share
from kddn.research.data.pair import Pair
from kddn.research.data.paired import FixedPairs, PairFiles
from kddn.research.data.scenes import HazedScenes
from kddn.research.nets.checkpoints import load_network
from kddn.research.training.clock import ProcessorTimer
from kddn.research.training.run import train
from kddn.research.training.schedule import progress

pytestmark = pytest.mark.slow

CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


def options(nyu, folder, *more):
    """Six steps in two epochs, their batches all of one shape."""
    return [
        *tiny(nyu, folder),
        "--model.network=unet",
        "--model.optimization={optimizer: muon, cycles: 1}",
        "--data.train_scenes=4",
        "--data.validation_scenes=3",
        "--data.epoch_length=3",
        "--data.batch={size: 1, crop: 32, scales: [0.1, 0.1], full_turns: false}",
        "--trainer.max_steps=6",
        f"--trainer.logger.init_args={{save_dir: {folder}, name: '', version: ''}}",
        f"--trainer.callbacks={CHECKPOINT}",
        "--trainer.callbacks.init_args={every_n_train_steps: 1, save_top_k: -1}",
        *more,
    ]


TWO = ("--trainer.strategy=ddp", "--trainer.devices=2")


def run(*command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stderr


def log(folder, column):
    with (folder / "metrics.csv").open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row[column]]


class Doubled(Batches):
    """Two batches in one."""

    def __init__(self, inner):
        super().__init__(inner.config, seed=inner.seed, length=inner.length)
        self.inner = inner

    def batch(self, number):
        pairs = (self.inner.batch(2 * number), self.inner.batch(2 * number + 1))
        return Pair(*map(torch.cat, zip(*pairs, strict=True)))


@pytest.fixture(scope="module")
def two(nyu, tmp_path_factory):
    """The folder of a run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node=2")
    run(*torchrun, "-m", "kddn", "train", "student", *options(nyu, folder, *TWO))
    return folder


def test_two_processes_learn_as_one_with_the_doubled_batch(nyu, two, tmp_path):
    class OfDoubled(HazedScenes):
        def __new__(cls, *arguments, **named):
            return Doubled(HazedScenes(*arguments, **named))

    with patch("kddn.research.data.module.HazedScenes", OfDoubled):
        weights = train("student", options(nyu, tmp_path))
    for column in ("loss", "lr", "psnr@0.1"):
        assert log(two, column) == pytest.approx(log(tmp_path, column), rel=1e-5)
    assert len(log(two, "loss")) == 6
    one, other = load_network(weights), load_network(two / "weights.safetensors")
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_one_process_goes_on_from_two_with_the_batches_that_are_left(nyu, two, tmp_path):
    seen = []

    class Watched(HazedScenes):
        def batch(self, number):
            seen.append(number)
            return super().batch(number)

    stop = next(path for path in two.rglob("*.ckpt") if "step=4" in path.name)
    with (
        patch("kddn.research.data.module.HazedScenes", Watched),
        patch("kddn.research.training.module.rank_zero_warn") as warn,
    ):
        train("student", options(nyu, tmp_path, f"--resume={stop}"))
    assert "had 2 batches a step and goes on with 1: no batch comes twice" in warn.call_args[0][0]
    assert seen == [8, 9]
    assert len(log(tmp_path, "loss")) == 2
    assert log(tmp_path, "lr") == pytest.approx(log(two, "lr")[4:])


def test_gradients_are_accumulated_over_batches_that_come_once(nyu, two, tmp_path):
    train(
        "student",
        options(nyu, tmp_path, "--data.epoch_length=6", "--trainer.accumulate_grad_batches=2"),
    )
    assert log(two, "psnr@0.1") == pytest.approx(log(tmp_path, "psnr@0.1"), rel=1e-5)


def test_several_processes_train_the_missing_teacher_together(nyu, tmp_path):
    imitate = "--model.losses={imitation: 1.0}"
    run("kddn", "train", "student", *tiny(nyu, tmp_path), imitate, *TWO)
    (weights,) = tmp_path.glob("version_*/weights.safetensors")
    load_network(weights)
    assert len(log(tmp_path / "teacher", "loss")) == 2


def test_devices_share_the_images_that_validate():
    pairs = list("abcde")
    shares = [list(_Share(pairs, device, 3)) for device in range(3)]
    assert shares == [["a", "d"], ["b", "e"], ["c"]]
    assert list(_Share(pairs, 5, 6)) == pairs


def test_an_epoch_of_several_devices_has_no_image_twice(tmp_path, photo):
    files = [PairFiles(str(index), photo, photo) for index in range(12)]
    epoch = []
    for device in range(2):
        config = BatchConfig(size=2, crop=8)
        data = FixedPairs(files, config, seed=0, length=100, workers=0)
        data.share(device, 2)
        assert len(data) == len(list(data)) == 3
        epoch += data.numbers()
    assert sorted(epoch) == list(range(6))
    with pytest.raises(DataError, match="6 batches of 2 images here for 7 devices"):
        data.share(0, 7)


def test_the_clock_of_the_first_device_counts():
    timer = ProcessorTimer("00:00:01:00")
    strategy = SimpleNamespace(broadcast=Mock(return_value=0.25))
    trainer = SimpleNamespace(max_steps=-1, max_epochs=-1, callbacks=[timer], strategy=strategy)
    assert progress(trainer) == 0.25
    strategy.broadcast.assert_called_once_with(0.0)
