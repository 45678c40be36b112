"""`kddn data`: what data sets there are, and whether a folder holds one whole."""

import sys
from collections import defaultdict
from pathlib import Path

from rich import print as show
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kddn.cli._research import research

_SHOWN = 5
"""Problems of a kind that are told one by one."""


def list_data(name: str | None = None, /) -> None:
    """List the data sets that can be judged by or trained on.

    Args:
        name: Tell of this one how its files are called, whose it is, and where it is to be had.
    """
    sets = research("data.sets")
    if name is None:
        table = Table(box=None, show_header=False)
        for data in sets.DATA_SETS.values():
            table.add_row(data.name, data.summary)
        show(table)
        return
    data = sets.find_data_set(name)
    # As they are, whole: addresses are to be copied.
    print(f"what it is  {data.summary}")
    print(f"files       {data.example}")
    print(f"licence     {data.licence}")
    print(f"source      {data.source}")


def check_data(name: str, root: Path, /) -> None:
    """See whether a folder holds a data set whole.

    Counts what is missing, misnamed, of the wrong size, unreadable or too much, before anything
    runs. The exit status is 1 if something is.

    Args:
        name: The data set, as `kddn data list` names it.
        root: Its folder.
    """
    data = research("data.sets").find_data_set(name)
    console = Console(stderr=True)
    looks = data.check(root)
    found = list(track(looks, "Looking", console=console, disable=not console.is_terminal))
    by_kind = defaultdict(list)
    for problem in found:
        if problem is not None:
            by_kind[problem.kind].append(problem.text)
    print(f"{data.name} in {root}: {found.count(None):,} files are as they should be")
    for kind, texts in by_kind.items():
        print(f"{kind}: {len(texts):,}")
        for text in texts[:_SHOWN]:
            print(f"  {text}")
        if len(texts) > _SHOWN:
            print(f"  ... and {len(texts) - _SHOWN:,} more")
    if by_kind:
        print(f"It comes from {data.source}")
        sys.exit(1)
