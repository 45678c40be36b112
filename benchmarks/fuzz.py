"""Damaged input by the ten thousands: crashes, hangs, time and memory.

    python benchmarks/fuzz.py results/security/fuzz

writes that name with .csv and .md, and beside them the inputs that went wrong, if any. The same
inputs come again for the same `--seed` and versions. What the cases are: tests/fuzzing.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import hostile
from fuzzing.damage import Case
from fuzzing.explore import explore
from fuzzing.worker import SECONDS, Outcome, Worker
from kddn.tables import markdown

COUNTS = {
    "pictures": 15_000,
    "requests": 4_000,
    "checkpoints": 1_500,
    "videos": 700,
    "models": 500,
}
"""Cases of each kind."""

Tried = Iterable[tuple[Case, Outcome]]


def bombs() -> Iterator[tuple[Case, Outcome]]:
    """What claims billions of pixels, or unpacks to hundreds of megabytes, as it is."""
    with Worker("pictures") as worker:
        for name, content in hostile.bodies():
            yield Case("bomb", name, content), worker.run(content, {})


def rows(kind: str, tried: Tried) -> Iterator[dict[str, Any]]:
    """One for each format, with what became of its cases."""
    of: dict[str, list[Outcome]] = defaultdict(list)
    for case, outcome in tried:
        of[case.seed.split()[0] if kind in ("pictures", "videos") else case.seed].append(outcome)
    for name, outcomes in sorted(of.items()):
        yield row(kind, name, outcomes)


def row(kind: str, name: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """What became of some cases."""
    kinds = [outcome.kind for outcome in outcomes]
    return {
        "input": kind,
        "format": name,
        "cases": len(outcomes),
        "done": kinds.count("done"),
        "refused in one line": kinds.count("refused"),
        "other errors": kinds.count("fault"),
        "crashes": kinds.count("crash"),
        f"hangs over {SECONDS:g} s": kinds.count("hang"),
        "worst time (s)": f"{max(outcome.seconds for outcome in outcomes):.2f}",
        "worst memory (MB)": round(max(outcome.memory for outcome in outcomes) / 1e6),
    }


def keep(bad: list[tuple[Case, Outcome]], folder: Path) -> None:
    """Write inputs that went wrong, and print what they were."""
    for number, (case, outcome) in enumerate(bad):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.bin").write_bytes(case.content)
        print(f"{folder}/{number}.bin: {outcome.kind}: {outcome.text}; {case}")


def long_run(output: Path, scale: float, seed: int) -> bool:
    """Try all, and write what became of them; whether it went well."""
    found: list[dict[str, Any]] = []
    everything: list[Outcome] = []
    bad: list[tuple[Case, Outcome]] = []
    for kind in ("bombs", *COUNTS):
        count = max(1, round(COUNTS.get(kind, 0) * scale))
        tried = list(bombs() if kind == "bombs" else explore(kind, count, seed))
        whole = [outcome for _, outcome in tried]
        parts = list(rows(kind, tried)) if kind not in ("bombs", "requests") else []
        found += [*parts, row(kind, "all", whole)]
        everything += whole
        bad += [(case, outcome) for case, outcome in tried if outcome.bad]
        print(found[-1], flush=True)
    found.append(row("everything", "all", everything))
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    whole = [list(map(str, each.values())) for each in found if each["format"] == "all"]
    output.with_suffix(".md").write_text(markdown([list(found[0]), *whole], words=2))
    keep(bad, output)
    return not bad


def main() -> None:
    """Try all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, nargs="?", default=Path("results/security/fuzz"))
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of cases")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if not long_run(asked.output, asked.scale, asked.seed):
        sys.exit("something went wrong: see above")


if __name__ == "__main__":
    main()
