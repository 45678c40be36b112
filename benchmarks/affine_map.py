"""What the affine map costs when the clear picture is known at a small size: `docs/how.md`."""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from kddn.affine import fit
from kddn.dehazer import shrink
from kddn.research.data import VALIDATION, NyuScenes, load_nyu, sots_pair
from kddn.research.evaluation.metrics import psnr
from kddn.research.haze import gray
from kddn.research.windows import guided


def main(root: Path) -> None:
    """Print the mean PSNR over validation scenes, of fitted maps and of the true one made small."""
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
    scenes = load_nyu(root, VALIDATION[:20])
    for width, height in ((310, 232), (464, 344), (620, 460)):
        for along_edges in (False, True):
            found = of_the_true_map(scenes, (height, width), along_edges=along_edges)
            how = "along the picture's edges" if along_edges else "bilinearly"
            print(f"true map at a quarter of {width}x{height}, enlarged {how}: {found:.1f} dB")


def of_the_true_map(scenes: NyuScenes, size: tuple[int, int], *, along_edges: bool) -> float:
    """PSNR in dB where `1 / t` is known at a quarter of a working size."""
    scores = []
    for index in range(len(scenes)):
        pair = sots_pair(scenes, index, index % 10 + 1)
        assert pair.transmission is not None
        scale = small(1 / pair.transmission, (size[0] // 4, size[1] // 4))
        if along_edges:
            guide = gray(small(pair.hazy, size))
            scale = guided(guide, F.interpolate(scale, size, mode="bilinear"), radius=8, eps=1e-4)
        scale = F.interpolate(scale, pair.hazy.shape[-2:], mode="bilinear")
        clear = (1 + scale * (pair.hazy - 1)).clamp(0, 1)  # SOTS's airlight is 1
        scores.append(psnr(clear, pair.clean).item())
    return sum(scores) / len(scores)


def small(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps made smaller, antialiased."""
    return F.interpolate(x, size, mode="bilinear", antialias=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nyu", type=Path)
    main(parser.parse_args().nyu)
