"""What the commands of the research half share."""

from pathlib import Path
from typing import Any

from kddn.cli._libraries import optional
from kddn.errors import KddnError


def research(module: str) -> Any:
    """A module of the research half, or a word on how to install what it needs."""
    return optional(f"kddn.research.{module}", "train")


def named_paths(entries: list[str], root: Path | None = None) -> dict[str, Path]:
    """Paths by name, of `name=path`, or of a name alone, whose path is the root."""
    paths: dict[str, Path] = {}
    for entry in entries:
        name, _, path = entry.partition("=")
        if not path and root is None:
            raise KddnError(f"where is {name}? Give it as {name}=PATH")
        if name in paths:
            raise KddnError(f"{name} is given twice: {paths[name]} and {path or root}; name one")
        paths[name] = Path(path or root or "")
    return paths
