"""`kddn train`: runs from YAML recipes and command-line options."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lightning import LightningModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from kddn.research.data.module import NyuHaze
from kddn.research.training import StudentTraining, TeacherTraining
from kddn.research.weights import save_network

STAGES: dict[str, type[LightningModule]] = {"teacher": TeacherTraining, "student": StudentTraining}


class TrainCLI(LightningCLI):
    """Lightning's command line for one stage, with `--resume`."""

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        # Lightning's own also warns when the process has arguments: here they are another parser's.
        self.config = parser.parse_args(cast(list[str], args))

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--resume", type=Path | None, default=None, help="checkpoint (.ckpt) to go on from"
        )


def train(stage: str, arguments: Sequence[str]) -> Path:
    """Train one stage and write `weights.safetensors` into the run's folder.

    Args:
        stage: `teacher` or `student`.
        arguments: Options as on the command line, `--config recipe.yaml` among them.

    Returns:
        The weights file.
    """
    cli = TrainCLI(
        STAGES[stage],
        NyuHaze,
        run=False,
        args=list(arguments),
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": f"kddn train {stage}"},
    )
    with warnings.catch_warnings():
        # Batches are numbered over the whole run, so that a resumed one does go on exactly.
        warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before")
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config.resume, weights_only=False)
    path = Path(cli.trainer.log_dir or cli.trainer.default_root_dir) / "weights.safetensors"
    save_network(cli.model.network, path)
    return path
