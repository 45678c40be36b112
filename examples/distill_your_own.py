"""Distil a network of your own: nothing in kddn needs to know it.

python examples/distill_your_own.py path/to/nyu
"""

import sys
from pathlib import Path

import torch
from torch import nn

from kddn.research.data import BatchConfig, HazedScenes, load_nyu
from kddn.research.losses.distillation import Imitation, MimicPair
from kddn.research.losses.functions import reconstruction
from kddn.research.nets.checkpoints import load_network

student = nn.Sequential(
    nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
    nn.Conv2d(24, 3, 3, padding=1),
)  # fmt: skip
teacher = load_network(Path("kddn:teacher"))

imitate = Imitation(student, teacher, [MimicPair(teacher="backbone.block2", student="3")])
optimizer = torch.optim.Adam([*student.parameters(), *imitate.parameters()], lr=1e-3)
scenes = load_nyu(Path(sys.argv[1]), range(1, 4))
for batch in HazedScenes(scenes, BatchConfig(crop=64), seed=0, length=10):
    clear, features = imitate.tap(student, batch.hazy)
    loss = reconstruction(clear, batch.clean) + imitate(features, batch.clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}")
