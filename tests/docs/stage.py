"""What the commands of the pages find: small files by the names that the pages use."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers import hazy_photograph, small_video
from kddn.research.export import export
from kddn.research.nets import Student, StudentConfig
from kddn.research.nets.baselines import BASELINES
from kddn.research.nets.checkpoints import save_network
from kddn.research.nets.vgg import VGG

TINY = StudentConfig(width=8, groups=3, blocks=1, global_residual=True)


def set_up(folder: Path, nyu: Path) -> None:
    """Fill a folder."""
    _pictures(folder)
    small_video(folder / "video.mp4")
    for name in ("path/to/pairs", "path/to/other/pairs"):
        _pairs(folder / name)
    _o_haze(folder / "path/to/O-HAZE")
    _night(folder / "night")
    _sots(folder / "path/to/SOTS/indoor")
    (folder / "path/to/nyu").symlink_to(nyu)
    _weights(folder)


def _pictures(folder: Path) -> None:
    names = [
        "photo.jpg", "valley.jpg", "a.jpg", "b.jpg", "small.png", "holiday/one.jpg",
        "holiday/day/two.jpg",
        "trip/one.jpg", "trip/two.jpg", "docs/gallery/one.jpg", "photo.raw",
        *(f"path/to/photographs/{number}.jpg" for number in range(6)),
        "path/to/hazy/photographs/one.jpg",
    ]  # fmt: skip
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        as_format = "PNG" if name.endswith("png") else "JPEG"
        hazy_photograph(150, 100).save(path, as_format)
    (folder / "list.txt").write_text("a.jpg\nb.jpg\n")
    os.utime(folder / "list.txt", (0, 0))  # older than any picture
    (folder / "inbox").mkdir()
    (folder / "out").mkdir()


def _pair(hazy: Path, clear: Path, size: tuple[int, int]) -> None:
    for path in (hazy, clear):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture = hazy_photograph(*size)
    picture.save(hazy)
    Image.fromarray(np.asarray(picture) // 2).save(clear)


def _pairs(folder: Path) -> None:
    for scene in range(12):
        _pair(folder / f"hazy/s{scene}_1.png", folder / f"clear/s{scene}.png", (96, 64))


def _o_haze(folder: Path) -> None:
    for scene in range(1, 46):
        name = f"{scene:02}_outdoor"
        _pair(folder / f"hazy/{name}_hazy.jpg", folder / f"GT/{name}_GT.jpg", (64, 48))


def _night(folder: Path) -> None:
    for scene in range(1, 12):  # one is missing
        _pair(folder / f"IN/{scene:02}_night.png", folder / f"OUT/{scene:02}.png", (32, 24))


def _sots(folder: Path) -> None:
    _pair(folder / "hazy/1400_1.png", folder / "clear/1400.png", (620, 460))


def _weights(folder: Path) -> None:
    """Random ones: of a tiny student, and of AOD-Net in the place of all compared systems."""
    torch.manual_seed(0)
    names = ["path/to/aod-net", "aod-net", "dehazenet", "mscnn", "pdn", "gfn"]
    for name in names:
        path = folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(BASELINES["aod-net"]().state_dict(), path)
    save_network(Student(TINY), folder / "tiny.safetensors")
    export(folder / "tiny.safetensors", folder / "mine.onnx", working_size=64, summary="Mine.")
    state = {key: torch.randn_like(value) * 0.05 for key, value in VGG(16).state_dict().items()}
    save_file(state, folder / "vgg16-features-fp16.safetensors")
    # torchvision's file of VGG19 has 575 MB; what differs is how many layers come in between
    torch.save(state, folder / "vgg19-dcbb9e9d.pth")


def copied(stage: Path, folder: Path) -> Path:
    """A copy for a page to work in."""
    return Path(shutil.copytree(stage, folder, symlinks=True, dirs_exist_ok=True))
