"""Training: the schedule, runs that learn, and runs that go on after a stop."""

import csv
import json
import math
import os
from unittest.mock import patch

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from helpers import Bad
from kddn.errors import KddnError, ModelError
from kddn.research.evaluation.metrics import psnr
from kddn.research.haze import scatter
from kddn.research.losses.functions import reconstruction
from kddn.research.nets import Student, StudentConfig, Teacher, TeacherConfig
from kddn.research.nets.checkpoints import load_network, save_network
from kddn.research.nets.registry import describe
from kddn.research.training.callbacks import CycleAveraging, RampedAveraging
from kddn.research.training.clock import ProcessorTimer
from kddn.research.training.recipes import find_recipe, with_bases
from kddn.research.training.run import _alone, _untrained_teacher, _with_contents, train, train_once
from kddn.research.training.schedule import Optimization

pytestmark = pytest.mark.slow


def test_schedule_is_the_cosine():
    schedule = Optimization(learning_rate=1e-3, floor=1e-5, cycles=1)
    assert schedule.rate(0) == pytest.approx(1e-3)
    assert schedule.rate(0.5) == pytest.approx((1e-3 + 1e-5) / 2)
    assert schedule.rate(0.25) == pytest.approx(1e-5 + 0.99e-3 * (1 + math.sqrt(0.5)) / 2)
    assert schedule.rate(1) == pytest.approx(1e-5)


def test_cycles_start_again_and_the_last_one_ends_low():
    schedule = Optimization(learning_rate=1e-3, floor=1e-5, cycles=3)
    assert schedule.rate(1 / 3 - 1e-9) == pytest.approx(1e-5, rel=1e-3)
    assert schedule.rate(1 / 3 + 1e-9) == pytest.approx(1e-3, rel=1e-3)
    assert schedule.rate(1) == pytest.approx(1e-5)


def test_warmup_rises_from_the_floor():
    schedule = Optimization(learning_rate=1e-3, floor=1e-5, cycles=1, warmup=0.1)
    assert schedule.rate(0) == 1e-5
    assert 1e-5 < schedule.rate(0.05) < schedule.rate(0.1)


@pytest.mark.parametrize(
    "bad", [{"learning_rate": 0}, {"floor": 1}, {"cycles": 0}, {"warmup": 1.0}]
)
def test_impossible_schedules_are_refused(bad):
    with pytest.raises(ValueError, match="optimization needs"):
        Optimization(**bad)


def options(nyu, folder, steps, *more):
    return [
        "--model.network=paper",
        f"--data.root={nyu}",
        "--data.train_scenes=4",
        "--data.validation_scenes=2",
        "--data.validation_scales=[0.1]",
        "--data.epoch_length=4",
        "--data.batch={size: 2, crop: 32, scales: [0.1, 0.2]}",
        f"--trainer.max_steps={steps}",
        "--trainer.accelerator=cpu",
        "--trainer.num_sanity_val_steps=0",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.log_every_n_steps=1",
        "--trainer.logger.class_path=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.init_args={{save_dir: {folder}, name: '', version: ''}}",
        "--trainer.callbacks.class_path=lightning.pytorch.callbacks.ModelCheckpoint",
        "--trainer.callbacks.init_args={save_last: true, every_n_train_steps: 1, save_top_k: -1}",
        "--trainer.callbacks+=lightning.pytorch.callbacks.EMAWeightAveraging",
        "--trainer.callbacks.init_args={decay: 0.5}",
        *more,
    ]


def log(folder, column):
    with (folder / "metrics.csv").open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row[column]]


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_a_run_leaves_weights_logs_and_its_configuration(nyu, tmp_path, stage):
    pictures = "--trainer.callbacks+=kddn.research.training.callbacks.SamplePictures"
    weights = train(stage, options(nyu, tmp_path, 4, pictures))
    network = load_network(weights)
    assert isinstance(network, Teacher if stage == "teacher" else Student)
    assert len(log(tmp_path, "loss")) == 4
    assert log(tmp_path, "lr")[0] > log(tmp_path, "lr")[-1]
    assert all(math.isfinite(value) for value in log(tmp_path, "psnr@0.1"))
    assert "epoch_length: 4" in (tmp_path / "config.yaml").read_text()
    with Image.open(tmp_path / "samples" / "0000004.png") as sheet:
        assert sheet.width > 3 * 62
        panels = [sheet.crop((left, 28, left + 62, 74)).tobytes() for left in (0, 70, 140)]
    assert (panels[0] == panels[2]) == (stage == "teacher")
    assert panels[1] != panels[2]


def test_the_run_averages_its_weights(nyu, tmp_path):
    averaged = load_network(train("student", options(nyu, tmp_path, 4)))
    last = torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=False)
    mean, raw = last["state_dict"], last["current_model_state"]
    name = "backbone.group1.tail.conv.weight"
    assert not torch.equal(mean[f"network.{name}"], raw[f"network.{name}"])
    torch.testing.assert_close(averaged.state_dict()[name], mean[f"network.{name}"])
    beside = load_network(next(tmp_path.rglob("last.safetensors")))
    torch.testing.assert_close(beside.state_dict(), averaged.state_dict())


def test_the_ramped_mean_soon_forgets_what_it_began_with(nyu, tmp_path):
    class Watched(RampedAveraging):
        def _mean(self, means, weights, count):
            seen.append(weights[-1].detach().clone())
            super()._mean(means, weights, count)

    seen = []
    given = options(nyu, tmp_path, 6)
    averaging = [given.index(word) for word in given if "EMAWeightAveraging" in word]
    del given[averaging[0] : averaging[0] + 2]
    with patch("kddn.research.training.callbacks.RampedAveraging", Watched):
        path = "--trainer.callbacks+=kddn.research.training.callbacks.RampedAveraging"
        weights = train("student", [*given, path])
    mean = seen[0]  # the first counts as the mean, whatever was there before
    for count, weight in enumerate(seen[1:], start=1):
        mean = mean + (1 - (1 + count) / (10 + count)) * (weight - mean)
    last = list(load_network(weights).state_dict().values())[-1]
    torch.testing.assert_close(last, mean)
    with pytest.raises(ValueError, match="decay in"):
        RampedAveraging(1.0)


def test_the_mean_is_of_the_lower_halves_of_the_cycles(nyu, tmp_path):
    class Watched(CycleAveraging):
        def _mean(self, mean, weights, count):
            if weights.shape == (3,):  # of the network's last bias, once an update
                seen.append((self._trainer.global_step, self.count, weights.clone()))
            return super()._mean(mean, weights, count)

    seen = []
    given = options(nyu, tmp_path, 12, "--model.optimization={learning_rate: 1e-3, cycles: 3}")
    averaging = [given.index(word) for word in given if "EMAWeightAveraging" in word]
    del given[averaging[0] : averaging[0] + 2]
    with patch("kddn.research.training.callbacks.CycleAveraging", Watched):
        path = "--trainer.callbacks+=kddn.research.training.callbacks.CycleAveraging"
        weights = train("student", [*given, path, "--trainer.callbacks.init_args={every: 1}"])
    counted = [(step, value) for step, count, value in seen if count]
    assert [step for step, _ in counted] in ([6, 7, 10, 11], [6, 7, 10, 11, 12])
    mean = torch.stack([value for _, value in counted]).mean(0)
    state = load_network(weights).state_dict()
    torch.testing.assert_close(state["ends.decoder.4.conv.bias"], mean)


def test_the_default_log_is_for_tensorboard_and_as_csv(nyu, tmp_path):
    given = options(nyu, tmp_path, 2, f"--trainer.default_root_dir={tmp_path}")
    weights = train("student", [word for word in given if "--trainer.logger" not in word])
    assert len(log(weights.parent, "loss")) == 2
    assert list(weights.parent.glob("events.out.tfevents.*"))
    assert (weights.parent / "config.yaml").is_file()


def test_a_run_tells_its_pace(nyu, tmp_path):
    train("student", options(nyu, tmp_path, 6))
    assert all(rate > 0 for rate in log(tmp_path, "images/s"))
    left = log(tmp_path, "minutes left")
    assert left[-1] == 0 < left[-2]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_stopped_run_goes_on_exactly(nyu, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = load_network(train("student", options(nyu, whole, 7))).state_dict()
    # In the middle of the second epoch, as if killed there.
    stop = next(path for path in whole.rglob("*.ckpt") if "step=6" in path.name)
    resumed = load_network(train("student", options(nyu, parts, 7, f"--resume={stop}")))
    torch.testing.assert_close(resumed.state_dict(), expected, rtol=0, atol=0)
    assert log(parts, "loss") == log(whole, "loss")[6:]
    program = {**torch.load(stop, weights_only=True), "more": Bad(os.mkdir, str(tmp_path / "ran"))}
    torch.save(program, tmp_path / "bad.ckpt")
    with pytest.raises(ModelError, match=r"bad.ckpt is no checkpoint to go on from"):
        train("student", options(nyu, tmp_path, 7, f"--resume={tmp_path / 'bad.ckpt'}"))
    assert not (tmp_path / "ran").exists()


OTHERWISE = {
    "last.ckpt": ["--model.network=small"],
    "losses": ["--model.losses={imitation: 1.0, teacher: untrained}"],
    "optimizer": ["--model.optimization.optimizer=muon"],
}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("weights.safetensors", "is no checkpoint to go on from"),
        ("empty.ckpt", "is no checkpoint to go on from"),
        ("cut.ckpt", "is no checkpoint to go on from"),
        ("theirs.ckpt", "it has no optimizer_states"),
        ("last.ckpt", "holds a .* the run asks for a .*go on with the recipe"),
        ("losses", "is of a run with other losses: .*go on with the recipe"),
        ("optimizer", "is of a run with another optimizer; go on with the recipe"),
    ],
)
def test_a_run_is_left_alone_by_what_it_cannot_go_on_from(nyu, tmp_path, name, cause):
    run = tmp_path / "run"
    train("student", options(nyu, run, 1))
    (last,) = run.rglob("last.ckpt")
    (run / "empty.ckpt").touch()
    (run / "cut.ckpt").write_bytes(last.read_bytes()[:5000])
    torch.save({"state_dict": {}}, run / "theirs.ckpt")
    more = OTHERWISE.get(name, [])
    (given,) = run.rglob("last.ckpt" if more else name)
    kept = {path: path.read_bytes() for path in (run / "config.yaml", run / "metrics.csv")}
    with pytest.raises(ModelError, match=cause):
        train("student", options(nyu, run, 2, f"--resume={given}", *more))
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_checkpoint_of_an_earlier_kddn_which_knew_less_is_gone_on_from(nyu, tmp_path):
    train("student", options(nyu, tmp_path, 1))
    (last,) = tmp_path.rglob("last.ckpt")
    found = torch.load(last, weights_only=True)
    config = json.loads(found["network"]["config"])
    del config["global_residual"]  # what it is by default
    found["network"]["config"] = json.dumps(config)
    torch.save(found, last)
    train("student", options(nyu, tmp_path, 2, f"--resume={last}"))
    assert len(log(tmp_path, "loss")) == 1


def test_a_run_is_not_replaced_by_another_but_gone_on_with(nyu, tmp_path):
    train("student", options(nyu, tmp_path, 1))
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for more in (["--seed_everything=2"], ["--data.root=nowhere"]):
        with pytest.raises(KddnError, match=r"holds a run already \(weights.safetensors\)"):
            train("student", options(nyu, tmp_path, 1, *more))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept
    (last,) = tmp_path.rglob("last.ckpt")
    weights = train("student", options(nyu, tmp_path, 2, f"--resume={last}"))
    (last,) = tmp_path.rglob("last*.safetensors")
    torch.testing.assert_close(load_network(last).state_dict(), load_network(weights).state_dict())


class Twice(torch.nn.Module):
    """A layer under two names."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 3, 1)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(x))


def test_layers_that_are_used_twice_are_saved_and_loaded(nyu, tmp_path):
    network = {"class_path": "test_training.Twice"}
    weights = train("student", options(nyu, tmp_path, 1, f"--model.network={json.dumps(network)}"))
    for path in (weights, next(tmp_path.rglob("last.safetensors"))):
        state = load_file(path)
        assert torch.equal(state["first.weight"], state["second.weight"])


def test_two_runs_do_not_train_into_one_folder(nyu, tmp_path):
    with _alone(tmp_path), pytest.raises(KddnError, match="another run trains into"):
        train_once("student", options(nyu, tmp_path, 1), tmp_path)
    with _alone(tmp_path):
        pass


def test_what_a_teachers_recipe_has_is_what_is_paired_with(nyu, tmp_path):
    recipe = tmp_path / "teacher.yaml"
    teacher = {"class_path": "kddn.research.nets.Teacher", "init_args": {}}
    config = {"width": 8, "blocks": 2}
    teacher["init_args"]["config"] = config
    recipe.write_text(yaml.safe_dump({"base": "teacher", "model": {"network": teacher}}))
    built = _untrained_teacher(str(recipe))
    assert (built.config.width, built.config.blocks) == (8, 2)
    assert describe(_untrained_teacher("teacher")) == describe(Teacher())


def test_networks_with_batch_norms_are_averaged_and_loaded(nyu, tmp_path):
    given = options(nyu, tmp_path, 3)
    averaging = [given.index(word) for word in given if "EMAWeightAveraging" in word]
    del given[averaging[0] : averaging[0] + 2]
    network = {"class_path": "test_training.Normed"}
    more = [
        f"--model.network={json.dumps(network)}",
        "--trainer.callbacks+=kddn.research.training.callbacks.RampedAveraging",
    ]
    train("student", [*given, *more])
    state = load_file(next(tmp_path.rglob("last.safetensors")))
    assert state["1.num_batches_tracked"] == 3


class Normed(nn.Sequential):
    """A network of one's own with a count that is no number to average."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


@pytest.mark.filterwarnings("ignore:.*treespec")
def test_a_teacher_that_is_not_good_enough_is_told(nyu, tmp_path):
    with pytest.warns(UserWarning, match=r"below the 90 dB that were to be enough"):
        train("teacher", options(nyu, tmp_path, -1, "--trainer.max_epochs=1", "--model.enough=90"))


def test_an_average_over_cycles_goes_on_with_its_count(nyu, tmp_path):
    averaging = CycleAveraging()
    averaging.count = 7
    other = CycleAveraging()
    other.load_state_dict(averaging.state_dict())
    assert other.count == 7


def test_a_finished_run_that_is_resumed_keeps_its_average(nyu, tmp_path):
    first = load_network(train("student", options(nyu, tmp_path, 4))).state_dict()
    (last,) = tmp_path.rglob("last.ckpt")
    again = load_network(train("student", options(nyu, tmp_path, 4, f"--resume={last}")))
    torch.testing.assert_close(again.state_dict(), first, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:this run had")
def test_the_schedule_goes_on_with_fewer_steps_an_epoch(nyu, tmp_path):
    epochs = ["--trainer.max_epochs=4", "--model.optimization.cycles=1"]
    train("student", options(nyu, tmp_path / "whole", -1, *epochs))
    rates = log(tmp_path / "whole", "lr")
    stop = next(path for path in tmp_path.rglob("*.ckpt") if "step=8" in path.name)
    more = ["--trainer.accumulate_grad_batches=2", f"--resume={stop}"]
    train("student", options(nyu, tmp_path / "parts", -1, *epochs, *more))
    assert log(tmp_path / "parts", "lr") == pytest.approx(rates[9::2])


def test_a_run_does_not_end_by_two_clocks(nyu, tmp_path):
    timer = f"{ProcessorTimer.__module__}.{ProcessorTimer.__name__}"
    told = [f"--trainer.callbacks+={timer}", "--trainer.callbacks.duration=00:00:01:00"]
    with pytest.raises(KddnError, match=r"give --trainer\.callbacks\.duration rather than"):
        train("student", options(nyu, tmp_path, 2, *told, "--trainer.max_time=00:00:02:00"))


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_what_is_only_looked_at_has_the_precision_of_the_run(nyu, tmp_path, precision):
    save_network(Teacher(), tmp_path / "teacher.safetensors")
    losses = f"--model.losses={{imitation: 1.0, teacher: {tmp_path}/teacher.safetensors}}"
    train("student", options(nyu, tmp_path, 2, losses, f"--trainer.precision={precision}"))
    assert all(map(math.isfinite, log(tmp_path, "loss")))


def test_a_resumed_student_keeps_its_teacher(nyu, tmp_path):
    teacher = tmp_path / "teacher.safetensors"
    save_network(Teacher(), teacher)
    imitate = "--model.losses={imitation: 1.0}"
    given = f"--model.losses.teacher={teacher}"
    train("student", options(nyu, tmp_path / "run", 2, imitate, given))
    (last,) = (tmp_path / "run").rglob("last.ckpt")
    train("student", options(nyu, tmp_path / "run", 3, imitate, f"--resume={last}"))
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["model"]["losses"]["teacher"] == str(teacher)
    assert not list(tmp_path.rglob("teacher/*"))
    (tmp_path / "run/config.yaml").unlink()
    with pytest.raises(KddnError, match="does not say which teacher"):
        train("student", options(nyu, tmp_path / "run", 4, imitate, f"--resume={last}"))


def test_a_teacher_stops_when_it_is_good_enough(nyu, tmp_path):
    train("teacher", options(nyu, tmp_path, 40, "--model.enough=1.0"))
    assert len(log(tmp_path, "loss")) == 4  # the first epoch


def test_weights_that_do_not_fit_are_refused_before_training(nyu, tmp_path):
    path = tmp_path / "small.safetensors"
    save_network(Student(StudentConfig(width=48)), path)
    with pytest.raises(ModelError, match=r"small.safetensors holds a .*student"):
        train("student", options(nyu, tmp_path, 1, f"--model.start={path}"))


def test_narrower_weights_are_widened_to_start_from(nyu, tmp_path):
    path = tmp_path / "narrow.safetensors"
    save_network(Student(StudentConfig(width=16)), path)
    weights = train("student", options(nyu, tmp_path, 1, f"--model.start={path}"))
    assert load_network(weights).config == StudentConfig()


def test_an_unknown_field_is_named(nyu, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train("student", options(nyu, tmp_path, 1, "--data.epoch_lenght=5"))
    assert "epoch_lenght" in capsys.readouterr().err


@pytest.mark.parametrize(
    "network", [Teacher(TeacherConfig(width=4)), Student(StudentConfig(width=4, groups=2))]
)
def test_weights_come_back_as_they_were(tmp_path, network):
    save_network(network, tmp_path / "w.safetensors")
    again = load_network(tmp_path / "w.safetensors")
    assert again.config == network.config
    torch.testing.assert_close(again.state_dict(), network.state_dict())


def test_unreadable_weights_are_named(tmp_path):
    for name, told in {
        "no.safetensors": "is not a readable",
        "no.ckpt": "is no checkpoint",
    }.items():
        with pytest.raises(ModelError, match=f"{name} does not exist"):
            load_network(tmp_path / name)
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ModelError, match=f"{name} {told}"):
            load_network(tmp_path / name)


def test_a_small_student_learns_one_pair_by_heart():
    torch.manual_seed(0)
    clean = torch.rand(1, 3, 5, 5)
    clean = torch.nn.functional.interpolate(clean, (32, 32), mode="bilinear")
    t = torch.linspace(0.3, 0.9, 32).view(1, 1, 1, 32)
    hazy = scatter(clean, t, 0.9)
    student = Student(StudentConfig(width=16, groups=2, blocks=1, global_residual=True))
    optimizer = torch.optim.Adam(student.parameters(), lr=4e-3)
    schedule = Optimization(learning_rate=4e-3, floor=1e-5, cycles=1)
    for step in range(600):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step / 600)
        optimizer.zero_grad()
        reconstruction(student(hazy), clean).backward()
        optimizer.step()
    assert psnr(hazy, clean).item() < 15
    assert psnr(student(hazy), clean).item() > 35


def test_a_resumed_run_can_be_repeated_by_its_config(nyu, tmp_path):
    train("student", options(nyu, tmp_path / "run", 2))
    (last,) = (tmp_path / "run").rglob("last.ckpt")
    train("student", options(nyu, tmp_path / "run", 3, f"--resume={last}"))
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["resume"] is None
    assert config["trainer"]["max_steps"] == 3


def test_a_resumed_student_keeps_its_untrained_teacher(nyu, tmp_path):
    imitate = "--model.losses={imitation: 1.0}"
    given = "--model.losses.teacher=untrained"
    train("student", options(nyu, tmp_path / "run", 2, imitate, given))
    (last,) = (tmp_path / "run").rglob("last.ckpt")
    train("student", options(nyu, tmp_path / "run", 3, imitate, f"--resume={last}"))
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["model"]["losses"]["teacher"] == "untrained"


def test_what_the_files_say_is_part_of_how_a_run_was_asked_for(tmp_path):
    base, mine, teacher = (tmp_path / name for name in ("base.yaml", "mine.yaml", "t.safetensors"))
    base.write_text("data: {seed: 1}\n")
    mine.write_text(f"base: {base}\n")
    teacher.write_bytes(b"one")
    words = [f"--config={mine}", f"--model.losses.teacher={teacher}", "--data.seed=2"]
    before = _with_contents(words)
    base.write_text("# the same\ndata: {seed: 1}\n")
    assert _with_contents(words) == before
    base.write_text("data: {seed: 3}\n")
    assert len(set(before) - set(_with_contents(words))) == 1
    teacher.write_bytes(b"other")
    assert len(set(before) - set(_with_contents(words))) == 2
    assert (
        len(_with_contents(["--config=table1/l1"]))
        == 2 + len(with_bases(find_recipe("table1/l1"))) - 1
    )
