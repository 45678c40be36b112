"""`kddn train`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from kddn.cli._research import research


def train(
    stage: Literal["teacher", "student"],
    /,
    *options: Annotated[str, Parameter(allow_leading_hyphen=True)],
) -> None:
    """Train a teacher or a student from a recipe.

    `kddn train student --config table1/l1` starts a run; every field of the recipe
    can be given as an option too, and `kddn train student -- --help` lists them. `--resume
    last.ckpt` goes on with a run.

    Args:
        stage: What to train.
        options: Options of the run.
    """
    print(research("training.run").train(stage, options))
