"""Data sets of fixed hazy images in their original layouts: RESIDE's ITS and O-HAZE."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import tiny, vgg_files
from kddn.errors import DataError, KddnError, ModelError
from kddn.research.data import BatchConfig, HazeConfig
from kddn.research.data.graphics import GraphicsConfig
from kddn.research.data.module import HazeData, PhotosConfig
from kddn.research.data.paired import FixedPairs, PairFiles, read_parts, split_parts
from kddn.research.data.pixels import read_pixels
from kddn.research.data.sets.its import ITS
from kddn.research.data.sets.o_haze import O_HAZE, TEST, TRAIN, VALIDATION
from kddn.research.data.sets.pairs import PAIRS
from kddn.research.haze import density_from_transmission
from kddn.research.nets.checkpoints import load_network
from kddn.research.training.run import train

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module")
def o_haze(tmp_path_factory):
    """45 scenes of different sizes, in which the hazy images are paler."""
    root = tmp_path_factory.mktemp("ohaze")
    (root / "hazy").mkdir()
    (root / "GT").mkdir()
    for scene in range(1, 46):
        width, height = 72 + scene, 64
        clear = np.random.default_rng(scene).integers(0, 256, (height, width, 3))
        for name, image in {"GT": clear, "hazy": clear // 2 + 100}.items():
            path = root / name / f"{scene:02}_outdoor_{name}.jpg"
            Image.fromarray(image.astype(np.uint8)).save(path, quality=95)
    return root


def batches(files, seed=0, length=100, workers=0, **config):
    return FixedPairs(files, BatchConfig(**config), seed=seed, length=length, workers=workers)


def test_its_images_are_listed_by_number_with_their_airlight(its):
    images = ITS.find(its)
    assert [image.hazy.name.rsplit("_", 1)[0] for image in images] == [
        "2_1", "2_2", "2_3", "10_1", "10_2", "10_3",
    ]  # fmt: skip
    assert [image.airlight for image in images[:3]] == [0.7, 0.85, 1.0]
    assert images[0].transmission is not None
    assert images[3].transmission is None


@pytest.mark.parametrize("which", [1, 4])
def test_the_parts_obey_the_scattering_model(its, which):
    files = ITS.find(its)[which]
    pair = split_parts(read_parts(files)[None])
    t = pair.transmission
    expected = pair.clean * t + files.airlight * (1 - t)
    torch.testing.assert_close(expected, pair.hazy, atol=0.02, rtol=0)
    assert t[0, 0, 5, 0].item() == pytest.approx(0.3, abs=0.03)
    assert t[0, 0, 5, -1].item() == pytest.approx(0.9, abs=0.03)


def test_an_epoch_has_each_image_once_in_an_order_of_its_own(its):
    images = [image for image in ITS.find(its) if image.clean.stem == "2"]
    data = batches(images, size=1, crop=80, full_turns=False)
    assert len(data) == 3

    def epoch(number):
        return [round(data.batch(number * 3 + i).hazy.mean().item(), 4) for i in range(3)]

    assert len(set(epoch(0))) == 3
    assert len({tuple(epoch(number)) for number in range(6)}) > 1
    assert all(sorted(epoch(number)) == sorted(epoch(0)) for number in range(6))


@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 0.9)])
def test_hazy_and_clean_are_cropped_scaled_and_turned_alike(its, scales):
    batch = batches(ITS.find(its), size=6, crop=16, scales=scales).batch(0)
    assert batch.hazy.shape == batch.clean.shape == (6, 3, 16, 16)
    airlight = (batch.hazy - batch.clean * batch.transmission) / (1 - batch.transmission)
    assert airlight.flatten(1).std(1).max() < 0.05


def test_files_read_ahead_and_images_in_memory_are_the_same(its):
    files = ITS.find(its)
    kept, read = (batches(files, size=2, crop=32, length=2, workers=n) for n in (0, 1))
    kept.first = read.first = 1
    expected = [kept.batch(1), kept.batch(2)]
    for got, again, wanted in zip(kept, read, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)
        torch.testing.assert_close(again, wanted, rtol=0, atol=0)


def test_files_read_ahead_go_on_where_a_run_is_resumed(its):
    files = ITS.find(its)
    ahead = batches(files, size=1, length=2, workers=1)
    coming = iter(ahead)
    ahead.first = 3  # as a resumed run says once it has begun
    for pair, number in zip(coming, (3, 4), strict=True):
        torch.testing.assert_close(pair.hazy, ahead.batch(number).hazy)


def test_scenes_that_validate_are_not_trained_on(its, nyu, tmp_path):
    root = tmp_path / "its"
    shutil.copytree(its, root)
    for path in [*root.rglob("2_*.png"), *root.rglob("2.png")]:
        path.rename(path.with_name("1350" + path.name[1:]))
    data = HazeData(
        root=nyu, its=root, batch=BatchConfig(size=1), train_scenes=10, validation_scenes=1
    )
    data.setup("fit")
    assert {files.scene for files in data.batches.files} == {"10"}
    few = HazeData(
        root=nyu, its=its, batch=BatchConfig(size=1), train_scenes=2, validation_scenes=1
    )
    few.setup("fit")
    assert {files.scene for files in few.batches.files} == {"2"}


def test_training_reads_its(its, nyu, tmp_path):
    options = [*tiny(nyu, tmp_path), f"--data.its={its}", "--data.workers=0"]
    assert train("student", options).is_file()


def test_o_haze_is_split_as_ntire_2018_did(o_haze):
    parts = [O_HAZE.find(o_haze, part) for part in (TRAIN, VALIDATION, TEST)]
    assert [len(part) for part in parts] == [35, 5, 5]
    assert parts[0][0].hazy.name == "01_outdoor_hazy.jpg"
    assert [files.clean.name[:2] for files in parts[1] + parts[2]] == [
        str(scene) for scene in range(36, 46)
    ]
    batch = batches(parts[0], size=3, crop=48).batch(0)
    assert batch.transmission is None
    torch.testing.assert_close(batch.hazy, batch.clean / 2 + 100 / 255, atol=0.1, rtol=0)


def test_of_own_pairs_every_fifth_scene_validates(tmp_path):
    for part in ("hazy", "clear"):
        (tmp_path / part).mkdir()
    for scene in range(10, 21):  # 11 scenes, of which the first has two hazy images
        clear = np.full((40, 50 + scene, 3), 10 * (scene - 10), np.uint8)
        Image.fromarray(clear).save(tmp_path / f"clear/{scene}.png")
        for index in range(1 + (scene == 10)):
            Image.fromarray(clear // 2 + 100).save(tmp_path / f"hazy/{scene}_{index}.png")
    data = HazeData(pairs=tmp_path, batch=BatchConfig(size=8, crop=32), workers=0)
    data.setup("fit")
    assert not data.has_transmission
    trained = {round(c.item() * 255) for c in data.batches.batch(0).clean[:, 0, 0, 0]}
    judged = [round(pair.clean[0, 0, 0, 0].item() * 255) for pair in data.val_dataloader()[0]]
    assert judged == [0, 0, 50, 100]
    assert trained == {10, 20, 30, 40, 60, 70, 80, 90}


def test_own_pairs_are_not_matched_by_the_name_of_a_camera(tmp_path):
    names = {
        "hazy": ("IMG_1", "IMG_2", "house_3", "old_hazy"),
        "clear": ("IMG_1", "house", "old_gt"),
    }
    for part, stems in names.items():
        (tmp_path / part).mkdir()
        for stem in stems:
            Image.new("RGB", (40, 30)).save(tmp_path / part / f"{stem}.png")
    with pytest.raises(DataError, match=r"the clean image of .*hazy/IMG_2.png is missing"):
        PAIRS.find(tmp_path)
    (tmp_path / "hazy/IMG_2.png").unlink()
    pairs = {files.hazy.stem: files.clean.stem for files in PAIRS.find(tmp_path)}
    assert pairs == {"IMG_1": "IMG_1", "house_3": "house", "old_hazy": "old_gt"}
    Image.new("RGB", (40, 30)).save(tmp_path / "clear/old_clean.png")
    with pytest.raises(DataError, match=r"the clean image of .*hazy/old_hazy.png is missing"):
        PAIRS.find(tmp_path)


def test_a_missing_target_is_no_others(tmp_path):
    for part, stems in {"hazy": ("img", "img_1", "img_2"), "clear": ("img", "img_1")}.items():
        (tmp_path / part).mkdir()
        for stem in stems:
            Image.new("RGB", (40, 30)).save(tmp_path / part / f"{stem}.png")
    with pytest.raises(DataError, match=r"the clean image of .*hazy/img_2.png is missing"):
        PAIRS.find(tmp_path)


def test_transmission_is_found_where_pixels_have_the_airlights_colour(tmp_path):
    generator = np.random.default_rng(0)
    clean = generator.uniform(0, 1, (60, 80, 3))
    clean[generator.random((60, 80)) < 0.05] = 0.9  # which say nothing of t
    t = np.linspace(0.9, 0.3, 80)[None, :, None]
    hazy = clean * t + 0.9 * (1 - t) + generator.normal(0, 1 / 255, clean.shape)
    paths = [tmp_path / "hazy.png", tmp_path / "clean.png"]
    for path, image in zip(paths, (hazy, clean), strict=True):
        Image.fromarray((image * 255).round().clip(0, 255).astype(np.uint8)).save(path)
    found = split_parts(read_parts(PairFiles("1", *paths, airlight=0.9))[None]).transmission
    assert np.abs(found[0, 0].numpy() - t[..., 0]).max() < 0.05
    psi = density_from_transmission(found)[0, 0].numpy()
    assert np.abs(psi - np.linspace(0, 1, 80)).mean() < 0.03


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("damage", ["cut short", "of another size"])
def test_own_pairs_are_looked_at_before_training(tmp_path, part, damage):
    for folder in ("hazy", "clear"):
        (tmp_path / folder).mkdir()
        for number in range(10):
            Image.new("RGB", (40, 30), (number, 9, 9)).save(tmp_path / folder / f"{number}.png")
    wrong = tmp_path / "clear" / ("0.png" if part == "validation" else "1.png")  # every fifth
    if damage == "cut short":
        wrong.write_bytes(wrong.read_bytes()[:-30])
    else:
        Image.new("RGB", (38, 30)).save(wrong)
    cause = "cannot be read" if damage == "cut short" else "is 40x30, but .* is 38x30"
    with pytest.raises(DataError, match=cause):
        HazeData(pairs=tmp_path, batch=BatchConfig(size=2, crop=16), workers=1).setup("fit")


def test_what_a_reader_cannot_read_later_is_named_without_its_traceback(its, tmp_path):
    root = tmp_path / "its"
    shutil.copytree(its, root)
    data = batches(ITS.find(root), size=6, crop=16, workers=1, length=1)
    (root / "clear/10.png").unlink()
    with pytest.raises(DataError) as found:
        list(data)
    assert str(found.value).startswith(str(root / "clear/10.png"))
    assert "\n" not in str(found.value)


def test_sources_that_are_trained_on_alone_stand_alone(tmp_path):
    photos = PhotosConfig(root=tmp_path)
    for options, left_out in (
        ({"pairs": tmp_path, "photos": photos}, "pairs is trained on alone: leave out data.photos"),
        ({"its": tmp_path, "graphics": GraphicsConfig()}, "its .* leave out data.graphics"),
        ({"ohaze": tmp_path, "pairs": tmp_path}, "ohaze .* leave out data.pairs"),
    ):
        with pytest.raises(DataError, match=f"data.{left_out}"):
            HazeData(root=tmp_path, **options)


def test_pictures_are_seen_upright(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for part in ("hazy", "clear"):
        (tmp_path / part).mkdir()
    Image.fromarray(pixels).save(tmp_path / "hazy/a.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "clear/a.png")
    hazy, clean = read_parts(PAIRS.find(tmp_path)[0]).split(3)
    assert torch.equal(hazy, clean)
    assert not any(PAIRS.check(tmp_path))


def test_a_picture_that_is_a_bomb_is_named(tmp_path, monkeypatch):
    (tmp_path / "hazy").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "hazy/a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"hazy/a.png cannot be read .*exceeds limit"):
        read_pixels(tmp_path / "hazy/a.png", "RGB")


@pytest.mark.parametrize("recipe", ["ohaze/fmil", "ohaze/wfmil"])
def test_the_recipes_of_table_4_train_on_o_haze_alone(o_haze, nyu, tmp_path, recipe):
    options = [word for word in tiny(nyu, tmp_path) if "data.root" not in word]
    options += [
        "--data.batch={size: 2, crop: 32, scales: [0.5, 1.0]}",
        "--data.validation_scales=[1]",
    ]
    options += [f"--data.ohaze={o_haze}", f"--model.losses.vgg={vgg_files(tmp_path, 16)[0]}"]
    weights = train("student", ["--config", recipe, *options])
    assert load_network(weights)


def test_the_recipes_of_table_4_ask_for_o_haze(nyu, tmp_path):
    for stage, recipe in (("student", "ohaze/wfmil"), ("teacher", "teacher-ohaze")):
        with pytest.raises(KddnError, match=r"this recipe needs --data\.ohaze"):
            train(stage, ["--config", recipe, *tiny(nyu, tmp_path)])


def test_psi1_without_transmission_is_refused_before_training(o_haze, nyu, tmp_path):
    options = [word for word in tiny(nyu, tmp_path) if "data.root" not in word]
    losses = '--model.losses={"imitation": 1, "density": "transmission", "teacher": "untrained"}'
    with pytest.raises(ModelError, match=r"give losses\.density: residual"):
        train("student", [*options, f"--data.ohaze={o_haze}", losses])


def test_what_is_wrong_is_named(its, o_haze, tmp_path):
    with pytest.raises(DataError, match="holds no images called as its's"):
        ITS.find(tmp_path)
    root = tmp_path / "its"
    shutil.copytree(its, root)
    with pytest.raises(DataError, match="a batch has 8; add more, or"):
        batches(ITS.find(root), size=8)
    Image.new("RGB", (64, 48)).save(root / "clear/2.png")
    with pytest.raises(DataError, match=r"is 80x60, but .*clear/2.png is 64x48"):
        read_parts(ITS.find(root)[0])
    (root / "clear/2.png").unlink()
    with pytest.raises(DataError, match=r"the clean image of .*hazy/2_1_.* is missing"):
        ITS.find(root)
    (root / "hazy/x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"hazy/x.png is not named as its's"):
        ITS.find(root)
    with pytest.raises(DataError, match=r"scene 46 of o-haze is missing"):
        O_HAZE.find(o_haze, ["45", "46"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_image_is_named_before_training(its, tmp_path, workers):
    root = tmp_path / "its"
    shutil.copytree(its, root)
    broken = root / "clear/10.png"
    broken.write_bytes(broken.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"clear/10.png cannot be read .* fetch it again"):
        batches(ITS.find(root), size=1, workers=workers)


def test_what_its_own_images_pass_over_is_said(nyu, tmp_path):
    with pytest.warns(UserWarning, match=r"data\.haze is passed over: the images of data\.its"):
        HazeData(nyu, its=tmp_path, haze=HazeConfig(bend=0.2))
