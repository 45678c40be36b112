"""RESIDE's ITS in its original layout."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from kddn.errors import DataError
from kddn.research.cli import train
from kddn.research.data import SynthesisConfig
from kddn.research.data.its import ItsBatches, find_its, read_its
from test_recipes import tiny


@pytest.fixture(scope="module")
def its(tmp_path_factory):
    """Two scenes of three hazy images; the second one's clean image has RESIDE's border."""
    root = tmp_path_factory.mktemp("its")
    for folder in ("hazy", "clear", "trans"):
        (root / folder).mkdir()
    rng = np.random.default_rng(0)
    for scene in (2, 10):
        clear = rng.integers(0, 200, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(clear).save(root / f"clear/{scene}.png")
        inner = clear[10:-10, 10:-10] if scene == 10 else clear
        for index, airlight in enumerate((0.7, 0.85, 1.0), 1):
            t = np.linspace(0.3, 0.9, inner.shape[1])[None, :, None] * np.ones(inner.shape)
            hazy = inner * t + 255 * airlight * (1 - t)
            name = f"{scene}_{index}_{airlight:.5f}.png"
            Image.fromarray(hazy.round().astype(np.uint8)).save(root / "hazy" / name)
            if scene == 2:
                mask = Image.fromarray((t[..., 0] * 255).round().astype(np.uint8))
                mask.save(root / f"trans/{scene}_{index}.png")
    return root


def test_images_are_listed_by_number_with_their_airlight(its):
    images = find_its(its)
    assert [image.hazy.name.rsplit("_", 1)[0] for image in images] == [
        "2_1", "2_2", "2_3", "10_1", "10_2", "10_3",
    ]  # fmt: skip
    assert [image.airlight for image in images[:3]] == [0.7, 0.85, 1.0]
    assert images[0].transmission is not None
    assert images[3].transmission is None


@pytest.mark.parametrize("which", [1, 4])
def test_the_parts_obey_the_scattering_model(its, which):
    image = find_its(its)[which]
    parts = read_its(image)
    hazy, clear, t = parts[:3], parts[3:6], parts[6:]
    torch.testing.assert_close(clear * t + image.airlight * (1 - t), hazy, atol=0.02, rtol=0)
    assert t[0, 5, 0].item() == pytest.approx(0.3, abs=0.03)
    assert t[0, 5, -1].item() == pytest.approx(0.9, abs=0.03)


def test_an_epoch_has_each_image_once_in_an_order_of_its_own(its):
    images = [image for image in find_its(its) if image.clear.stem == "2"]
    batches = ItsBatches(images, SynthesisConfig(batch_size=1, crop=80, full_turns=False), seed=0)
    assert len(batches) == 3

    def epoch(number):
        return [round(batches[number * 3 + i].hazy.mean().item(), 4) for i in range(3)]

    assert len(set(epoch(0))) == 3
    assert len({tuple(epoch(number)) for number in range(6)}) > 1
    assert all(sorted(epoch(number)) == sorted(epoch(0)) for number in range(6))


def test_hazy_and_clean_are_cropped_and_turned_alike(its):
    batches = ItsBatches(find_its(its), SynthesisConfig(batch_size=6, crop=32), seed=0)
    batch = batches[0]
    assert batch.hazy.shape == batch.clean.shape == (6, 3, 32, 32)
    torch.testing.assert_close(batch.hazy, batches[0].hazy, rtol=0, atol=0)
    airlight = (batch.hazy - batch.clean * batch.transmission) / (1 - batch.transmission)
    spread = airlight.flatten(1).std(1)
    assert spread.max() < 0.05


def test_training_reads_its_files(its, nyu, tmp_path):
    options = [word for word in tiny(nyu, tmp_path) if "synthesis" not in word]
    synthesis = "--data.synthesis={batch_size: 2, crop: 32}"
    assert train(
        "student", [*options, synthesis, f"--data.its={its}", "--data.workers=0"]
    ).is_file()


def test_what_is_wrong_with_its_is_named(its, tmp_path):
    with pytest.raises(DataError, match="holds no images; unpack"):
        find_its(tmp_path)
    root = tmp_path / "its"
    shutil.copytree(its, root)
    with pytest.raises(DataError, match="a batch 8"):
        ItsBatches(find_its(root), SynthesisConfig(), seed=0)
    with pytest.raises(DataError, match="leave scales at 1"):
        ItsBatches(find_its(root), SynthesisConfig(batch_size=2, scales=(0.5, 1)), seed=0)
    Image.new("RGB", (64, 48)).save(root / "clear/2.png")
    with pytest.raises(DataError, match=r"is 80x60, but .*clear/2.png is 64x48"):
        read_its(find_its(root)[0])
    (root / "clear/2.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"clear/2.png cannot be read"):
        read_its(find_its(root)[0])
    (root / "clear/2.png").unlink()
    with pytest.raises(DataError, match=r"clear/2.png is missing"):
        find_its(root)
    (root / "hazy/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"hazy/0.png is not named as ITS's"):
        find_its(root)
