"""The systems that the paper compares with, one file each.

All take hazy RGB in [0, 1], `b 3 h w` of any size, and give the clear picture, as large. Outputs
are not clamped. Released weights load under their own key names.
"""

from collections.abc import Callable

from torch import nn

from kddn.research.nets.baselines.aod_net import AODNet
from kddn.research.nets.baselines.dehazenet import DehazeNet
from kddn.research.nets.baselines.epdn import EPDN
from kddn.research.nets.baselines.gfn import GFN
from kddn.research.nets.baselines.grid_dehaze_net import GridDehazeNet
from kddn.research.nets.baselines.mscnn import MSCNN, MSCNNConfig
from kddn.research.nets.baselines.pdn import PDN, PDNConfig
from kddn.research.nets.registry import Architecture, add

BASELINES: dict[str, Callable[[], nn.Module]] = {
    "aod-net": AODNet,
    "dehazenet": DehazeNet,
    "epdn": EPDN,
    "gfn": GFN,
    "grid-dehaze-net": GridDehazeNet,
    "mscnn": MSCNN,
    "pdn": PDN,
}
"""The systems by name."""

_CONFIGS = {"mscnn": MSCNNConfig, "pdn": PDNConfig}
"""Of those that have more than one shape."""

for _name, _network in BASELINES.items():
    add(Architecture(_name, "student", _network, _CONFIGS.get(_name), {_name: None}))

__all__ = [
    "BASELINES", "EPDN", "GFN", "MSCNN", "PDN", "AODNet", "DehazeNet", "GridDehazeNet",
]  # fmt: skip
