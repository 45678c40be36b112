"""Haze over photographs whose depth is not known: depths, cameras, batches."""

import io
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import tiny
from kddn.errors import DataError
from kddn.research.data import BatchConfig, HazeConfig, depth, graphics
from kddn.research.data.camera import CameraConfig, compress, photograph
from kddn.research.data.hazing import add_haze
from kddn.research.data.photos import HazedPhotos, find_photos, load_photos, without_hazy
from kddn.research.training.run import train


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def landscape(height=96, width=144):
    """Blue sky over dark, rough ground, `1 3 h w`."""
    image = torch.empty(1, 3, height, width)
    image[:] = torch.tensor([0.5, 0.7, 0.95]).view(3, 1, 1)
    ground = torch.rand(3, height // 2, width, generator=seeded())
    image[..., height // 2 :, :] = 0.1 + 0.4 * ground
    return image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photographs: some lie, some stand, in two folders, one in grey."""
    root = tmp_path_factory.mktemp("photos")
    (root / "more").mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        size = (90, 120, 3) if index % 3 else (150, 80, 3)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8))
        image = coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        folder = root / "more" if index > 6 else root
        image.convert("L" if index == 4 else "RGB").save(folder / f"{index}.jpg")
    return root


@pytest.mark.parametrize("kind", [depth.ramp, depth.field, depth.regions, depth.draw_depth])
def test_depths_are_relative_and_differ_from_image_to_image(kind):
    clean = landscape().repeat(6, 1, 1, 1)
    maps = kind(clean, seeded())
    assert maps.shape == (6, 1, 96, 144)
    assert 0 <= maps.min() < maps.max() <= 1
    assert torch.pdist(maps.flatten(1)).median() > 1
    torch.testing.assert_close(maps, kind(clean, seeded()), rtol=0, atol=0)


def test_the_ground_recedes_upwards():
    maps = depth.ramp(landscape().repeat(20, 1, 1, 1), seeded())
    middle = maps[..., 72]
    assert (middle[..., :-1] >= middle[..., 1:]).all()
    assert (middle[..., 0] > middle[..., -1]).all()


def test_the_sky_is_found_above_and_not_below():
    found = depth.sky(landscape())
    assert found[..., :40, :].min() > 0.8
    assert found[..., 56:, :].max() < 0.2
    upside_down = depth.sky(landscape().flip(-2))
    assert upside_down.max() < 0.2


def test_regions_end_at_the_edges_of_the_picture():
    image = torch.full((1, 3, 64, 64), 0.2)
    image[..., 32:] = 0.9
    steps = torch.cat(
        [depth.regions(image, seeded(seed)).diff(dim=-1).abs().mean((0, 1, 2)) for seed in range(9)]
    ).view(9, -1)
    assert steps.mean(0).argmax().item() == 31


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_compression_is_jpegs(quality, size):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8))
    original = coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    original.save(file, "JPEG", quality=quality, subsampling=0)
    expected = np.asarray(Image.open(file)).astype(float)
    x = torch.from_numpy(np.asarray(original).copy()).permute(2, 0, 1)[None] / 255
    ours = compress(x, torch.full((1, 1, 1, 1), float(quality)))
    ours = (ours[0] * 255).round().permute(1, 2, 0).numpy()
    loss = np.abs(np.asarray(original) - expected).mean()
    difference = np.abs(ours - expected)
    assert difference.mean() < 0.5
    assert np.abs(np.asarray(original) - ours).mean() == pytest.approx(loss, rel=0.1, abs=0.1)


def test_a_camera_that_does_nothing_does_nothing():
    image = landscape()
    assert photograph(image, CameraConfig(), seeded()) is image


def test_cameras_differ_from_image_to_image():
    images = torch.full((50, 3, 16, 16), 0.5)
    toned = photograph(images, CameraConfig(gamma=1.5), seeded()).mean((1, 2, 3))
    assert 0.5**1.5 <= toned.min() < 0.45
    assert 0.55 < toned.max() <= 0.5 ** (1 / 1.5)
    noisy = photograph(images, CameraConfig(noise=0.05), seeded()).flatten(1).std(1)
    assert noisy.min() < 0.01
    assert 0.04 < noisy.max() < 0.06
    textured = landscape(16, 16).repeat(50, 1, 1, 1)
    changed = photograph(textured, CameraConfig(jpeg=0.3), seeded()) != textured
    assert 5 < changed.flatten(1).any(1).sum() < 25


@pytest.mark.parametrize("bad", [{"gamma": 0.5}, {"noise": -1}, {"jpeg": 2}])
def test_impossible_cameras_are_refused(bad):
    with pytest.raises(ValueError, match="a camera must"):
        CameraConfig(**bad)


def test_every_fifth_photograph_is_held_back(photos):
    train_part, held_back = (find_photos(photos, part) for part in ("train", "validation"))
    assert [len(train_part), len(held_back)] == [8, 2]
    assert not set(train_part) & set(held_back)


def test_photographs_lie_or_stand(photos):
    loaded = load_photos(find_photos(photos, "train"))
    assert loaded.landscape.shape[1:] == (3, 320, 480)
    assert loaded.portrait.shape[1:] == (3, 480, 320)
    assert len(loaded) == 8


def test_photographs_with_haze_of_their_own_are_left_out(photos, nyu, tmp_path, monkeypatch):
    loaded = load_photos(find_photos(photos, "train"))
    brightness = torch.tensor(
        [float(p.float().mean()) for s in (loaded.landscape, loaded.portrait) for p in s]
    )
    seen = []

    def fade(image):
        assert image.dtype == np.uint8
        assert image.shape in ((160, 240, 3), (240, 160, 3))
        seen.append(image)
        return image.mean() / 100

    monkeypatch.setitem(sys.modules, "pyfade", SimpleNamespace(fade=fade))
    middle = float(brightness.median())
    kept = without_hazy(loaded, middle / 100 + 1e-3)
    assert len(kept) == (brightness <= middle + 0.1).sum() < len(loaded)
    assert kept.landscape.float().mean((1, 2, 3)).max() <= middle + 0.1
    with pytest.raises(DataError, match=r"all photographs have a FADE above 0\.01; raise"):
        without_hazy(loaded, 0.01)
    seen.clear()
    train("student", [*tiny(nyu, tmp_path), f'--data.photos={{"root": "{photos}", "max_fade": 9}}'])
    assert len(seen) == len(loaded)
    monkeypatch.setitem(sys.modules, "pyfade", None)
    with pytest.raises(DataError, match=r"pip install 'kddn\[fade\]'"):
        without_hazy(loaded, 0.5)


def test_batches_obey_the_scattering_model_and_some_images_are_clear(photos):
    config = HazeConfig(beta=(0.5, 2), airlight=(0.6, 0.9), tint=0.05, haze_free=0.4)
    data = HazedPhotos(
        load_photos(find_photos(photos, "train")),
        BatchConfig(size=20, crop=96, scales=(0.2, 0.3)),
        config,
        seed=0,
        length=1,
    )
    batch = data.batch(0)
    t = batch.transmission
    clear = (t > 0.9999).flatten(1).all(1)
    assert 3 < clear.sum() < 14
    torch.testing.assert_close(batch.hazy[clear], batch.clean[clear], rtol=0, atol=0)
    airlight = (batch.hazy - batch.clean * t) / (1 - t)
    thick = (t < 0.7).expand_as(airlight)
    for image in (~clear).nonzero()[:, 0]:
        for channel in range(3):
            values = airlight[image, channel][thick[image, channel]]
            assert values.numel() == 0 or values.max() - values.min() < 1e-3
    shapes = {data.batch(number).clean.shape[-2:] for number in range(8)}
    assert {height > width for height, width in shapes} == {True, False}


def haze_over(clean, **config):
    """Haze of airlight 0.9 over an image, thicker downwards."""
    distance = torch.linspace(0.1, 1, clean.shape[-2]).view(1, 1, -1, 1).expand_as(clean[:, :1])
    haze = HazeConfig(airlight=(0.9, 0.9), beta=(4, 4), **config)
    return add_haze(clean, distance, haze, seeded())


def test_far_haze_is_bluer_by_angstroms_law():
    clean = landscape()
    pair = haze_over(clean, angstrom=2.0)
    seen = ((pair.hazy - 0.9) / (clean - 0.9)).where((clean - 0.9).abs() > 0.2, torch.nan)
    red, green, blue = (-seen[0].log()).unbind()  # optical depths
    exponents = [
        torch.nanmedian((optical_depth / green).log()) / np.log(549 / wavelength)
        for optical_depth, wavelength in ((red, 611), (blue, 464))
    ]
    assert exponents[0] == pytest.approx(exponents[1].item(), abs=1e-3)
    assert 0 < exponents[0] < 2
    known = green.isfinite()
    torch.testing.assert_close((-green).exp()[known], pair.transmission[0, 0][known])


def test_what_the_haze_hides_stays_hazy():
    clean = landscape()
    pair = haze_over(clean, floor=0.2)
    t = pair.transmission.expand_as(clean)
    assert 0.1 < (t < 0.2).float().mean() < 0.9
    torch.testing.assert_close(pair.clean[t > 0.2], clean[t > 0.2])
    expected = 0.9 + (pair.hazy - 0.9) / 0.2
    torch.testing.assert_close(pair.clean[t < 0.2], expected[t < 0.2])


def test_every_airlight_has_a_colour_of_its_own():
    clean = torch.zeros(64, 3, 4, 4)
    pair = add_haze(
        clean, torch.ones(64, 1, 4, 4), HazeConfig(airlight=(0.5, 0.5), beta=(9, 9), bias=0.03),
        seeded(),
    )  # fmt: skip
    airlights = pair.hazy[..., 0, 0]
    assert ((airlights - 0.5).abs() < 0.0305).all()
    assert airlights.std(0).min() > 0.01
    assert (airlights[:, 0] - airlights[:, 1]).std() > 0.01


def test_some_haze_is_of_sand_or_smog_or_blue():
    haze = HazeConfig(airlight=(1.0, 1.0), beta=(9, 9), tinted=0.5)
    airlights = add_haze(torch.zeros(200, 3, 4, 4), torch.ones(200, 1, 4, 4), haze, seeded())
    colours = airlights.hazy[..., 0, 0]
    differ = (colours.amax(1) - colours.amin(1)) > 0.02
    assert 0.35 < differ.float().mean() < 0.6
    blue = colours[:, 2] - colours[:, 0]
    assert blue.max() > 0.1
    assert blue.min() < -0.2


def test_dim_scenes_are_dark_under_the_haze_and_bright_in_the_target():
    clean = torch.full((200, 3, 4, 4), 0.5)
    haze = HazeConfig(beta=(0, 0), dim=0.5, exponent=3.0)
    pair = add_haze(clean, torch.ones(200, 1, 4, 4), haze, seeded())
    torch.testing.assert_close(pair.clean, clean)
    seen = pair.hazy[:, 0, 0, 0]
    dimmed = seen < 0.4999
    assert 0.35 < dimmed.float().mean() < 0.65
    assert seen.min() >= 0.5**3 - 1e-4
    assert seen[dimmed].std() > 0.05


def test_nights_come_back_as_they_are():
    clean = torch.full((200, 3, 4, 4), 0.5)
    haze = HazeConfig(beta=(1, 1), night=0.5, dim=1.0, grain=0.1)
    pair = add_haze(clean, torch.ones(200, 1, 4, 4), haze, seeded())
    night = pair.clean[:, 0, 0, 0] < 0.4
    assert 0.35 < night.float().mean() < 0.65
    torch.testing.assert_close(pair.hazy[night], pair.clean[night])
    assert (pair.transmission[night] == 1).all()
    assert (pair.transmission[~night] < 1).all()


def test_grain_lies_under_the_haze():
    clean = torch.full((40, 3, 16, 16), 0.5)
    haze = HazeConfig(airlight=(1, 1), beta=(1, 1), grain=0.05)
    pair = add_haze(clean, torch.ones(40, 1, 16, 16), haze, seeded())
    torch.testing.assert_close(pair.clean, clean)
    deviations = pair.hazy.flatten(1).std(1) / np.exp(-1)
    assert 0.045 < deviations.max() < 0.056
    assert deviations.min() < 0.01


def test_scenes_vary_in_tone_and_colour_targets_too():
    clean = torch.full((100, 3, 4, 4), 0.5)
    pair = add_haze(clean, torch.ones(100, 1, 4, 4), HazeConfig(beta=(0, 0), vary=0.2), seeded())
    torch.testing.assert_close(pair.hazy, pair.clean)
    values = pair.clean[..., 0, 0]
    assert values.min() >= 0.5 ** np.exp(0.2) * np.exp(-0.1) - 1e-3
    assert values.max() <= 0.5 ** np.exp(-0.2) * np.exp(0.1) + 1e-3
    assert (values.amax(1) - values.amin(1)).mean() > 0.02


def test_bent_depths_keep_what_is_nearest_and_farthest_in_place():
    depth = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 1, 4).expand(200, 1, 4, 4)
    haze = HazeConfig(airlight=(1, 1), beta=(1, 1), bend=0.3)
    pair = add_haze(torch.zeros(200, 3, 4, 4), depth, haze, seeded())
    bent = -pair.transmission[:, 0, 0].log()
    torch.testing.assert_close(bent[:, [0, 3]], torch.tensor([0.0, 1.0]).expand(200, 2))
    exponents = (bent[:, 1:3].log() / torch.tensor([0.25, 0.5]).log()).log()
    torch.testing.assert_close(exponents[:, 0], exponents[:, 1])
    assert -0.3 <= exponents.min() < -0.25
    assert 0.25 < exponents.max() <= 0.3
    torch.testing.assert_close(pair.hazy[:, :1], 1 - pair.transmission)


def test_a_collage_lays_a_part_of_another_scene_over_at_its_own_depth():
    values = torch.arange(1, 9).view(8, 1, 1, 1) / 10
    clean, depth = values.expand(8, 3, 40, 60), values.expand(8, 1, 40, 60)
    pairs = [
        add_haze(clean, depth, HazeConfig(beta=(1, 1), collage=0.5), seeded(seed))
        for seed in range(20)
    ]
    over = torch.cat([(pair.clean != clean).float() for pair in pairs])[:, 0]
    some = over.flatten(1).any(1)
    assert 0.4 < some.float().mean() < 0.6
    rows, columns = over[some].amax(2), over[some].amax(1)
    torch.testing.assert_close(over[some], rows[:, :, None] * columns[:, None])  # rectangles
    assert 0.2 < rows.mean(1).min() < rows.mean(1).max() < 0.8
    for pair in pairs:
        torch.testing.assert_close(pair.transmission, (-pair.clean[:, :1]).exp())
        other = torch.where(pair.clean == clean, clean, clean.roll(1, 0))
        torch.testing.assert_close(pair.clean, other)


def test_what_is_not_asked_for_draws_nothing():
    clean, distance = landscape().expand(4, -1, -1, -1), torch.rand(4, 1, 96, 144)
    usual = add_haze(clean, distance, HazeConfig(tint=0.02), seeded())
    again = add_haze(
        clean, distance, HazeConfig(tint=0.02, exponent=3.0, camera=CameraConfig()), seeded()
    )
    torch.testing.assert_close(usual.hazy, again.hazy, rtol=0, atol=0)
    drawn, by_hand = seeded(), seeded()
    add_haze(clean, distance, HazeConfig(tint=0.02), drawn)
    for _ in range(3):  # airlight, beta, and which airlights are 1
        torch.rand(4, 1, 1, 1, generator=by_hand)
    torch.randn(4, 1, 1, 1, generator=by_hand)  # the tint
    torch.rand(4, 1, 1, 1, generator=by_hand)  # which have no haze
    assert torch.equal(drawn.get_state(), by_hand.get_state())


@pytest.mark.parametrize(
    "kind", [graphics.flat, graphics.gradient, graphics.page, graphics.drawing]
)
def test_graphics_are_pictures(kind):
    pictures = [kind(60, 90, seeded(seed)) for seed in range(20)]
    for picture in pictures:
        assert picture.shape == (3, 60, 90)
        assert 0 <= picture.min() <= picture.max() <= 1
    assert torch.stack(pictures).std(0).min() > 0
    steps = torch.stack(pictures).diff(dim=-1).abs()
    assert (steps > 0).any() == (kind is not graphics.flat)
    assert (steps.max() < 0.1) == (kind in (graphics.flat, graphics.gradient))


def test_graphics_are_hazy_image_and_target_at_once():
    data = graphics.Graphics(BatchConfig(size=4, scales=(0.2, 0.3), multiple=16), seed=0, length=1)
    batch = data.batch(3)
    assert batch.hazy.shape[-1] % 16 == batch.hazy.shape[-2] % 16 == 0
    torch.testing.assert_close(batch.hazy, batch.clean)
    assert (batch.transmission == 1).all()
    torch.testing.assert_close(data.batch(3).hazy, batch.hazy)


def test_training_mixes_graphics_in(photos, nyu, tmp_path):
    for given in ("", f'--data.photos={{"root": "{photos}"}}'):
        options = [
            *tiny(nyu, tmp_path),
            "--data.graphics.fraction=0.5",
            *([given] if given else []),
        ]
        train("student", options)
    with pytest.raises(ValueError, match=r"fraction must lie in \(0, 1\)"):
        graphics.GraphicsConfig(fraction=1.0)


def test_uneven_airlight_falls_off_smoothly_from_its_brightest():
    clean = torch.rand(8, 3, 48, 64, generator=seeded())
    haze = HazeConfig(airlight=(0.8, 0.8), beta=(30, 30), uneven=0.5)
    airlight = add_haze(clean, torch.ones(8, 1, 48, 64), haze, seeded(1)).hazy  # nothing else
    torch.testing.assert_close(airlight.amax((-3, -2, -1)), torch.full((8,), 0.8))
    darkest = airlight[:, 1].amin((-2, -1))  # green's
    assert 0.8 * math.exp(-0.5) - 1e-4 <= darkest.min() < 0.65
    assert darkest.max() < 0.8
    assert airlight.diff(dim=-1).abs().max() < 0.05
    assert airlight.diff(dim=-2).abs().max() < 0.05
    red, _, blue = airlight.amin((-2, -1)).T
    assert (red > blue).any()
    assert (red < blue).any()


def test_aerial_haze_has_the_colour_of_the_sky_and_ends_before_it():
    clean = landscape().repeat(8, 1, 1, 1)
    pair = add_haze(
        clean,
        torch.ones(8, 1, 96, 144),
        HazeConfig(airlight=(0.9, 0.9), beta=(20, 20), aerial=1.0),
        seeded(),
    )
    torch.testing.assert_close(pair.hazy[..., 2:30, :], clean[..., 2:30, :], atol=0.01, rtol=0)
    assert pair.transmission[..., 2:30, :].min() > 0.95
    ground = pair.hazy[..., 60:, :]
    assert ground.std((-2, -1)).max() < 1e-3
    red, green, blue = ground.mean((-2, -1)).T
    torch.testing.assert_close(blue, torch.full((8,), 0.95), atol=0.01, rtol=0)
    assert (red >= 0.49).all()
    assert (red < green).all()
    assert red.std() > 0.02  # some paler than others


def test_only_some_have_aerial_haze_and_each_its_own_colour():
    clean = landscape().repeat(8, 1, 1, 1)
    clean[4:] = clean[4:].flip(1)  # red skies
    haze = HazeConfig(airlight=(0.9, 0.9), beta=(20, 20), aerial=0.5)
    depth = torch.ones(8, 1, 96, 144)
    pair = add_haze(clean, depth, haze, seeded())
    assert (depth == 1).all()
    red, green, blue = pair.hazy[..., 60:, :].mean((-2, -1)).T
    plain = (red - blue).abs() < 1e-3
    assert 0 < plain.sum() < 8
    torch.testing.assert_close(green[plain], torch.full_like(green[plain], 0.9), atol=1e-3, rtol=0)
    assert (blue > red)[:4][~plain[:4]].all()
    assert (blue < red)[4:][~plain[4:]].all()


@pytest.mark.parametrize("colour", [[0.1, 0.15, 0.3], [0.5, 0.8, 0.4]])
def test_what_is_too_dark_or_green_for_a_sky_lends_no_colour(colour):
    clean = landscape()
    clean[..., :48, :] = torch.tensor(colour).view(3, 1, 1)
    haze = HazeConfig(airlight=(0.9, 0.9), beta=(20, 20), aerial=1.0)
    pair = add_haze(clean, torch.ones(1, 1, 96, 144), haze, seeded())
    torch.testing.assert_close(pair.hazy, torch.full_like(clean, 0.9), atol=1e-3, rtol=0)


def test_training_mixes_scenes_and_photographs(photos, nyu, tmp_path):
    config = f'--data.photos={{"root": "{photos}", "fraction": 0.5, "haze": {{"haze_free": 0.2}}}}'
    weights = train("student", [*tiny(nyu, tmp_path), config])
    assert "psnr@photos" in (weights.parent / "metrics.csv").read_text()


def test_a_folder_without_photographs_is_named(tmp_path):
    with pytest.raises(DataError, match="holds 0 photographs"):
        find_photos(tmp_path, "train")
