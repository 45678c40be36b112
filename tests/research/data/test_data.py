"""NYU scenes by RESIDE's rule, and the batches made of them."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from kddn.errors import DataError
from kddn.research import haze
from kddn.research.data import (
    BatchConfig,
    HazeConfig,
    HazedScenes,
    NyuScenes,
    load_nyu,
    sots_pair,
)
from kddn.research.data.camera import CameraConfig
from kddn.research.data.hazing import add_haze
from kddn.research.data.module import HazeData, PhotosConfig


@pytest.fixture(scope="module")
def scenes(nyu):
    return load_nyu(nyu, [1, 2, 3])


def test_reside_id_n_is_pair_n_minus_1_cropped_and_mirrored(nyu, scenes):
    rgb = np.asarray(Image.open(nyu / "rgb" / "2.jpg"))
    depth = np.asarray(Image.open(nyu / "depth" / "2.png"))
    assert scenes.clean.shape == (3, 3, 460, 620)
    np.testing.assert_array_equal(scenes.clean[2, :, 0, 0], rgb[10, 629])
    np.testing.assert_array_equal(scenes.clean[2, :, 459, 619], rgb[469, 10])
    np.testing.assert_array_equal(scenes.depth[2, 0], depth[10:470, 10:630][:, ::-1])


def test_depth_is_relative_to_the_whole_map(nyu, scenes, tmp_path):
    shutil.copytree(nyu, tmp_path / "nyu")
    depth = np.asarray(Image.open(nyu / "depth" / "0.png")).copy()
    depth[0, 0] = 255  # outside RESIDE's crop
    Image.fromarray(depth).save(tmp_path / "nyu/depth/0.png")
    assert load_nyu(tmp_path / "nyu", [1]).farthest.tolist() == [255]


def test_sots_pair_is_the_recovered_formula(scenes):
    pair = sots_pair(scenes, 1, 7)
    clean = scenes.clean[1].numpy() / 255
    t = np.exp(-1.2 * scenes.depth[1].numpy() / scenes.farthest[1].item())
    hazy = np.rint((clean * t + 1 - t) * 255) / 255
    np.testing.assert_allclose(pair.clean[0], clean, atol=1e-6)
    np.testing.assert_allclose(pair.transmission[0], t, atol=1e-6)
    np.testing.assert_allclose(pair.hazy[0], hazy, atol=1 / 255 + 1e-6)
    assert np.mean(np.abs(pair.hazy[0].numpy() - hazy) > 1e-6) < 1e-3


def test_a_batch_is_hazed_by_the_scattering_model_within_its(scenes):
    batch = HazedScenes(
        scenes, BatchConfig(size=6, crop=64, scales=(0.25, 1)), seed=0, length=1
    ).batch(0)
    assert batch.hazy.shape == batch.clean.shape
    # Where two pixels of one image have other haze, both must give the same airlight.
    airlight = (batch.hazy - batch.clean * batch.transmission) / (1 - batch.transmission)
    thick = batch.transmission.expand_as(airlight) < 0.8
    for image in range(6):
        values = airlight[image][thick[image]]
        assert values.max() - values.min() < 1e-3
        assert haze.ITS_AIRLIGHT[0] - 1e-3 < values.mean() < haze.ITS_AIRLIGHT[1] + 1e-3


def test_its_thickness_is_drawn_from_all_of_its_range_and_no_more():
    clean, depth = torch.full((400, 3, 2, 2), 0.5), torch.full((400, 1, 2, 2), 0.5)
    batch = add_haze(clean, depth, HazeConfig(), torch.Generator().manual_seed(0))
    betas = -batch.transmission.log() / depth
    low, high = haze.ITS_BETA
    assert low - 1e-4 < betas.min() < low + 0.05
    assert high - 0.05 < betas.max() < high + 1e-4


def test_a_share_of_the_images_has_white_airlight(scenes):
    config = BatchConfig(size=40, crop=8)
    batch = HazedScenes(scenes, config, HazeConfig(white=0.3), seed=0, length=1).batch(0)
    airlight = (batch.hazy - batch.clean * batch.transmission) / (1 - batch.transmission)
    white = (airlight.mean((1, 2, 3)) > 0.9999).float().mean()
    assert 0.1 < white < 0.5


def test_sides_are_multiples_of_what_a_network_would_pad_to(scenes):
    for scale in (0.2, 0.37, 0.61):
        config = BatchConfig(size=2, crop=105, scales=(scale, scale), multiple=16)
        sides = HazedScenes(scenes, config, seed=0, length=1).batch(0).clean.shape[-2:]
        assert all(side % 16 == 0 and side <= 105 + 8 for side in sides)


@pytest.mark.parametrize("qualities", [(0, 50), (60, 50), (50, 101)])
def test_impossible_qualities_are_refused(qualities):
    with pytest.raises(ValueError, match="qualities must be a range"):
        CameraConfig(qualities=qualities)


@pytest.mark.parametrize("counts", [{"train_scenes": 0}, {"validation_scenes": -1}])
def test_data_of_no_scenes_is_none(nyu, counts):
    with pytest.raises(DataError, match="must be 1 or more"):
        HazeData(nyu, **counts)
    with pytest.raises(DataError, match=r"fraction must lie in \(0, 1\]"):
        HazeData(nyu, fraction=0)


@pytest.mark.parametrize(
    ("crop", "scales", "shape"),
    [
        (64, (1, 1), (64, 64)),
        (512, (1, 1), (460, 512)),
        (160, (0.25, 0.25), (115, 155)),
        (100, (0.5, 0.5), (100, 100)),
    ],
)
def test_crops_and_scales(scenes, crop, scales, shape):
    config = BatchConfig(size=2, crop=crop, scales=scales, full_turns=False)
    assert HazedScenes(scenes, config, seed=0, length=1).batch(0).clean.shape[-2:] == shape


def test_batches_depend_on_seed_and_number_alone(scenes):
    config = BatchConfig(size=2, crop=64)
    first = HazedScenes(scenes, config, seed=3, length=4)
    again = HazedScenes(scenes, config, seed=3, length=9)
    again.first = 2
    torch.testing.assert_close(list(first)[2], next(iter(again)), rtol=0, atol=0)
    other = HazedScenes(scenes, config, seed=4, length=4)
    assert not torch.equal(first.batch(2).clean, other.batch(2).clean)
    assert not torch.equal(first.batch(2).clean, first.batch(3).clean)


def test_each_of_several_devices_has_batches_of_its_own(scenes):
    numbers = []
    for device in range(3):
        data = HazedScenes(scenes, BatchConfig(size=1, crop=8), seed=0, length=4)
        data.share(device, 3)
        data.first = 2
        numbers += data.numbers()
    assert sorted(numbers) == list(range(2, 14))


def test_images_are_flipped_and_batches_turned():
    # A scene that is bright on its left: where the light is tells how it was turned.
    clean = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    clean[..., :32] = 255
    scenes = NyuScenes(clean, torch.ones(1, 1, 64, 64, dtype=torch.uint8), torch.ones(1))
    sides = {True: set(), False: set()}
    for full_turns, seen in sides.items():
        config = BatchConfig(size=2, crop=64, full_turns=full_turns)
        data = HazedScenes(scenes, config, seed=0, length=1)
        for number in range(20):
            image = data.batch(number).clean[0, 0]
            corners = image[0, 0], image[0, -1], image[-1, 0]
            seen.add(tuple(corner.item() for corner in corners))
    left, right, top, bottom = (1, 0, 1), (0, 1, 0), (1, 1, 0), (0, 0, 1)
    assert sides == {True: {left, right, top, bottom}, False: {left, right}}


@pytest.mark.parametrize(
    "bad",
    [{"scales": (0, 1)}, {"scales": (0.5, 0.2)}, {"scales": (0.5, 2)}, {"crop": 0}, {"size": 0}],
)
def test_impossible_batches_are_refused(bad):
    with pytest.raises(ValueError, match="must"):
        BatchConfig(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"airlight": (0.5, 2)},
        {"beta": (2, 1)},
        {"white": 2},
        {"haze_free": -1},
        {"dim": 2},
        {"bias": -1},
        {"exponent": 0.5},
        {"floor": 1.5},
        {"angstrom": -1},
        {"uneven": -1},
        {"tinted": 2},
        {"night": 2},
        {"aerial": 2},
        {"bend": -1},
        {"collage": 2},
    ],
)
def test_impossible_haze_is_refused(bad):
    with pytest.raises(ValueError, match="must"):
        HazeConfig(**bad)


def test_what_is_wrong_with_the_data_is_named(nyu, tmp_path):
    root = tmp_path / "nyu"
    shutil.copytree(nyu, root)
    with pytest.raises(DataError, match=r"rgb/99.jpg is missing"):
        load_nyu(root, [100])
    (root / "depth/1.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"depth/1.png cannot be read"):
        load_nyu(root, [2])
    Image.new("RGB", (64, 48)).save(root / "rgb/2.jpg")
    with pytest.raises(DataError, match=r"rgb/2.jpg is 64x48"):
        load_nyu(root, [3])


def test_a_collage_of_one_image_is_refused(nyu, tmp_path):
    with pytest.raises(DataError, match=r"give a batch\.size of 2 or more"):
        HazeData(nyu, BatchConfig(size=1), HazeConfig(collage=0.5))
    photos = PhotosConfig(root=tmp_path, haze=HazeConfig(collage=0.5))
    with pytest.raises(DataError, match=r"give a batch\.size of 2 or more"):
        HazeData(nyu, BatchConfig(size=1), photos=photos)
    HazeData(nyu, BatchConfig(size=2), photos=photos)
