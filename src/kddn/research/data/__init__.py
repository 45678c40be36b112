"""Data sets, all giving the same pair type."""

from kddn.research.data.batches import BatchConfig, Batches
from kddn.research.data.hazing import HazeConfig
from kddn.research.data.pair import Pair
from kddn.research.data.scenes import TRAIN, VALIDATION, HazedScenes, NyuScenes, load_nyu, sots_pair

__all__ = [
    "TRAIN",
    "VALIDATION",
    "BatchConfig",
    "Batches",
    "HazeConfig",
    "HazedScenes",
    "NyuScenes",
    "Pair",
    "load_nyu",
    "sots_pair",
]
