"""`kddn train`: runs from YAML recipes and command-line options."""

from collections.abc import Sequence
from pathlib import Path

from lightning import LightningModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from kddn.research.data.module import NyuHaze
from kddn.research.training import StudentTraining, TeacherTraining
from kddn.research.weights import save_network

STAGES: dict[str, type[LightningModule]] = {"teacher": TeacherTraining, "student": StudentTraining}


class TrainCLI(LightningCLI):
    """Lightning's command line for one stage, with `--resume`."""

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
    args: ArgsType = list(arguments)
    cli = TrainCLI(
        STAGES[stage],
        NyuHaze,
        run=False,
        args=args,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": f"kddn train {stage}"},
    )
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config.resume, weights_only=False)
    path = Path(cli.trainer.log_dir or cli.trainer.default_root_dir) / "weights.safetensors"
    save_network(cli.model.network, path)
    return path
