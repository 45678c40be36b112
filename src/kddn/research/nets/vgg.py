"""VGG up to relu5_1, with torchvision's key names, so that its weight files load: for equation 4.

Our own short one, since torchvision cannot be installed beside a CPU build of torch.
"""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from kddn.errors import ModelError

Depth = Literal[16, 19]

_STAGES: dict[Depth, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions a stage; of the last that is asked for, only the first is needed."""

_WIDTHS = (3, 64, 128, 256, 512, 512)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class VGG(nn.Module):
    """VGG's convolutions; gives relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

    Args:
        depth: 16 or 19.
        normalize: Whether to normalise the input by ImageNet's mean and deviation, as VGG was
            trained. The authors' code does not.
        stages: How many of the five stages there are, from the first.
    """

    def __init__(self, depth: Depth = 19, *, normalize: bool = True, stages: int = 5) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.depth = depth
        self.normalize = normalize
        self.features = nn.Sequential()
        self._taps: list[int] = []
        widths = list(pairwise(_WIDTHS))[:stages]
        for stage, (inputs, outputs) in enumerate(widths, start=1):
            if stage > 1:
                self.features.append(nn.MaxPool2d(2))
            for index in range(1 if stage == stages else _STAGES[depth][stage - 1]):
                self.features.append(nn.Conv2d(inputs if index == 0 else outputs, outputs, 3, 1, 1))
                self.features.append(nn.ReLU())
                if index == 0:
                    self._taps.append(len(self.features) - 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Features of RGB images in [0, 1], sides of 16 or more: a tensor `b c h w` a stage."""
        x = (image - self.mean) / self.deviation if self.normalize else image
        features = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._taps:
                features.append(x)
        return features


def load_vgg(path: Path, *, normalize: bool = True, stages: int = 5) -> VGG:
    """Build the VGG whose weights a file holds, frozen and in eval mode.

    Args:
        path: torchvision's `vgg19-dcbb9e9d.pth` or `vgg16-397923af.pth`, or a safetensors file
            with the same key names.
        normalize: See `VGG`.
        stages: See `VGG`.

    Raises:
        ModelError: If the file is missing, unreadable, or holds neither VGG16 nor VGG19.
    """
    if not path.is_file():
        raise ModelError(
            f"{path} does not exist; the perceptual loss needs torchvision's vgg19-dcbb9e9d.pth, "
            "or VGG16's convolutions under torchvision's names"
        )
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"{path} cannot be read as weights ({error})") from error
    # Number 16 is a convolution in VGG19 and a pooling in VGG16.
    depth: Depth = 19 if "features.16.weight" in state else 16
    vgg = VGG(depth, normalize=normalize, stages=stages)
    wanted = vgg.state_dict().keys()
    try:
        vgg.load_state_dict({key: state[key].float() for key in wanted})
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path} holds neither VGG16 nor VGG19 ({error})") from error
    return vgg.eval().requires_grad_(False)
