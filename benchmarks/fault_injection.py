"""Faults while batches of 100 pictures run, many times each: what was left, what was lost.

    python benchmarks/fault_injection.py results/security/faults

writes that name with .csv and .md. What the faults are: tests/faults.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults.batch import Batch, Outcome
from faults.inject import FAULTS, Fault, unmounted
from kddn.tables import markdown

PICTURES = 100


def once(fault: Fault) -> Outcome:
    """Let a fault happen to a batch."""
    with tempfile.TemporaryDirectory() as folder:
        batch = Batch(Path(folder), PICTURES)
        with unmounted(batch):
            fault.happen(batch)
            return batch.outcome()


def row(fault: Fault, outcomes: list[Outcome]) -> dict[str, Any]:
    """What became of some runs."""
    whole = [outcome.whole for outcome in outcomes]
    return {
        "fault": fault.name,
        "runs": len(outcomes),
        "exit status or signal": " or ".join(sorted({str(abs(o.status)) for o in outcomes})),
        "results when it ended": f"{min(whole)} to {max(whole)}",
        "half results": sum(outcome.partial for outcome in outcomes),
        "pictures lost": sum(outcome.lost for outcome in outcomes),
        "tracebacks": sum(outcome.tracebacks for outcome in outcomes),
        "temporary files": sum(outcome.left for outcome in outcomes),
        "after the next run": sum(outcome.left_after for outcome in outcomes),
        "results then": min(outcome.whole_after for outcome in outcomes),
    }


def main() -> None:
    """Inject them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, nargs="?", default=Path("results/security/faults"))
    parser.add_argument("--signals", type=int, default=20, help="runs of each signal")
    asked = parser.parse_args()
    found = []
    for fault in FAULTS:
        runs = asked.signals if fault.name.startswith("SIG") else 1
        try:
            found.append(row(fault, [once(fault) for _ in range(runs)]))
        except NotImplementedError as error:
            print(f"{fault.name}: {error}")
        else:
            print(found[-1], flush=True)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    with asked.output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    lines = [list(map(str, each.values())) for each in found]
    asked.output.with_suffix(".md").write_text(markdown([list(found[0]), *lines], words=1))
    harm = ("half results", "pictures lost", "tracebacks", "after the next run")
    if any(each[kind] for each in found for kind in harm):
        sys.exit("something was lost: see above")


if __name__ == "__main__":
    main()
