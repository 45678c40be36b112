"""`kddn train`: runs from YAML recipes and command-line options."""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
import yaml
from filelock import FileLock, Timeout
from jsonargparse import ArgumentParser
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from kddn.errors import KddnError, ModelError, one_line
from kddn.research.data.module import HazeData
from kddn.research.nets.checkpoints import first_difference, save_network
from kddn.research.nets.registry import describe, is_told_by
from kddn.research.training.callbacks import WeightsBeside
from kddn.research.training.memory import keep_freed_memory
from kddn.research.training.module import StudentTraining, TeacherTraining, Training
from kddn.research.training.recipes import find_recipe, find_recipes, with_bases

STAGES: dict[str, type[LightningModule]] = {"teacher": TeacherTraining, "student": StudentTraining}


class TrainCLI(LightningCLI):
    """Lightning's command line for one stage, with `--resume` and `--budget`.

    A student that imitates, and has no teacher, gets one trained first.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what recipes say beside Lightning's own."""
        parser.add_argument(
            "--base",
            type=str | list[str] | None,
            default=None,
            help="in a recipe: the recipe or recipes that it is changes to",
        )
        parser.add_argument(
            "--needs",
            type=list[str],
            default=[],
            help="in a recipe: the options that must be given beside it",
        )
        parser.add_argument(
            "--resume", type=Path | None, default=None, help="checkpoint (.ckpt) to go on from"
        )
        parser.add_argument(
            "--teacher_recipe",
            default="teacher",
            help="recipe of the teacher that is trained first where imitation lacks one",
        )
        parser.add_argument(
            "--budget",
            type=float,
            default=1.0,
            help="fraction of each epoch's batches to train on, the same for every recipe",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Read options and recipes."""
        # Lightning's own also warns when the process has arguments: here they are another parser's.
        self.config = parser.parse_args(cast(list[str], args))

    def before_instantiate_classes(self) -> None:
        """Check the options, and train a teacher that is missing."""
        config = self.config
        config.base = None  # it has been followed
        # Nor are this and the budget for config.yaml, by which the run may be repeated.
        self.resumed, config.resume = config.resume, None
        missing = [name for name in config.needs if config.get(name) is None]
        if missing and self.resumed is None:
            raise KddnError(f"this recipe needs --{' and --'.join(missing)}")
        if not 0 < config.budget <= 1:
            raise KddnError(f"budget must lie in (0, 1], not {config.budget}")
        _check_times(config.trainer)
        if config.budget < 1 and _ends_otherwise(config.trainer):
            raise KddnError(
                "--budget shortens epochs, and this run ends by time or steps; give it less of "
                "those instead"
            )
        config.data.fraction *= config.budget
        budget, config.budget = config.budget, 1.0
        losses = config.model.get("losses")
        if losses is not None and losses.imitation and losses.teacher is None:
            from_checkpoint = self.resumed is not None
            losses.teacher = (
                _teacher_of(self.resumed) if from_checkpoint else self._train_teacher(budget)
            )
            self._set_seed()  # anew: training a teacher has drawn from it

    def _train_teacher(self, budget: float) -> Path:
        """Train a teacher for this student: its recipe, with the student's data and limits."""
        folder = Path(self.config.trainer.default_root_dir or ".") / "teacher"
        self._rehearse()
        shared = json.loads(self.parser.dump(self.config, format="json"))
        kept = {
            "accelerator",
            "devices",
            "num_nodes",
            "strategy",
            "precision",
            "max_time",
            "max_steps",
        }
        kept |= {"log_every_n_steps", "enable_progress_bar"}
        limits = {key: value for key, value in shared["trainer"].items() if key in kept}
        for own in ("epoch_length", "fraction"):  # its schedule goes by them
            shared["data"].pop(own)
        options = [
            f"--config={self.config.teacher_recipe}",
            f"--budget={budget}",
            f"--data={json.dumps(shared['data'])}",
            f"--trainer={json.dumps(limits)}",
        ]
        return train_once("teacher", options, folder)

    @rank_zero_only
    def _rehearse(self) -> None:
        """Build everything once with an untrained teacher, so that mistakes cost no training."""
        with tempfile.TemporaryDirectory() as folder:
            untrained = Path(folder) / "untrained.safetensors"
            save_network(_untrained_teacher(self.config.teacher_recipe), untrained)
            config = self.config.clone()
            config.model.losses.teacher = untrained
            built = self.parser.instantiate(config)
            built.model.check_data(built.data)


def _untrained_teacher(recipe: str) -> nn.Module:
    """The network of a teacher's recipe."""
    parser = ArgumentParser()
    parser.add_class_arguments(TeacherTraining, "model")
    model: dict[str, Any] = {}
    for path in with_bases(find_recipe(recipe)):
        model |= (yaml.safe_load(path.read_text()) or {}).get("model", {})
    network = {"network": model["network"]} if "network" in model else {}
    built = parser.instantiate(parser.parse_object({"model": network}))
    teacher: nn.Module = built.model.network
    return teacher


def _teacher_of(checkpoint: Path) -> Path | Literal["untrained"]:
    """The teacher that the run of a checkpoint imitates.

    Raises:
        KddnError: If the run does not say.
    """
    config = checkpoint.parent.parent / "config.yaml"
    try:
        teacher = yaml.safe_load(config.read_text())["model"]["losses"]["teacher"]
        return "untrained" if teacher == "untrained" else Path(teacher)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise KddnError(
            f"{config} does not say which teacher {checkpoint} imitates; give model.losses.teacher"
        ) from error


def train(stage: str, arguments: Sequence[str]) -> Path:
    """Train one stage and write `weights.safetensors` into the run's folder.

    A student that imitates gets its teacher trained first, where none is given.

    Args:
        stage: `teacher` or `student`.
        arguments: Options as on the command line, `--config recipe` among them.

    Returns:
        The weights file.
    """
    cli = TrainCLI(
        STAGES[stage],
        HazeData,
        run=False,
        args=find_recipes(arguments),
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"plugins": f"{WeightsBeside.__module__}.{WeightsBeside.__name__}"},
        parser_kwargs={"prog": f"kddn train {stage}"},
    )
    if cli.resumed is not None:
        _check_checkpoint(cli.resumed, cli.model)
    for callback in cli.trainer.checkpoint_callbacks:
        # A folder holds one run: `last.ckpt` is always its last, not that of a run before.
        if isinstance(callback, ModelCheckpoint):
            callback._enable_version_counter = False
    if cli.trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    _log_as_csv_too(cli.trainer)
    if cli.resumed is None:
        _check_free(Path(cli.trainer.log_dir or cli.trainer.default_root_dir))
    else:
        _keep_log(cli.trainer.log_dir)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* directory .* exists and is not empty")
        # Batches are numbered over the whole run, so that a resumed one does go on exactly.
        warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before")
        # weights_only: a checkpoint is data, and has nothing run
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.resumed, weights_only=True)
    _take_averages(cli.trainer, cli.model)
    path = Path(cli.trainer.log_dir or cli.trainer.default_root_dir) / "weights.safetensors"
    rank_zero_only(save_network)(cli.model.network, path)
    cli.trainer.strategy.barrier()  # until the file is there for every process
    return path


def _check_checkpoint(path: Path, model: Training) -> None:
    """See that a run can go on from a checkpoint, before anything of the run is touched.

    Raises:
        ModelError: If it cannot.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        missing = {"state_dict", "optimizer_states", "pytorch-lightning_version"} - found.keys()
    except Exception as error:  # whatever the file has
        raise ModelError(
            f"{path} is no checkpoint to go on from ({one_line(str(error))}); give a run's "
            "checkpoints/last.ckpt"
        ) from error
    if missing:
        raise ModelError(
            f"{path} is no checkpoint to go on from (it has no {min(missing)}); give a run's "
            "checkpoints/last.ckpt, or begin anew from weights by model.start"
        )
    network, same = model.network, "go on with the recipe and options of its config.yaml"
    if (holds := found.get("network")) is not None and not is_told_by(network, holds):
        raise ModelError(f"{path} holds a {holds}, the run asks for a {describe(network)}; {same}")
    if difference := first_difference(model.state_dict(), found["state_dict"]):
        raise ModelError(f"{path} is of a run with other losses: {difference}; {same}")
    groups = model.configure_optimizers().param_groups
    before = [group["params"] for group in found["optimizer_states"][0]["param_groups"]]
    if list(map(len, before)) != [len(group["params"]) for group in groups]:
        raise ModelError(f"{path} is of a run with another optimizer; {same}")


def _take_averages(trainer: Trainer, model: LightningModule) -> None:
    """Have the model be the average, also where a resumed run was at its end and did no step."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging) and callback._average_model is not None:
            callback._copy_average_to_current(model)


def train_once(stage: str, arguments: Sequence[str], folder: Path) -> Path:
    """As `train`, into a folder of its own, with its log as CSV.

    What is trained there already is not trained again, and what was stopped goes on.

    Raises:
        KddnError: If what is there was asked for in another way.
    """
    with _alone(folder):
        return _train_once(stage, arguments, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While open, no other run may train into a folder.

    Raises:
        KddnError: If one does.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:  # which goes along with the first
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise KddnError(
            f"another run trains into {folder} at this moment; wait until it has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _train_once(stage: str, arguments: Sequence[str], folder: Path) -> Path:
    weights, last = folder / "weights.safetensors", folder / "checkpoints" / "last.ckpt"
    is_begun = weights.is_file() or last.is_file()
    _agree(folder / "options.json", _with_contents(arguments), is_begun=is_begun)
    if weights.is_file():
        return weights
    logger = {
        "class_path": f"{CSVLogger.__module__}.{CSVLogger.__qualname__}",
        "init_args": {"save_dir": str(folder), "name": "", "version": ""},
    }
    place = [f"--trainer.default_root_dir={folder}", f"--trainer.logger={json.dumps(logger)}"]
    if last.is_file():
        place.append(f"--resume={last}")
    return train(stage, [*arguments, *place])


def _check_times(trainer: Any) -> None:
    """See that a run does not end by two clocks, of which Lightning would ignore one.

    Raises:
        KddnError: If it is to.
    """
    if trainer.max_time is not None and _has_timer(trainer):
        raise KddnError(
            "this recipe ends by the time of its processors, which is its last callback's: give "
            "--trainer.callbacks.duration rather than --trainer.max_time"
        )


def _ends_otherwise(trainer: Any) -> bool:
    """Whether a run ends by anything but its epochs."""
    return _has_timer(trainer) or trainer.max_time is not None or trainer.max_steps > 0


def _has_timer(trainer: Any) -> bool:
    callbacks = trainer.callbacks or []
    listed = callbacks if isinstance(callbacks, list) else [callbacks]  # one alone may be given
    return any(each.class_path.endswith("Timer") for each in listed)


@rank_zero_only
def _agree(path: Path, arguments: list[str], *, is_begun: bool) -> None:
    """See that a run that was begun was asked for as it is now, or note how it is.

    Raises:
        KddnError: If it was asked for in another way.
    """
    if not (path.is_file() and is_begun):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(arguments, indent=2) + "\n")
    elif (before := json.loads(path.read_text())) != arguments:
        differing = ", ".join(sorted(set(before) ^ set(arguments))) or "in another order"
        raise KddnError(
            f"{path.parent} was trained in another way ({differing}); choose another folder, or "
            "remove that one"
        )


def _with_contents(arguments: Sequence[str]) -> list[str]:
    """Arguments, with a checksum of each recipe and each other file that they stand for."""
    recipes = [Path(word) for word in find_recipes(arguments) if word.endswith((".yaml", ".yml"))]
    sums = [f"{path.name} {_checksum(_said(path))}" for path in recipes if path.is_file()]
    values = [word.partition("=") for word in arguments if not word.startswith("--config")]
    for option, _, value in values:
        if os.path.isfile(value):  # noqa: PTH113 - a value may be too long for a path
            sums.append(f"{option} {_checksum(Path(value).read_bytes())}")
    return [*arguments, *sums]


def _said(recipe: Path) -> bytes:
    """What a recipe says, whatever its comments say."""
    return json.dumps(yaml.safe_load(recipe.read_text()), sort_keys=True, default=str).encode()


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _log_as_csv_too(trainer: Trainer) -> None:
    """Beside TensorBoard's log, which is the default, one that other programs can read."""
    if isinstance(board := trainer.logger, TensorBoardLogger):
        trainer.loggers = [board, CSVLogger(board.root_dir, name="", version=board.version)]


@rank_zero_only
def _check_free(folder: Path) -> None:
    """See that a folder holds no run yet, whose weights a new one would replace.

    Raises:
        KddnError: If it does.
    """
    for name in ("weights.safetensors", "checkpoints/last.ckpt"):
        if (folder / name).exists():
            raise KddnError(
                f"{folder} holds a run already ({name}); go on with it by --resume "
                f"{folder}/checkpoints/last.ckpt, move it away, or name another place by "
                "--trainer.default_root_dir or --trainer.logger.init_args.version"
            )


@rank_zero_only
def _keep_log(folder: str | None) -> None:
    """Rename the log of an earlier part of the run, which Lightning's CSVLogger would delete."""
    if folder is not None and (log := Path(folder) / "metrics.csv").is_file():
        parts = len(list(log.parent.glob("metrics-*.csv")))
        log.rename(log.with_name(f"metrics-{parts + 1}.csv"))
