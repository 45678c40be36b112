"""What the figures are means of, what their intervals resample, and which protocol they follow."""

import csv
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from helpers import vgg_files
from kddn import Dehazer
from kddn.cli.evaluate import evaluate as evaluate_command
from kddn.errors import DataError, KddnError, ModelError
from kddn.inference.models import find_model
from kddn.research.data import load_nyu, sots_pair
from kddn.research.data.sets import DATA_SETS, Case, find_data_set
from kddn.research.data.sets.nyu import nyu_cases
from kddn.research.data.sets.outdoor import RULES, outdoor_pairs
from kddn.research.evaluation import systems
from kddn.research.evaluation.evaluate import evaluate, score
from kddn.research.evaluation.metrics import psnr, ssim
from kddn.research.evaluation.protocols import PROTOCOLS
from kddn.research.evaluation.reports import no_reference_markdown
from kddn.research.evaluation.scores import NoReference, Score, estimate, summarize
from kddn.research.evaluation.systems import find_systems
from kddn.research.nets import Teacher, TeacherConfig
from kddn.research.nets.baselines import AODNet
from kddn.research.nets.checkpoints import save_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photographs, two of which are held back; one of those stands."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8))
        coarse.resize((90, 120) if index == 5 else (120, 90)).save(root / f"{index}.png")
    return root


def test_the_hazy_input_scores_what_the_metrics_say(nyu):
    scores = list(score({"hazy": lambda hazy: hazy}, nyu_cases(nyu, scenes=1)))
    assert [s.image for s in scores] == [f"1350_{haze}" for haze in range(1, 11)]
    pair = sots_pair(load_nyu(nyu, [1350]), 0, 4)
    assert scores[3].figures["psnr"] == pytest.approx(psnr(pair.hazy, pair.clean).item(), abs=1e-4)
    assert scores[3].figures["ssim"] == pytest.approx(ssim(pair.hazy, pair.clean).item(), abs=1e-4)
    assert scores[0].figures["psnr"] > scores[9].figures["psnr"]


def test_means_are_over_images():
    values, images = np.array([20.0, 30.0]), np.array([9, 1])
    mean, low, high = estimate(values, images)
    assert mean == pytest.approx(21)
    assert (low, high) == (20, 30)


def test_models_of_one_name_are_told_apart(tmp_path):
    paths = [str(tmp_path / folder / "weights.safetensors") for folder in "ab"]
    for path in paths:
        save_network(AODNet(), Path(path))
    systems = dict(find_systems([*paths, paths[0]]))
    assert list(systems) == ["hazy", *paths]
    ours = str(find_model("kddn-indoor").path)
    systems = dict(find_systems(["kddn-indoor", ours], both_paths=False))
    assert list(systems) == ["hazy", "kddn-indoor @480", f"{ours} @480"]
    with pytest.raises(ModelError, match="PyTorch has no device 'coreml' here; use auto"):
        dict(find_systems(paths, "coreml"))


def test_intervals_resample_scenes_not_images():
    def row(scene, haze, psnr, ssim, seconds):
        figures = {"psnr": psnr, "ssim": ssim}
        return Score("nyu", "full", "a", scene, f"{scene}_{haze}", figures, seconds)

    rows = [row("1", haze, 20.0 + haze, 0.5, 0.1) for haze in range(1, 11)]
    (alone,) = summarize(rows)  # one scene tells nothing of others
    assert alone.figures["psnr"] == pytest.approx((25.5, np.nan, np.nan), nan_ok=True)
    assert f"{alone.figures['psnr']:.2f}" == "25.50"
    rows += [row("2", haze, 30.0 + haze, 0.9, 0.3) for haze in range(1, 11)]
    (both,) = summarize(rows)
    assert both.images == 20
    assert both.figures["psnr"] == pytest.approx((30.5, 25.5, 35.5))
    assert f"{both.figures['psnr']:.1f}" == "30.5 (25.5 to 35.5)"
    assert both.figures["ssim"].mean == pytest.approx(0.7)
    assert both.seconds == pytest.approx(0.2)
    rows.append(row("3", 1, float("inf"), 1.0, 0.3))
    assert summarize(rows)[0].figures["psnr"].mean == pytest.approx((255 + 355 + 100) / 21)


@pytest.fixture
def images():
    """A prediction that leaves [0, 1], and the truth, `h w 3`."""
    rng = np.random.default_rng(0)
    truth = ndimage.gaussian_filter(rng.random((530, 300, 3)), (2, 2, 0)).astype(np.float32)
    truth = ((truth - truth.min()) / (truth.max() - truth.min())).astype(np.float32)
    return (1.2 * truth - 0.1 + rng.normal(0, 0.03, truth.shape)).astype(np.float32), truth


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None]


GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def independent(name, image, truth):
    """The protocols again, by scikit-image and scipy."""
    clamped = image.clip(0, 1)

    def similarity(x, y, **options):
        return structural_similarity(x, y, data_range=1, channel_axis=2, **options)

    if name == "full":
        return clamped, similarity(clamped, truth, **GAUSSIAN)
    if name == "kddn":
        eight_bit = (clamped * 255).astype(np.uint8) / np.float32(255)
        return eight_bit, similarity(eight_bit, truth, win_size=7)
    if name == "grid":
        return image, similarity(image, truth, win_size=7)
    if name == "dehazeformer":  # 300 / 256 rounds to 1; of twice the size, to 2
        return clamped, similarity(clamped, truth, **GAUSSIAN)
    padded = [np.pad(x, ((10, 10), (10, 10), (0, 0))) for x in (clamped, truth)]  # zeros
    _, local = similarity(*padded, full=True, **GAUSSIAN)
    return clamped, local[10:-10, 10:-10].mean()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_equal_an_independent_computation(images, name):
    image, truth = images
    got = PROTOCOLS[name].measure(tensor(image), tensor(truth))
    judged, expected = independent(name, image, truth)
    assert got[0].item() == pytest.approx(
        peak_signal_noise_ratio(truth, judged, data_range=1), abs=1e-4
    )
    assert got[1].item() == pytest.approx(expected, abs=1e-4)


def test_dehazeformers_ssim_is_of_a_smaller_image(images):
    image, truth = (np.kron(x, np.ones((2, 2, 1), np.float32)) for x in images)
    _, got = PROTOCOLS["dehazeformer"].measure(tensor(image), tensor(truth))
    # Clamping before averaging, of pixels that come in equal fours.
    assert got.item() == pytest.approx(independent("full", *images)[1], abs=1e-4)


def test_kddns_protocol_gives_the_network_multiples_of_4(images):
    seen = []

    def system(hazy):
        seen.append(tuple(hazy.shape[-2:]))
        return hazy

    case = Case("x", "1", "1", tensor(images[1]), tensor(images[1]))
    odd = Case("x", "2", "2", case.hazy[..., :299], case.clean[..., :299])
    (result,) = score({"same": system}, [odd], ["kddn"])
    assert seen == [(530, 299), (528, 296)]
    assert 30 < result.figures["psnr"] < 70


def test_graphics_are_the_same_every_time_and_of_every_kind(tmp_path):
    cases, again = (list(find_data_set("graphics").cases(tmp_path)) for _ in range(2))
    assert [case.scene for case in cases[::10]] == ["flat", "gradient", "page", "drawing"]
    assert len({case.hazy.sum().item() for case in cases}) == len(cases) == 40
    for one, other in zip(cases, again, strict=True):
        torch.testing.assert_close(one.hazy, other.hazy)
        torch.testing.assert_close(one.hazy, one.clean)


def test_outdoor_hazes_are_of_their_rules_and_always_the_same(photos):
    pairs = list(outdoor_pairs(photos))
    assert [rule for _, rule, _ in pairs] == list(RULES) * 2
    assert pairs[0][2].clean.shape == (1, 3, 320, 480)
    assert pairs[-1][2].clean.shape == (1, 3, 480, 320)
    for (_, rule, pair), (_, _, again) in zip(pairs, outdoor_pairs(photos), strict=True):
        torch.testing.assert_close(pair.hazy, again.hazy, rtol=0, atol=0)
        t = pair.transmission
        assert 0 < t.min() <= t.max() <= 1
        assert (t.max() - t.min() > 0.1) == (rule != "even")
        airlight = (pair.hazy - pair.clean * t) / (1 - t)
        thick = (t < t.median()).expand_as(airlight) if rule != "even" else airlight < 2
        assert 0.6 < airlight[thick].min() <= airlight[thick].max() < 1


def test_all_sets_are_measured_at_once(photos, nyu, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    gradient = np.linspace(0, 255, 64 * 48).reshape(48, 64, 1).repeat(3, 2).astype(np.uint8)
    Image.fromarray(gradient).save(real / "a.png")
    data = {"nyu": nyu, "outdoor": photos, "clear": photos, "real": real}
    summaries = evaluate(
        data,
        ["dcp"],
        protocols=["full", "grid"],
        metrics=["ms-ssim", "ciede2000"],
        vgg=vgg_files(tmp_path, 16)[0],
        output=tmp_path / "out",
        images=1,
    ).summaries
    rows = {(s.data, s.protocol, s.system): s for s in summaries}
    assert set(rows) == {
        (data, protocol, system)
        for data in ("nyu", "outdoor", "clear")
        for protocol in ("full", "grid")
        for system in ("hazy", "dcp @640", "dcp full")
    }
    assert rows["clear", "full", "hazy"].figures["psnr"].mean == 100
    nothing_lost = rows["clear", "full", "hazy"].figures
    assert nothing_lost["ms-ssim"].mean == pytest.approx(1)
    assert nothing_lost["ciede2000"].mean == nothing_lost["vgg"].mean == 0
    with (tmp_path / "out/summary.csv").open() as file:
        first = next(csv.DictReader(file))
    assert float(first["ciede2000"]) > 0
    assert (first["ciede2000_low"], first["ciede2000_high"]) == ("nan", "nan")  # of one scene
    page = (tmp_path / "out/summary.md").read_text().splitlines()
    assert len({line.count("|") for line in page}) == 1
    assert page[-1].startswith("| clear | grid | dcp full | 1 | ")
    record = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert record["models"] == {"dcp": None}
    assert record["versions"]["torch"] == torch.__version__
    assert {name: of["images"] for name, of in record["data"].items()} == dict.fromkeys(data, 1)
    assert len({of["sha256"] for of in record["data"].values()}) == 4
    with (tmp_path / "out/no-reference.csv").open() as file:
        measured = {line["system"]: line for line in csv.DictReader(file)}
    assert float(measured["hazy"]["contrast"]) == 1
    page = (tmp_path / "out/no-reference.md").read_text().splitlines()
    assert len({line.count("|") for line in page}) == 1
    assert page[-1].startswith("| real | dcp full | 1 | x")
    assert float(measured["hazy"]["saturated"]) == 0
    assert float(measured["dcp full"]["dark_channel"]) < float(measured["hazy"]["dark_channel"])


def test_a_teacher_is_judged_by_what_it_was_given(nyu, tmp_path):
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig(width=8))
    save_network(teacher, tmp_path / "teacher.safetensors")
    summaries, _ = evaluate({"nyu-clear": nyu}, [str(tmp_path / "teacher.safetensors")], images=1)
    unchanged, reconstructed = (s.figures["psnr"].mean for s in summaries)
    clean = load_nyu(nyu, [1350]).clean.float() / 255
    with torch.inference_mode():
        expected = psnr(teacher.eval()(clean).clamp(0, 1), clean)
    assert unchanged == 100
    assert reconstructed == pytest.approx(expected.item(), abs=1e-3)


def test_weights_run_in_pytorch(nyu, tmp_path):

    network = AODNet()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    save_network(network, tmp_path / "mine.safetensors")
    summaries, _ = evaluate({"nyu": nyu}, [str(tmp_path / "mine.safetensors")], images=2)
    assert [s.system for s in summaries] == ["hazy", "mine"]
    # K is 0: the picture becomes white.
    pair = sots_pair(load_nyu(nyu, [1350]), 0, 1)
    white = psnr(torch.ones_like(pair.clean), pair.clean).item()
    assert summaries[1].figures["psnr"].mean == pytest.approx(white, abs=1e-3)


def test_what_is_unknown_is_named_with_what_is_known(nyu, tmp_path):
    with pytest.raises(KddnError, match="no data set 'sots'; there are nyu, outdoor"):
        evaluate({"sots": nyu}, ["dcp"])
    with pytest.raises(KddnError, match="no metric 'lpips'; there are ms-ssim"):
        evaluate({"nyu": nyu}, ["dcp"], metrics=["lpips"])
    with pytest.raises(KddnError, match="no protocol 'mine'; there are full, kddn"):
        evaluate({"nyu": nyu}, ["dcp"], protocols=["mine"])
    with pytest.raises(DataError, match="holds no images"):
        list(DATA_SETS["real"].cases(tmp_path))


def test_fog_density_is_told_where_it_can_be(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (40, 30), (200, 190, 180)).save(tmp_path / "a.png")
    seen = []

    def fade(image):
        seen.append(image)
        return 1.25

    monkeypatch.setitem(sys.modules, "pyfade", SimpleNamespace(fade=fade))
    command = partial(evaluate_command, data=[f"real={tmp_path}"], model=["dcp"])
    command(output=tmp_path / "out")
    assert seen[0].dtype == np.uint8
    np.testing.assert_array_equal(seen[0], np.asarray(Image.open(tmp_path / "a.png")))
    assert "1.25" in capsys.readouterr().out
    with (tmp_path / "out/no-reference.csv").open() as file:
        assert [line["fade"] for line in csv.DictReader(file)] == ["1.25"] * 3
    monkeypatch.setitem(sys.modules, "pyfade", None)
    command()
    assert "FADE" not in capsys.readouterr().out


def test_another_system_comes_beside_those_measured_before(nyu, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    Image.new("RGB", (40, 30), (200, 190, 180)).save(real / "a.png")
    sets, output = {"nyu": nyu, "real": real}, tmp_path / "out"
    once = partial(evaluate, images=2, output=output, full_resolution=False)
    first, _ = once(sets, ["dcp"])
    rows = (output / "images.csv").read_text().splitlines()
    both, _ = once(sets, ["cap"], beside=output)
    assert [s.system for s in both] == ["hazy", "dcp @640", "cap @640"]
    before, now = first[1].figures["psnr"].mean, both[1].figures["psnr"].mean
    assert now == pytest.approx(before, abs=1e-3)
    again = (output / "images.csv").read_text().splitlines()
    assert len(again) == 1 + 2 * 3
    assert {row for row in rows if ",dcp @640," in row} <= set(again)
    assert "| dcp @640 |" in (output / "no-reference.md").read_text()
    record = json.loads((output / "evaluation.json").read_text())
    assert list(record["models"]) == ["cap"]
    assert list(record["beside"]["models"]) == ["dcp"]
    alone, _ = once({"real": real}, ["cap"], images=None, output=tmp_path / "alone", beside=output)
    assert [s.system for s in alone] == ["hazy", "dcp @640", "cap @640"]  # of nyu, all kept


def test_what_cannot_stand_beside_an_earlier_evaluation_is_said(nyu, tmp_path):
    with pytest.raises(DataError, match="holds no evaluation to stand beside"):
        evaluate({"nyu": nyu}, ["dcp"], images=1, beside=tmp_path)
    evaluate({"nyu": nyu}, ["dcp"], images=1, output=tmp_path)
    with pytest.raises(DataError, match=r"nyu had other images when .* was written"):
        evaluate({"nyu": nyu}, ["cap"], images=2, beside=tmp_path)
    evaluate({"nyu": nyu}, ["dcp"], images=2, output=tmp_path)
    with pytest.raises(DataError, match=r"nyu had other images when .* was written"):
        evaluate({"nyu": nyu}, ["cap"], images=1, beside=tmp_path)
    with pytest.raises(DataError, match="was measured by psnr, ssim; ask for the same metrics"):
        evaluate({"nyu": nyu}, ["cap"], images=1, metrics=["ciede2000"], beside=tmp_path)


def test_figures_stand_under_their_names_whatever_the_order(nyu, tmp_path):
    once = partial(evaluate, {"nyu": nyu}, images=1, output=tmp_path, full_resolution=False)
    first = once(["dcp"], metrics=["ms-ssim", "ciede2000"]).summaries[1].figures
    once(["cap"], metrics=["ciede2000", "ms-ssim"], beside=tmp_path)
    heads, _, *rows = (tmp_path / "summary.md").read_text().splitlines()
    names = [name.strip() for name in heads.split("|")]
    dcp = next(row.split("|") for row in rows if "| dcp @640 |" in row)
    assert float(dcp[names.index("CIEDE2000 (95%)")]) == pytest.approx(
        first["ciede2000"].mean, abs=0.01
    )
    assert float(dcp[names.index("MS-SSIM (95%)")]) == pytest.approx(
        first["ms-ssim"].mean, abs=0.001
    )


def test_another_file_of_one_name_takes_no_rows_away(nyu, tmp_path):
    paths = [tmp_path / folder / "weights.safetensors" for folder in "ab"]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        save_network(AODNet(), path)
    once = partial(evaluate, {"nyu": nyu}, images=1, output=tmp_path / "out")
    once([str(paths[0])])
    with pytest.raises(DataError, match=r"b/weights.* would be called as .*a/weights.* rename"):
        once([str(paths[1])], beside=tmp_path / "out")
    once(["dcp"], beside=tmp_path / "out")
    with pytest.raises(DataError, match="would be called as"):  # further back too
        once([str(paths[1])], beside=tmp_path / "out")
    shutil.copy(paths[0], paths[1])
    once([str(paths[1])], beside=tmp_path / "out")  # the same weights


def test_a_file_that_was_trained_anew_is_measured_anew(nyu, tmp_path):
    once = partial(evaluate, {"nyu": nyu}, images=1, output=tmp_path / "out")
    for seed in (0, 1):
        torch.manual_seed(seed)
        save_network(AODNet(), tmp_path / "mine.safetensors")
        beside = tmp_path / "out" if seed else None
        found, _ = once([str(tmp_path / "mine.safetensors")], beside=beside)
        assert [row.system for row in found] == ["hazy", "mine"]


def test_a_model_that_was_exported_anew_leaves_no_row_of_the_one_before(nyu, tmp_path):
    mine = tmp_path / "mine.onnx"
    once = partial(evaluate, {"nyu": nyu}, images=1, output=tmp_path / "out")
    for size, source in ((64, "kddn-photo"), (96, "kddn-indoor")):
        found = find_model(source).path
        shutil.copy(found, mine)
        card = json.loads(found.with_suffix(".json").read_text())
        mine.with_suffix(".json").write_text(json.dumps(card | {"working_size": size}))
        beside = tmp_path / "out" if size == 96 else None
        rows, _ = once([str(mine)], beside=beside)
        assert [row.system for row in rows] == ["hazy", f"mine @{size}", "mine full"]
    again, _ = once(["dcp"], beside=tmp_path / "out", full_resolution=False)
    assert [row.system for row in again] == ["hazy", "mine @96", "mine full", "dcp @640"]


def test_rows_that_do_not_say_what_they_are_of_stand_beside_no_others(nyu, tmp_path):
    once = partial(evaluate, {"nyu": nyu}, images=1, full_resolution=False)
    once(["dcp"], output=tmp_path)
    rows = (tmp_path / "images.csv").read_text().splitlines(keepends=True)
    (tmp_path / "images.csv").write_text("".join(row for row in rows if ",hazy," not in row))
    with pytest.raises(DataError, match="does not say which images of nyu its rows are of"):
        once(["cap"], beside=tmp_path)


def test_checksums_are_of_what_was_measured(nyu, tmp_path, monkeypatch):
    weights = tmp_path / "mine.safetensors"
    save_network(AODNet(), weights)
    before = hashlib.sha256(weights.read_bytes()).hexdigest()

    def scored(*arguments, **options):
        yield from score(*arguments, **options)
        weights.unlink()

    monkeypatch.setattr("kddn.research.evaluation.evaluate.score", scored)
    evaluate({"nyu": nyu}, [str(weights)], images=1, output=tmp_path / "out")
    record = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert record["models"] == {str(weights): before}


def test_names_may_be_any_bytes(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (40, 30), (200, 190, 180)).save(tmp_path / "a.png")
    shutil.move(tmp_path / "a.png", real / name)
    for beside in (None, tmp_path / "out"):
        evaluate({"real": real}, ["dcp"], output=tmp_path / "out", beside=beside)
    assert b",caf\xe9," in (tmp_path / "out/no-reference.csv").read_bytes()


def test_what_is_no_evaluation_is_not_replaced(nyu, tmp_path):
    (tmp_path / "summary.csv").write_text("mine")
    with pytest.raises(DataError, match=r"holds summary\.csv, which is no evaluation's; name"):
        evaluate({"nyu": nyu}, ["dcp"], images=1, output=tmp_path)
    assert (tmp_path / "summary.csv").read_text() == "mine"
    for name in ("evaluation.json", "table.csv"):  # of a table of the paper's
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=r"holds summary\.csv"):
        evaluate({"nyu": nyu}, ["dcp"], images=1, output=tmp_path)


def test_a_pipe_gets_whole_names_and_no_progress(nyu, tmp_path, capsys):
    long = tmp_path / f"{'a_long_name_of_a_row_' * 4}.safetensors"
    save_network(AODNet(), long)
    metrics = ["ms-ssim", "ciede2000"]
    evaluate_command(data=[f"nyu={nyu}"], model=[str(long)], images=1, metric=metrics)
    out, _ = capsys.readouterr()
    assert out.split()[0] == "data"
    assert f" {long.stem} " in out


def test_rows_by_other_protocols_are_not_lost(nyu, tmp_path):
    once = partial(evaluate, {"nyu": nyu}, images=1, output=tmp_path, full_resolution=False)
    once(["dcp"], protocols=["full", "grid"])
    with pytest.raises(DataError, match="was measured by protocol full too; ask for the same"):
        once(["cap"], protocols=["grid"], beside=tmp_path)
    found, _ = once(["cap"], protocols=["grid", "full"], beside=tmp_path)
    assert len(found) == 2 * 3
    kept, _ = evaluate({"graphics": tmp_path}, ["cap"], images=1, beside=tmp_path)
    assert {row.protocol for row in kept if row.data == "nyu"} == {"full", "grid"}


def test_tables_of_an_evaluation_before_do_not_stay(nyu, tmp_path):
    real, out = tmp_path / "real", tmp_path / "out"
    real.mkdir()
    Image.new("RGB", (40, 30), (200, 190, 180)).save(real / "a.png")
    evaluate({"nyu": nyu, "real": real}, ["dcp"], images=1, output=out)
    assert len(list(out.iterdir())) == 6
    evaluate({"real": real}, ["dcp"], output=out)
    left = ["evaluation.json", "no-reference.csv", "no-reference.md"]
    assert sorted(path.name for path in out.iterdir()) == left
    evaluate({"nyu": nyu}, ["dcp"], images=1, output=out)
    left = ["evaluation.json", "images.csv", "summary.csv", "summary.md"]
    assert sorted(path.name for path in out.iterdir()) == left


def test_a_picture_smaller_than_the_window_ends_nothing(tmp_path):
    for folder in ("hazy", "clear"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (9, 10), (200, 190, 180)).save(tmp_path / folder / "a.png")
    found, _ = evaluate({"pairs": tmp_path}, ["dcp"], protocols=["full", "grid"])
    similarity = {row.protocol: row.figures["ssim"].mean for row in found if row.system == "hazy"}
    assert np.isnan(similarity["full"])
    assert similarity["grid"] == pytest.approx(1)


def test_a_column_that_some_rows_lack_is_empty_there():
    def row(system, fade):
        return NoReference("real", system, "a", 1.0, 0.0, 0.1, fade, 0.1)

    for rows in ([row("hazy", None), row("dcp", 1.0)], [row("hazy", 1.0), row("dcp", None)]):
        page = no_reference_markdown(rows).splitlines()
        assert len({line.count("|") for line in page}) == 1
        assert "FADE" in page[0]


def test_brackets_in_names_are_printed(nyu, tmp_path, capsys):
    save_network(AODNet(), tmp_path / "net[red].safetensors")
    model = str(tmp_path / "net[red].safetensors")
    evaluate_command(data=[f"nyu={nyu}"], model=[model], images=1)
    assert "net[red]" in capsys.readouterr().out


@pytest.mark.parametrize(("louder", "same"), [(0.004, True), (0.4, False)])
def test_images_are_the_same_where_the_processor_draws_a_few_pixels_otherwise(
    nyu, tmp_path, louder, same
):
    evaluate({"nyu": nyu}, ["dcp"], images=1, output=tmp_path)
    rows = tmp_path / "images.csv"
    found = re.compile(r"(?<=,hazy,1350,1350_1,)[\d.]+")
    before = found.sub(lambda psnr: f"{float(psnr[0]) + louder:.5g}", rows.read_text())
    rows.write_text(before)
    if same:
        evaluate({"nyu": nyu}, ["cap"], images=1, output=tmp_path, beside=tmp_path)
        assert ",cap @640," in rows.read_text()
    else:
        with pytest.raises(DataError, match="nyu had other images"):
            evaluate({"nyu": nyu}, ["cap"], images=1, output=tmp_path, beside=tmp_path)
        assert rows.read_text() == before


def test_full_resolution_can_be_left_out(tmp_path):
    Image.new("RGB", (40, 30), (200, 190, 180)).save(tmp_path / "a.png")
    for asked, count in ((True, 3), (False, 2)):
        folder = tmp_path / "out" / str(asked)
        evaluate({"real": tmp_path}, ["kddn-indoor"], full_resolution=asked, output=folder)
        assert len((folder / "no-reference.csv").read_text().splitlines()) == 1 + count


@pytest.mark.parametrize("size", [448, 2000])
def test_models_are_measured_at_whatever_working_size_they_have(size, monkeypatch):
    monkeypatch.setattr(systems, "Dehazer", partial(Dehazer, working_size=size))
    named = [name for name, _ in find_systems(["kddn-indoor"])]
    assert named == ["hazy", f"kddn-indoor @{size}", "kddn-indoor full"]


def test_pictures_of_one_name_are_told_apart(tmp_path):
    for place, level in (("a", 90), ("b", 180)):
        (tmp_path / "in" / place).mkdir(parents=True)
        for name in ("IMG_1", f"only-{place}"):
            picture = Image.new("RGB", (480, 320), (level, 80, 70))
            picture.save(tmp_path / "in" / place / f"{name}.png")
    names = [case.name for case in find_data_set("real").cases(tmp_path / "in")]
    assert sorted(names) == ["a/IMG_1.png", "b/IMG_1.png", "only-a", "only-b"]
    for _ in range(2):
        asked = {"images": None, "output": tmp_path / "out", "full_resolution": False}
        before = tmp_path / "out" if (tmp_path / "out").exists() else None
        evaluate({"real": tmp_path / "in"}, ["dcp"], beside=before, **asked)


def test_a_model_comes_beside_others_on_what_has_no_haze(tmp_path):
    ask = {"output": tmp_path, "full_resolution": False, "images": 1}
    evaluate({"graphics": tmp_path}, ["dcp"], **ask)  # the hazy ones' PSNR is infinite
    found, _ = evaluate({"graphics": tmp_path}, ["cap"], beside=tmp_path, **ask)
    assert [s.system for s in found] == ["hazy", "dcp @640", "cap @640"]


def test_a_stopped_evaluation_leaves_what_it_measured(tmp_path):
    Image.new("RGB", (40, 30), (200, 190, 180)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(KddnError, match=r"b\.png"):
        evaluate({"real": tmp_path}, ["dcp"], output=tmp_path / "out")
    with (tmp_path / "out/no-reference.csv.part").open() as file:
        assert [(row["image"], row["system"]) for row in csv.DictReader(file)] == [
            ("a", "hazy"),
            ("a", "dcp @640"),
            ("a", "dcp full"),
        ]


def test_fog_density_without_a_number_is_none(tmp_path, monkeypatch):
    seen = []

    def fade(image):
        seen.append(image.shape)
        return math.nan

    monkeypatch.setitem(sys.modules, "pyfade", SimpleNamespace(fade=fade))
    for size in ((40, 30), (40, 12), (5, 5)):
        Image.new("RGB", size, (200, 190, 180)).save(tmp_path / f"{size[0]}-{size[1]}.png")
    _, found = evaluate({"real": tmp_path}, ["dcp"], full_resolution=False)
    assert {row.fade for row in found} == {None}
    assert set(seen) == {(30, 40, 3)}


def test_drawn_pictures_that_are_left_alone_lose_nothing(tmp_path):
    for case in itertools.islice(find_data_set("graphics").cases(tmp_path), 0, None, 13):
        levels = case.clean * 255
        torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)


def test_other_pictures_of_the_same_names_do_not_stand_beside(tmp_path):
    for folder in ("a", "b"):
        for index in range(5):
            pixels = np.random.default_rng(index + 9 * (folder == "b")).integers(
                0, 256, (30, 40, 3)
            )
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / f"{index}.png")
    once = partial(evaluate, full_resolution=False)
    once({"clear": tmp_path / "a"}, ["dcp"], output=tmp_path / "out")
    with pytest.raises(DataError, match="clear had other images"):
        once({"clear": tmp_path / "b"}, ["cap"], beside=tmp_path / "out")
    found, _ = once({"clear": tmp_path / "a"}, ["cap"], beside=tmp_path / "out")
    assert [row.system for row in found] == ["hazy", "dcp @640", "cap @640"]


def test_features_of_small_pictures_have_no_distance(tmp_path):
    (tmp_path / "hazy").mkdir()
    (tmp_path / "clear").mkdir()
    for folder in ("hazy", "clear"):
        Image.new("RGB", (10, 9), (200, 190, 180)).save(tmp_path / folder / "a.png")
    vgg = vgg_files(tmp_path, 16)[0]
    found, _ = evaluate({"pairs": tmp_path}, ["dcp"], vgg=vgg, full_resolution=False)
    assert math.isnan(found[-1].figures["vgg"].mean)
