"""Puts tables of `results` into pages that cannot include them, as README on GitHub.

python benchmarks/quote.py README.md

What stands between `<!-- quote: FILE -->` and `<!-- end of quote -->` becomes that file's content.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

_QUOTED = re.compile(r"(<!-- quote: (\S+) -->\n).*?(<!-- end of quote -->)", re.DOTALL)


def quoted(page: str) -> str:
    """A page whose quotations are those of the files."""
    return _QUOTED.sub(
        lambda found: f"{found[1]}\n{(ROOT / found[2]).read_text()}\n{found[3]}", page
    )


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(quoted(path.read_text()))
