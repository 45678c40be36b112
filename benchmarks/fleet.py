"""On paper: what 10 million pictures of 12 megapixels take on fleets, from measured stages.

    python benchmarks/fleet.py > results/scaling/fleet.txt

Measured: processor seconds and bytes, in results/scaling/stages.csv. Assumed, and options here:
prices, cores and network of a machine, and what an object store bears. No GPU has been measured:
where there is one, estimating counts as free, which is the best that it can do.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

STAGES = Path(__file__).parents[1] / "results" / "scaling" / "stages.csv"


@dataclass(frozen=True)
class Machine:
    """What is rented."""

    name: str
    cores: int
    dollars: float
    """An hour."""
    gigabits: float
    """A second, of its network, in each direction."""
    has_gpu: bool = False


def parse() -> argparse.Namespace:
    """What is assumed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=float, default=1e7)
    parser.add_argument("--core-dollars", type=float, default=0.04, help="a core's hour")
    parser.add_argument("--gpu-dollars", type=float, default=3.0, help="hour of a GPU, 16 cores")
    parser.add_argument("--gigabits", type=float, default=25.0, help="of 64 cores; fewer have less")
    parser.add_argument("--gets", type=float, default=5500.0, help="a second that a store bears")
    parser.add_argument("--puts", type=float, default=3500.0, help="a second that a store bears")
    parser.add_argument("--request-dollars", type=float, default=5.4e-6, help="of a GET and a PUT")
    return parser.parse_args()


def main() -> None:
    """Print a row for each fleet."""
    given = parse()
    with STAGES.open() as file:
        stages = {row["stage"]: float(row["value"]) for row in csv.DictReader(file)}
    busy = {name: stages[name] for name in ("read", "estimate", "apply", "write")}
    small, large = 16 / 64 * given.gigabits, given.gigabits
    kinds = [
        Machine("16 cores", 16, 16 * given.core_dollars, small),
        Machine("64 cores", 64, 64 * given.core_dollars, large),
        Machine("16 cores, a GPU", 16, given.gpu_dollars, small, has_gpu=True),
    ]
    total = sum(busy.values())
    print(
        "processor seconds of a picture: "
        + ", ".join(f"{name} {value:.3f} ({value / total:.0%})" for name, value in busy.items())
    )
    print(f"bytes: {stages['input'] / 1e6:.1f} MB in, {stages['output'] / 1e6:.1f} MB out\n")
    print(
        f"{'machine':16} {'count':>5} {'pictures/s':>10} {'hours':>7} {'dollars':>8} "
        f"{'limit':>9} {'network':>8} {'PUTs':>5}"
    )
    for kind in kinds:
        for count in (1, 10, 100):
            print(row(kind, count, busy, stages, given))


def row(
    kind: Machine,
    count: int,
    busy: dict[str, float],
    stages: dict[str, float],
    given: argparse.Namespace,
) -> str:
    """One fleet: its pace, its price, and what is used up first."""
    seconds = sum(busy.values()) - (busy["estimate"] if kind.has_gpu else 0)
    largest = max(stages["input"], stages["output"])
    limits = {
        "cores": count * kind.cores / seconds,
        "network": count * kind.gigabits * 1e9 / 8 / largest,
        "GETs": given.gets,
        "PUTs": given.puts,
    }
    limit = min(limits, key=lambda name: limits[name])
    pace = limits[limit]
    hours = given.pictures / pace / 3600
    dollars = hours * count * kind.dollars + given.pictures * given.request_dollars
    return (
        f"{kind.name:16} {count:5} {pace:10.0f} {hours:7.1f} {dollars:8.0f} {limit:>9} "
        f"{pace / limits['network']:8.0%} {pace / limits['PUTs']:5.0%}"
    )


if __name__ == "__main__":
    main()
