"""Data sets in their original layouts, whole and damaged."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kddn.cli import app
from kddn.errors import DataError
from kddn.research.data import load_nyu
from kddn.research.data.sets import DATA_SETS, find_data_set
from kddn.research.data.sets.data_set import ANY_PICTURE

ROOM, BORDERED, LARGE, ANY = (620, 460), (640, 480), (1600, 1200), (72, 48)

LAYOUTS = {
    "pairs": (["hazy/house.png", "hazy/barn_1.png", "hazy/barn_2.png"],
              ["clear/house.png", "clear/barn.png"], ANY),
    "sots-indoor": (["hazy/1400_1.png", "hazy/1400_10.png"], ["gt/1400.png"], ROOM),
    "sots-outdoor": (["hazy/0001_0.8_0.2.jpg", "hazy/0001_1_0.12.jpg"], ["gt/0001.png"], ANY),
    "hsts": (["synthetic/synthetic/0586.jpg"], ["synthetic/original/0586.jpg"], ANY),
    "hsts-real": (["real-world/Beijing1.jpg"], [], ANY),
    "rtts": (["JPEGImages/AM_Bing_211.png"], [], ANY),
    "its": (["hazy/1_1_0.90179.png", "hazy/1_2_1.png"], ["clear/1.png"], ROOM),
    "ots": (["hazy/0005_0.8_0.04.jpg", "hazy/0005_0.9_0.04.jpg"], ["clear/0005.jpg"], ANY),
    "d-hazy-middlebury": (["Middlebury_Hazy/Adirondack_Hazy.bmp"],
                          ["Middlebury_GT/Adirondack_im0.png"], ANY),
    "d-hazy-nyu": (["NYU_Hazy/1_Hazy.bmp"], ["NYU_GT/1_Image_.bmp"], ANY),
    "o-haze": (["hazy/41_outdoor_hazy.jpg"], ["GT/41_outdoor_GT.JPG"], ANY),
    "i-haze": (["hazy/01_indoor_hazy.jpg"], ["GT/01_indoor_GT.jpg"], ANY),
    "dense-haze": (["hazy/01_hazy.png"], ["GT/01_GT.png"], LARGE),
    "nh-haze": (["01_hazy.png", "02_hazy.png"], ["01_GT.png", "02_GT.png"], LARGE),
    "haze-rd": (["simu/IMG_8583_50.jpg", "simu/IMG_8583_1000.jpg"], ["img/IMG_8583_RGB.jpg"], ANY),
    "real": (["fog.jpg", "more/fog.png"], [], ANY),
}  # fmt: skip
"""Of each set some hazy images and all their clean ones, as their publishers call them."""


def check(name, root):
    return [problem for problem in DATA_SETS[name].check(root) if problem is not None]


def make(root, name, clear_size=None):
    """Files of a set: clean ones grey, hazy ones paler."""
    hazy, clear, size = LAYOUTS[name]
    for grey, of_size, names in ((200, size, hazy), (100, clear_size or size, clear)):
        for file in names:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", of_size, (grey,) * 3).save(root / file)
    return root


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_loads_from_its_original_layout(name, tmp_path):
    hazy, clear, size = LAYOUTS[name]
    cases = list(DATA_SETS[name].cases(make(tmp_path, name)))
    stems = [Path(file).stem for file in hazy]
    names = [
        file if stems.count(stem) > 1 else stem for file, stem in zip(hazy, stems, strict=True)
    ]
    assert sorted(case.name for case in cases) == sorted(names)
    for case in cases:
        assert case.data == name
        assert tuple(case.hazy.shape) == (1, 3, size[1], size[0])
        assert (case.hazy * 255 - 200).abs().max() < 2
        assert (case.clean is None) == (not clear)
        if case.clean is not None:
            assert (case.clean * 255 - 100).abs().max() < 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_of_it_is_wrong_but_what_is_missing(name, tmp_path):
    hazy, clear, _ = LAYOUTS[name]
    problems = list(DATA_SETS[name].check(make(tmp_path, name)))
    assert problems.count(None) == len(hazy) + len(clear)
    assert {problem.kind for problem in problems if problem is not None} <= {"missing"}


def test_both_halves_of_d_hazy_lie_in_one_folder_beside_depth_maps(tmp_path):
    make(tmp_path, "d-hazy-middlebury")
    make(tmp_path, "d-hazy-nyu")
    Image.new("L", ANY).save(tmp_path / "NYU_GT/1_Depth_.bmp")
    for name in ("d-hazy-middlebury", "d-hazy-nyu"):
        assert len(list(DATA_SETS[name].cases(tmp_path))) == 1
        assert {problem.kind for problem in check(name, tmp_path)} == {"missing"}


def test_transmission_must_be_as_large(tmp_path):
    root = make(tmp_path, "its")
    (root / "trans").mkdir()
    Image.new("L", (60, 40)).save(root / "trans/1_2.png")
    (wrong,) = [problem.text for problem in check("its", root) if problem.kind == "wrong size"]
    assert wrong == f"{root / 'trans/1_2.png'}: 60x40, but 1_2_1.png is 620x460"


def test_each_set_names_all_that_is_missing(tmp_path):
    (missing,) = [p.text for p in check("rtts", make(tmp_path / "rtts", "rtts"))]
    assert missing == "4,321 of 4,322 hazy images"
    problems = check("sots-indoor", make(tmp_path / "sots", "sots-indoor"))
    assert len(problems) == 498 + 49  # hazy images and clean ones
    assert any(p.text.startswith("haze 2 of scene 1400") for p in problems)


@pytest.mark.parametrize("name", sorted(DATA_SETS.keys() - {"graphics"}))
def test_a_sets_example_is_called_as_its_files_are(name):
    found = DATA_SETS[name]
    kinds = [names for names in (found.hazy, found.clean, found.transmission) if names is not None]
    named = [word for word in re.split(r",? or |, ", found.example) if "." in word]
    assert named or found.hazy == ANY_PICTURE
    for word in named:
        assert any(names.match(Path(word)) for names in kinds), word


def test_names_that_begin_as_cameras_name_them_are_pairs(tmp_path):
    for folder in ("hazy", "clear"):
        (tmp_path / folder).mkdir()
        for number in (1, 2):
            Image.new("RGB", ANY).save(tmp_path / folder / f"_DSC000{number}.jpg")
    found = DATA_SETS["pairs"].find(tmp_path)
    assert [(each.hazy.name, each.clean.name) for each in found] == [
        (f"_DSC000{number}.jpg",) * 2 for number in (1, 2)
    ]


def test_what_is_there_twice_or_too_much_is_told(tmp_path, monkeypatch):
    root = make(tmp_path / "pairs", "pairs")
    (root / "gt").mkdir()
    Image.new("RGB", ANY).save(root / "gt/house.png")
    (problem,) = check("pairs", root)
    assert problem.kind == "extra"
    assert problem.text.startswith(f"{root}/gt/house.png: another clean image has this name")
    monkeypatch.setitem(DATA_SETS, "rtts", replace(DATA_SETS["rtts"], count=1))
    root = make(tmp_path / "rtts", "rtts")
    Image.new("RGB", ANY).save(root / "JPEGImages/AM_Bing_212.png")
    (problem,) = check("rtts", root)
    assert (problem.kind, problem.text) == ("extra", "1 hazy images beside 1")


def test_all_of_nyu_may_be_there(tmp_path):
    for folder, ending in (("rgb", "jpg"), ("depth", "png")):
        (tmp_path / folder).mkdir()
        for number in (0, 1398, 1399, 1448):
            picture = Image.new("L" if folder == "depth" else "RGB", BORDERED, 90)
            picture.save(tmp_path / folder / f"{number}.{ending}")
    assert {problem.kind for problem in check("nyu", tmp_path)} == {"missing"}
    Image.new("I;16", BORDERED, 2000).save(tmp_path / "depth/0.png")
    (problem,) = [each for each in check("nyu", tmp_path) if each.kind == "unreadable"]
    assert "more than 8 bits a pixel, which would all become white" in problem.text
    with pytest.raises(DataError, match=r"depth/0.png has more than 8 bits"):
        load_nyu(tmp_path, [1])


@pytest.fixture
def sots(tmp_path, monkeypatch):
    """SOTS-indoor, whole, but for the scenes it has: one, of two hazes."""
    small = replace(DATA_SETS["sots-indoor"], scenes=["1400"], hazes=["1", "10"])
    monkeypatch.setitem(DATA_SETS, "sots-indoor", small)
    return make(tmp_path, "sots-indoor", clear_size=BORDERED)


def test_the_border_of_the_truth_is_cut_off(sots):
    truth = np.full((480, 640, 3), 255, np.uint8)
    truth[10:-10, 10:-10] = 100
    Image.fromarray(truth).save(sots / "gt/1400.png")
    assert check("sots-indoor", sots) == []
    clean = next(DATA_SETS["sots-indoor"].cases(sots)).clean
    assert (clean * 255).round().unique().tolist() == [100]


def shift(sots):
    shutil.move(sots / "hazy/1400_1.png", sots / "hazy/1400-1.png")


def swap(sots):
    Image.new("RGB", (460, 620)).save(sots / "hazy/1400_1.png")


def other_truth(sots):
    Image.new("RGB", (630, 470)).save(sots / "gt/1400.png")


def lengthen(sots):
    shutil.copy(sots / "hazy/1400_1.png", sots / "hazy/1401_1.png")


def orphan(sots):
    shutil.copy(sots / "gt/1400.png", sots / "gt/1401.png")


def truncate(sots):
    path = sots / "gt/1400.png"
    path.write_bytes(path.read_bytes()[:-40])


def remove_truth(sots):
    (sots / "gt/1400.png").unlink()


@pytest.mark.parametrize(
    ("damage", "kinds", "text"),
    [
        (shift, ["misnamed", "missing"], "1400-1.png"),
        (swap, ["wrong size"], "hazy/1400_1.png: 460x620, not 620x460"),
        (other_truth, ["wrong size", "wrong size"], "1400.png is 630x470"),
        (lengthen, ["extra", "missing"], "sots-indoor has no scene 1401"),
        (orphan, ["extra"], "1401.png: a clean image without a hazy one"),
        (truncate, ["unreadable"], "gt/1400.png cannot be read"),
        (remove_truth, ["missing"], "clean scene 1400"),
    ],
)
def test_each_damage_is_named(sots, damage, kinds, text):
    damage(sots)
    problems = check("sots-indoor", sots)
    assert sorted(p.kind for p in problems) == kinds
    assert any(text in p.text for p in problems)


def test_the_command_counts_what_is_wrong(sots, capsys):
    remove_truth(sots)
    with pytest.raises(SystemExit) as stopped:
        app(["data", "check", "sots-indoor", str(sots)])
    assert stopped.value.code == 1
    out = capsys.readouterr().out
    assert "2 files are as they should be" in out
    assert "missing: 1" in out


def test_the_command_tells_of_every_set(capsys):
    app(["data", "list"], result_action="return_value")
    listed = capsys.readouterr().out
    assert all(name in listed for name in DATA_SETS)
    app(["data", "list", "sots-indoor"], result_action="return_value")
    assert "hazy/1400_1.png" in capsys.readouterr().out


def test_a_folder_with_nothing_of_the_set_is_said_to_be_so(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        check("its", tmp_path / "none")
    with pytest.raises(DataError, match="holds no images called as its's"):
        check("its", tmp_path)
    for place, name in (("RESIDE/SOTS", "sots-indoor"), ("NH/NH-HAZE", "nh-haze")):
        make(tmp_path / place, name)
        with pytest.raises(DataError, match=rf"lies deeper .*give .*{place}"):
            check(name, tmp_path)
    with pytest.raises(DataError, match="there is no data set 'sot'"):
        find_data_set("sot")


def test_scenes_to_judge_by_must_be_there(tmp_path):
    for scene in ("01", "40"):
        for folder, kind in (("hazy", "hazy"), ("GT", "GT")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (8, 8)).save(tmp_path / folder / f"{scene}_outdoor_{kind}.jpg")
    with pytest.raises(
        DataError, match=r"none of the scenes that o-haze is judged by \(41, 42, 43, 44, 45\)"
    ):
        next(find_data_set("o-haze").cases(tmp_path))


def test_names_have_numbers_of_any_kind(tmp_path):
    for name in ("1\u00b22.png", "1\u0663.png", "10.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert len(list(find_data_set("real").cases(tmp_path))) == 3
