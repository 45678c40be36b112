"""Data sets, all giving the same pair type."""

from kddn.research.data.nyu import TRAIN, VALIDATION, NyuScenes, load_nyu
from kddn.research.data.pairs import Pair
from kddn.research.data.synthesis import SynthesisConfig, SyntheticHaze, sots_pair

__all__ = [
    "TRAIN",
    "VALIDATION",
    "NyuScenes",
    "Pair",
    "SynthesisConfig",
    "SyntheticHaze",
    "load_nyu",
    "sots_pair",
]
