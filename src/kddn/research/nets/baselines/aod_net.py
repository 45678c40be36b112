"""AOD-Net (Li et al., ICCV 2017): one map for transmission and airlight at once."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class AODNet(nn.Module):
    """All-in-one dehazing network: `J = K I - K + 1`, with `K` from five convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv3 = nn.Conv2d(6, 3, 5, padding=2)
        self.conv4 = nn.Conv2d(6, 3, 7, padding=3)
        self.conv5 = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, hazy: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Remove haze from RGB images in [0, 1], any size: `J = K I - K + 1`."""
        c1 = F.relu(self.conv1(hazy))
        c2 = F.relu(self.conv2(c1))
        c3 = F.relu(self.conv3(torch.cat([c1, c2], 1)))
        c4 = F.relu(self.conv4(torch.cat([c2, c3], 1)))
        k = F.relu(self.conv5(torch.cat([c1, c2, c3, c4], 1)))
        return F.relu(k * hazy - k + 1)
