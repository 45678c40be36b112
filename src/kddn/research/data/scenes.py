"""NYU Depth V2 as RESIDE uses it: clean photographs with depth, kept in memory.

RESIDE's id `n` is the labelled pair `k = n - 1`, cropped to rows 10 to 470 and columns 10 to 630,
mirrored left to right; its depth is relative to the farthest point of the whole map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kddn.errors import DataError
from kddn.research.data.batches import BatchConfig, Batches, arrange, draw_windows, resize
from kddn.research.data.hazing import HazeConfig, add_haze
from kddn.research.data.pair import Pair
from kddn.research.data.pixels import read_pixels
from kddn.research.haze import scatter, sots_haze, transmission

TRAIN = range(1, 1350)
"""RESIDE ids to train on."""

VALIDATION = range(1350, 1400)
"""RESIDE ids held back from ITS to validate on. SOTS's own test scenes are 1400 to 1449."""

HEIGHT, WIDTH = 460, 620


@dataclass(frozen=True)
class NyuScenes:
    """Scenes in memory, 8 bit as they are on disk: 1.1 MB a scene."""

    clean: Tensor
    """Photographs, uint8 `n 3 460 620`."""
    depth: Tensor
    """Depth maps, uint8 `n 1 460 620`, about 25.5 a metre."""
    farthest: Tensor
    """Largest value of each whole depth map, float32 `n`: what depth is relative to."""

    def __len__(self) -> int:
        return len(self.clean)

    def to(self, device: torch.device) -> "NyuScenes":
        """The same scenes on another device."""
        return NyuScenes(self.clean.to(device), self.depth.to(device), self.farthest.to(device))


class HazedScenes(Batches):
    """Endless batches of scenes: crop, scale, turn and haze, on the scenes' device.

    Args:
        scenes: Clean images with depth.
        config: Number, size and orientation of the images.
        haze: What haze to draw; ITS's by default.
        seed: See `Batches`.
        length: See `Batches`.
    """

    def __init__(
        self,
        scenes: NyuScenes,
        config: BatchConfig,
        haze: HazeConfig | None = None,
        *,
        seed: int,
        length: int,
    ) -> None:
        super().__init__(config, seed=seed, length=length)
        self.scenes = scenes
        self.haze = haze or HazeConfig()

    def batch(self, number: int) -> Pair:
        """The batch of a number: scenes under haze that is drawn for it."""
        generator = self.generator(number)
        scenes = self.scenes
        chosen = torch.randint(len(scenes), (self.config.size,), generator=generator).tolist()
        sizes = [scenes.clean.shape[-2:]] * len(chosen)
        scale, windows = draw_windows(self.config, sizes, generator)
        crops = torch.stack(
            [
                torch.cat([scenes.clean[index, :, *window], scenes.depth[index, :, *window]])
                for index, window in zip(chosen, windows, strict=True)
            ]
        )  # b 4 h w
        images = arrange(crops, scale, self.config, generator).float()
        farthest = scenes.farthest[chosen].view(-1, 1, 1, 1)
        return add_haze(images[:, :3] / 255, images[:, 3:] / farthest, self.haze, generator)


def sots_pair(scenes: NyuScenes, index: int, haze_index: int, *, scale: float = 1.0) -> Pair:
    """A scene hazed by SOTS's rule and rounded to 8 bit as SOTS is stored.

    Args:
        scenes: Clean images with depth.
        index: Which scene.
        haze_index: SOTS's haze, 1 to 10.
        scale: What both images are then resized by.

    Returns:
        A batch of one.
    """
    clean = scenes.clean[index : index + 1].float() / 255
    haze = sots_haze(haze_index)
    t = transmission(scenes.depth[index : index + 1] / scenes.farthest[index], haze.beta)
    hazy = (scatter(clean, t, haze.airlight) * 255).round() / 255
    return Pair(resize(hazy, scale), resize(clean, scale), resize(t, scale))


def load_nyu(root: Path, ids: Sequence[int]) -> NyuScenes:
    """Read scenes from `root/rgb/{id - 1}.jpg` and `root/depth/{id - 1}.png`.

    Args:
        root: Folder of NYU Depth V2's labelled pairs.
        ids: RESIDE ids, from 1.

    Raises:
        DataError: If a file is missing, unreadable or not 640x480.
    """
    scenes = [_load_scene(root, reside_id) for reside_id in ids]
    return NyuScenes(
        clean=torch.stack([clean for clean, _, _ in scenes]),
        depth=torch.stack([depth for _, depth, _ in scenes]),
        farthest=torch.tensor([farthest for _, _, farthest in scenes], dtype=torch.float32),
    )


def _load_scene(root: Path, reside_id: int) -> tuple[Tensor, Tensor, int]:
    rgb = _read(root / "rgb" / f"{reside_id - 1}.jpg", "RGB")
    depth = _read(root / "depth" / f"{reside_id - 1}.png", "L")
    farthest = max(int(depth.max()), 1)
    return _reside_view(rgb), _reside_view(depth[..., None]), farthest


def _reside_view(image: np.ndarray) -> Tensor:
    """RESIDE's crop and mirror, `480 640 c` to `c 460 620`."""
    view = image[10:470, 10:630][:, ::-1]
    return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))


def _read(path: Path, mode: str) -> np.ndarray:
    if not path.exists():
        raise DataError(
            f"{path} is missing; the NYU folder needs rgb/0.jpg .. rgb/1398.jpg "
            "and depth/0.png .. depth/1398.png"
        )
    pixels = read_pixels(path, mode)
    if pixels.shape[:2] != (480, 640):
        raise DataError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, not NYU's 640x480; "
            "use the labelled pairs at their original size"
        )
    return pixels
