"""What the affine map costs when the clear picture is known at a small size: `docs/how.md`."""

import sys
from pathlib import Path

import torch

from kddn.affine import fit
from kddn.dehazer import shrink
from kddn.research.data import VALIDATION, load_nyu, sots_pair
from kddn.research.metrics import psnr


def main(root: Path) -> None:
    """Print the mean PSNR over ten validation scenes for some sizes."""
    scenes = load_nyu(root, VALIDATION[::5])
    for divisor in (3, 4, 5):
        scores = []
        for index in range(len(scenes)):
            pair = sots_pair(scenes, index, 1 + index % 10)
            hazy, clean = (image[0].permute(1, 2, 0).numpy() for image in pair[:2])
            shape = round(460 / divisor), round(620 / divisor)
            mapped = fit(shrink(hazy, 1.0, shape), shrink(clean, 1.0, shape))(hazy, 1.0)
            scores.append(psnr(torch.from_numpy(mapped).permute(2, 0, 1)[None], pair.clean).item())
        print(f"known at 1/{divisor}: {sum(scores) / len(scores):.1f} dB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
