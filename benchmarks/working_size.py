"""Quality and time of a model at some working sizes: how its own is chosen.

python benchmarks/working_size.py DATA=FOLDER [DATA=FOLDER ...] MODEL SIZE [SIZE ...]

DATA is a data set of `kddn evaluate`, as nyu or outdoor; every fifth of its scenes is used.
"""

import argparse
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from kddn import Dehazer
from kddn.research.data.sets import Case, find_data_set
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.scores import Score
from kddn.research.evaluation.systems import runtime_system


def every_fifth_scene(cases: Iterable[Case]) -> Iterator[Case]:
    """A set's images of every fifth scene, one at a time."""
    places: dict[str, int] = {}
    for case in cases:
        if places.setdefault(case.scene, len(places)) % 5 == 0:
            yield case


def measure(data: str, root: Path, model: str, sizes: list[int]) -> None:
    """Print mean PSNR and SSIM, protocol `full`."""
    print(f"{data}:")
    systems = {str(size): runtime_system(Dehazer(model, working_size=size)) for size in sizes}
    cases = every_fifth_scene(find_data_set(data).cases(root))
    scores = [s for s in score(systems, cases) if isinstance(s, Score)]
    for name in systems:
        own = [score for score in scores if score.system == name]
        psnr, ssim = (statistics.mean(s.figures[key] for s in own) for key in ("psnr", "ssim"))
        seconds = statistics.median(s.seconds for s in own)
        print(f"{name} px: {psnr:.2f} dB, {ssim:.4f}, {seconds:.3f} s an image")


def main() -> None:
    """Measure on each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="+", metavar="DATA=FOLDER ... MODEL SIZE ...")
    words = parser.parse_args().words
    data = [word.partition("=")[::2] for word in words if "=" in word]
    model, *sizes = [word for word in words if "=" not in word] or [""]
    if not data or not sizes or not all(size.isdecimal() for size in sizes):
        parser.error("give a data set as nyu=FOLDER, a model, and sizes in pixels")
    for name, folder in data:
        measure(name, Path(folder), model, [int(size) for size in sizes])


if __name__ == "__main__":
    main()
