"""The training runs behind the paper's tables: what is trained already is not trained again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kddn.errors import KddnError
from kddn.research.nets.checkpoints import find_weights
from kddn.research.nets.registry import preset
from kddn.research.paper.tables import Entry, Row
from kddn.research.training.recipes import find_recipe, losses_of, read_recipe, with_bases
from kddn.research.training.run import train_once


@dataclass(frozen=True, kw_only=True)
class Runs:
    """How the rows of a table are trained: all in the same way."""

    output: Path
    """Folder of the runs, one a row and seed: a finished one is not trained again."""
    root: Path | None = None
    """Folder of NYU Depth V2's labelled pairs."""
    ohaze: Path | None = None
    """Folder of O-HAZE, to train on instead."""
    seeds: int = 1
    """Runs a row."""
    network: str = "paper"
    """The student's preset."""
    budget: float = 1.0
    """Fraction of each epoch's batches."""
    config: Sequence[str] = ()
    """Recipes or files that change every run."""
    teachers: Mapping[str, Path] = field(default_factory=dict)
    """Weights of teachers by the recipe they stand for; those missing are trained."""
    vgg: Path | None = None
    """Weights of VGG, for the rows with the perceptual loss."""

    def check(self) -> None:
        """See that files are there and that nothing is asked for twice, before anything is trained.

        Raises:
            KddnError: If not.
        """
        for path in filter(None, (self.vgg, *self.teachers.values())):
            if not find_weights(path).is_file():
                raise KddnError(f"{path} does not exist")
        for name in self.config:
            for path in with_bases(find_recipe(name)):
                says = read_recipe(str(path))
                said = {f"{part}.{key}" for part in ("model", "data") for key in says.get(part, {})}
                if "model.network" in said or "seed_everything" in says:
                    raise KddnError(
                        f"{path} says `model.network` or `seed_everything`, which every run has of "
                        "its own; give `network` and `seeds`"
                    )
                if differing := said & {"model.losses", "model.start", "data.seed"}:
                    raise KddnError(
                        f"{path} says {min(differing)}, by which the rows of a table differ; leave "
                        "it out"
                    )

    def student(self, row: Row, seed: int) -> Path:
        """Weights of one row from one seed, trained if they are not there yet."""
        changes = read_recipe(row.recipe)
        losses = losses_of(row.recipe)
        weighted = "network" not in changes["model"]  # only the baseline's recipe has another
        architecture, shape = preset("student", self.network)
        if not hasattr(shape, "spatially_weighted"):
            raise KddnError(
                f"{self.network} has no spatial weight to take away: no rows of a table"
            )
        shape = replace(shape, spatially_weighted=weighted)
        network = {
            "class_path": _name(architecture.network),
            "init_args": {"config": asdict(shape)},
        }
        options = [f"--model.network={json.dumps(network)}"]
        if "pairs" not in losses and (losses.get("imitation") or losses.get("deep_supervision")):
            options.append(f"--model.losses.pairs={architecture.pairs}")
        if losses.get("imitation") and "teacher" not in losses:
            teacher = self.teacher(changes.get("teacher_recipe", "teacher"))
            options.append(f"--model.losses.teacher={teacher}")
        if losses.get("perceptual") and self.vgg is not None:
            options.append(f"--model.losses.vgg={self.vgg}")
        folder = self.output / row.slug / f"{seed}"
        return self._train("student", [row.recipe], seed, folder, options)

    def system(self, entry: Entry) -> Path:
        """Weights of a system of Table 3 or 4, trained by its own recipes if they are not there."""
        options = []
        losses = [losses_of(recipe) for recipe in entry.recipes]
        if any(of.get("imitation") for of in losses):
            recipes = [read_recipe(recipe) for recipe in entry.recipes]
            named = [r["teacher_recipe"] for r in recipes if "teacher_recipe" in r]
            options.append(f"--model.losses.teacher={self.teacher([*named, 'teacher'][0])}")
        self.check_vgg(entry)
        if _is_perceptual(entry):
            options.append(f"--model.losses.vgg={self.vgg}")
        return self._train("student", entry.recipes, 0, self.output / entry.name, options)

    def check_vgg(self, entry: Entry) -> None:
        """See that there is a VGG, if a system needs one to be trained.

        Raises:
            KddnError: If there is none.
        """
        if self.vgg is None and _is_perceptual(entry):
            raise KddnError(f"{entry.name} needs a VGG to train: give `vgg`, or its `weights`")

    def teacher(self, recipe: str) -> Path:
        """Weights of the teacher that a recipe makes, trained if they are not there yet."""
        if recipe in self.teachers:
            return self.teachers[recipe]
        return self._train("teacher", [recipe], 0, self.output / recipe, [])

    def _train(
        self, stage: str, recipes: Sequence[str], seed: int, folder: Path, more: list[str]
    ) -> Path:
        said = [f"--config={name}" for name in (*recipes, *self.config)]
        said += [f"--seed_everything={seed}", f"--data.seed={seed}", f"--budget={self.budget}"]
        if self.root is not None:
            said.append(f"--data.root={self.root.resolve()}")
        if self.ohaze is not None:
            said.append(f"--data.ohaze={self.ohaze.resolve()}")
        return train_once(stage, [*said, *more], folder)


def _is_perceptual(entry: Entry) -> bool:
    return any(losses_of(recipe).get("perceptual") for recipe in entry.recipes)


def _name(of: Any) -> str:
    return f"{of.__module__}.{of.__qualname__}"
