"""Blocks of the pages, and commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("src/kddn/weights/*.md"),
        *ROOT.glob("src/kddn/research/weights/*.md"),
    )
)

_BLOCK = re.compile(r'^```(\w*)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(kddn [a-z][^`]*)`")
_SCRIPTS = re.compile(r"`(python benchmarks/[^`]*)`")


@dataclass(frozen=True)
class Block:
    """What stands between fences."""

    language: str
    title: str
    """Name of the file that it is."""
    text: str


def blocks(page: str) -> list[Block]:
    """All that a page has, in their order."""
    return [Block(*found) for found in _BLOCK.findall((ROOT / page).read_text())]


def inline_commands(page: str) -> list[str]:
    """Commands of kddn within sentences."""
    return _within_sentences(page, _INLINE)


def inline_scripts(page: str) -> list[str]:
    """Calls of benchmarks within sentences."""
    return _within_sentences(page, _SCRIPTS)


def _within_sentences(page: str, pattern: re.Pattern[str]) -> list[str]:
    prose = _BLOCK.sub("", (ROOT / page).read_text())
    return [" ".join(found.split()) for found in pattern.findall(prose)]


def commands(text: str) -> list[str]:
    """Commands of a shell's block, one each: continued lines joined, loops whole."""
    joined = re.sub(r"\\\n\s*", "", text)
    if re.search(r"^for ", joined, re.MULTILINE):
        loop, rest = re.split(r"(?<=^done)$", joined, maxsplit=1, flags=re.MULTILINE)
        return [loop, *commands(rest)]
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def words(command: str) -> list[str]:
    """A command's words, its comment left out."""
    return shlex.split(command, comments=True)
