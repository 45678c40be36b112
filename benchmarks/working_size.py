"""Quality and time of a model at some working sizes: how its own is chosen.

python benchmarks/working_size.py DATA=FOLDER MODEL SIZE [SIZE ...]

DATA is a data set of `kddn evaluate`, as nyu or outdoor; every fifth of its scenes is used.
"""

import statistics
import sys
from pathlib import Path

from kddn import Dehazer
from kddn.research.data.sets import DATA_SETS
from kddn.research.evaluation.evaluate import runtime_system, score
from kddn.research.evaluation.scores import Score


def main(data: str, root: Path, model: str, sizes: list[int]) -> None:
    """Print mean PSNR and SSIM, protocol `full`."""
    systems = {str(size): runtime_system(Dehazer(model, working_size=size)) for size in sizes}
    cases = list(DATA_SETS[data].cases(root))
    scenes = list(dict.fromkeys(case.scene for case in cases))[::5]
    scores = [
        s for s in score(systems, (c for c in cases if c.scene in scenes)) if isinstance(s, Score)
    ]
    for name in systems:
        own = [score for score in scores if score.system == name]
        psnr, ssim = (statistics.mean(s.figures[key] for s in own) for key in ("psnr", "ssim"))
        seconds = statistics.median(s.seconds for s in own)
        print(f"{name} px: {psnr:.2f} dB, {ssim:.4f}, {seconds:.3f} s an image")


if __name__ == "__main__":
    name, _, folder = sys.argv[1].partition("=")
    main(name, Path(folder), sys.argv[2], [int(size) for size in sys.argv[3:]])
