"""What a model does better on the rooms that it has learned than on others.

    python benchmarks/by_heart.py path/to/nyu kddn-indoor kddn-paper

Every 27th of NYU's training scenes and all of its validation scenes, each under three of SOTS's
hazes, at a model's working size. Where the two are far apart, more of the same training helps less
than rooms that vary more.
"""

import argparse
import statistics
from collections.abc import Iterable
from pathlib import Path

from kddn import Dehazer
from kddn.research.data import TRAIN, VALIDATION, load_nyu, sots_pair
from kddn.research.evaluation.metrics import psnr
from kddn.research.evaluation.systems import System, runtime_system

HAZES = (2, 5, 9)


def mean_psnr(system: System, root: Path, scenes: Iterable[int]) -> float:
    """Of scenes under haze, dB."""
    scores = []
    for scene in scenes:
        loaded = load_nyu(root, [scene])
        for haze in HAZES:
            pair = sots_pair(loaded, 0, haze)
            scores.append(psnr(system(pair.hazy), pair.clean).item())
    return statistics.mean(scores)


def main() -> None:
    """Print both means, and how far apart they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nyu", type=Path)
    parser.add_argument("models", nargs="+")
    asked = parser.parse_args()
    print(f"{'':24}{'learned':>12}{'others':>12}{'apart':>12}")
    for model in asked.models:
        system = runtime_system(Dehazer(model))
        learned, others = (
            mean_psnr(system, asked.nyu, scenes) for scenes in (TRAIN[5::27], VALIDATION)
        )
        print(f"{model:24}{learned:9.2f} dB{others:9.2f} dB{learned - others:9.2f} dB", flush=True)


if __name__ == "__main__":
    main()
