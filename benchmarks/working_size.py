"""Quality and time of a model at some working sizes: how its own is chosen.

python benchmarks/working_size.py path/to/nyu MODEL SIZE [SIZE ...]
"""

import statistics
import sys
from pathlib import Path

from kddn import Dehazer
from kddn.research.data import VALIDATION
from kddn.research.evaluation import score


def main(root: Path, model: str, sizes: list[int]) -> None:
    """Print mean PSNR and SSIM over ten images of every fifth scene."""
    systems = {str(size): Dehazer(model, working_size=size) for size in sizes}
    scores = list(score(systems, root, VALIDATION[::5]))
    for name in systems:
        own = [score for score in scores if score.system == name]
        psnr, ssim = (statistics.mean(getattr(s, key) for s in own) for key in ("psnr", "ssim"))
        seconds = statistics.median(s.seconds for s in own)
        print(f"{name} px: {psnr:.2f} dB, {ssim:.4f}, {seconds:.3f} s an image")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(size) for size in sys.argv[3:]])
