"""How well a teacher trained in the authors' layout reconstructs clean validation photographs.

python benchmarks/authors_teacher.py path/to/nyu path/to/authors-teacher.safetensors
"""

import argparse
from pathlib import Path

import torch

from kddn.research.data import VALIDATION, load_nyu
from kddn.research.evaluation.metrics import psnr
from kddn.research.nets.foreign import load_foreign


@torch.no_grad()
def main(root: Path, weights: Path) -> None:
    """Print mean, least and greatest PSNR over the 50 validation scenes."""
    teacher = load_foreign(weights, "teacher/authors")
    scenes = load_nyu(root, VALIDATION)
    scores = []
    for image in scenes.clean:
        clean = image[None].float() / 255
        scores.append(psnr(teacher(clean), clean).item())
    mean = sum(scores) / len(scores)
    print(f"{mean:.2f} dB on average, {min(scores):.2f} to {max(scores):.2f} dB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nyu", type=Path)
    parser.add_argument("weights", type=Path)
    asked = parser.parse_args()
    main(asked.nyu, asked.weights)
