"""Recipes by name: each says what it changes, and names what it is changes to as its `base`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kddn.errors import DataError, KddnError

RECIPES = Path(__file__).parent
"""Where they are, some in folders."""


def find_recipes(arguments: Sequence[str]) -> list[str]:
    """Arguments in which recipes' names have become their files, behind the files they change.

    Raises:
        DataError: If `--config` or a recipe's `base` names neither a file nor a recipe.
        KddnError: If there is a `base` among the arguments.
    """
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        option, _, value = word.partition("=")
        if option == "--base":
            raise KddnError("--base is for recipes; give --config once for each instead")
        if option != "-c" and not (len(option) > 3 and "--config".startswith(option)):
            found.append(word)
            continue
        *bases, recipe = with_bases(find_recipe(value or next(words, "")))
        for base in bases:
            if str(base) not in found:  # once: what it says again is no change
                found += ["--config", str(base)]
        found += ["--config", str(recipe)]
    return found


def with_bases(recipe: Path, changes: Sequence[Path] = ()) -> list[Path]:
    """A recipe behind all that it is changes to: its `base`, that one's, and so on.

    Args:
        recipe: The file.
        changes: Recipes whose base it is.

    Raises:
        DataError: If a file cannot be read, or a base is none.
    """
    if recipe in changes:
        raise DataError(f"{recipe} is its own `base`, in the end; leave one of them out")
    try:
        says = yaml.safe_load(recipe.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{recipe} cannot be read as a recipe ({error})") from error
    base = says.get("base") if isinstance(says, dict) else None
    names = [base] if isinstance(base, str) else base or []
    found = [each for name in names for each in with_bases(find_recipe(name), [*changes, recipe])]
    return [*found, recipe]


def find_recipe(name: str) -> Path:
    """The file of a recipe, given as that file or by its name, with its folder's or without.

    Raises:
        DataError: If it is neither.
    """
    if Path(name).is_file():
        return Path(name)
    recipes = sorted(RECIPES.rglob("*.yaml"))
    names = [str(path.relative_to(RECIPES).with_suffix("")) for path in recipes]
    found = [path for path, known in zip(recipes, names, strict=True) if known == name]
    found = found or [path for path in recipes if path.stem == name]
    if len(found) != 1:
        raise DataError(f"{name!r} is neither a file nor a recipe; recipes are {', '.join(names)}")
    return found[0]


def read_recipe(name: str) -> dict[str, Any]:
    """What a recipe itself says: not what it is changes to."""
    recipe: dict[str, Any] = yaml.safe_load(find_recipe(name).read_text()) or {}
    return recipe


def losses_of(recipe: str) -> dict[str, Any]:
    """What a recipe itself says of the losses."""
    losses: dict[str, Any] = read_recipe(recipe).get("model", {}).get("losses", {})
    return losses
