"""MSCNN (Ren et al., ECCV 2016): coarse and fine transmission."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kddn.research.haze import gray
from kddn.research.nets.baselines.pdn import normalize, pool_and_enlarge
from kddn.research.windows import guided, local_minimum

Images = Float[Tensor, "b 3 h w"]
Maps = Float[Tensor, "b 1 h w"]


class Branch(nn.Module):
    """Three convolutions, each pooled and enlarged again, and a linear combination."""

    def __init__(self, widths: tuple[int, int, int], kernels: tuple[int, int, int]) -> None:
        super().__init__()
        inputs = (3, *widths[:2])
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(i, o, k, padding=k // 2)
            for i, o, k in zip(inputs, widths, kernels, strict=True)
        )
        self.conv4 = nn.Conv2d(widths[2], 1, 1)

    def forward(self, x: Images, coarse: Maps | None = None) -> Maps:
        """Transmission in (0, 1), with a coarser estimate in the place of a channel or without."""
        x = self.conv1(x)
        if coarse is not None:
            x = torch.cat([x[:, :-1], coarse], 1)
        x = pool_and_enlarge(x)
        x = pool_and_enlarge(self.conv2(normalize(x)))
        x = pool_and_enlarge(self.conv3(normalize(x)))
        return torch.sigmoid(self.conv4(x))


@dataclass(frozen=True)
class MSCNNConfig:
    """Which of two networks it is."""

    use_coarse: bool = False
    """Whether the coarse map replaces the fine network's sixth channel, as the paper says; the
    released code never does."""


class MSCNN(nn.Module):
    """Multi-scale CNN: `t` by a fine network, the scattering model after their post-processing."""

    def __init__(self, config: MSCNNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MSCNNConfig()
        self.coarse = Branch((5, 5, 10), (11, 9, 7)).requires_grad_(config.use_coarse)
        self.fine = Branch((6, 5, 10), (7, 5, 3))

    def forward(self, hazy: Images) -> Images:
        """Remove haze from RGB images in [0, 1], any size."""
        height, width = hazy.shape[-2:]
        # The dark channel's patches, 15x15, of each colour by itself.
        airlight = local_minimum(hazy, 15).amax((-2, -1), keepdim=True).clamp(min=1e-3)
        x = F.pad(hazy / airlight, (0, width % 2, 0, height % 2), mode="replicate")
        coarse = self.coarse(x) if self.config.use_coarse else None
        t = self.fine(x, coarse)[..., :height, :width]
        t = _sharpen(hazy, t, airlight)
        return (hazy - airlight) / t + airlight


def _sharpen(hazy: Images, t: Maps, airlight: Tensor) -> Maps:
    """The released code's post-processing of the transmission."""
    luma = gray(hazy)
    contrast = (luma - gray(airlight)) ** 2
    q = (contrast + 0.1 / t.clamp(min=1e-3)) / (contrast + 0.1)
    q = guided(luma, q, radius=max(1, min(hazy.shape[-2:]) // 8), eps=0.04)
    return (1 / q).clamp(0.1, 0.9)
