"""The paper's tables: trained, measured and laid beside it."""

import csv
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers import vgg_files
from kddn.cli import app
from kddn.errors import DataError, KddnError
from kddn.research.evaluation.scores import Score
from kddn.research.nets import StudentConfig, Teacher
from kddn.research.nets.baselines import GFN, AODNet, GridDehazeNet
from kddn.research.nets.checkpoints import load_network, save_network
from kddn.research.paper.ablations import compare, markdown, reproduce
from kddn.research.paper.runs import Runs
from kddn.research.paper.systems import reproduce_systems
from kddn.research.paper.tables import TABLE1, TABLE2, TABLE3, TABLE4, TABLES
from kddn.research.training.recipes import find_recipe

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(tmp_path):
    """A file that makes every run two steps on tiny pictures."""
    changes = {
        "data": {
            "train_scenes": 2,
            "validation_scenes": 1,
            "validation_scales": [0.1],
            "epoch_length": 2,
            "batch": {"size": 1, "crop": 32, "scales": [0.1, 0.2]},
        },
        "trainer": {
            "max_steps": 2,
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "num_sanity_val_steps": 0,
        },
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(changes))
    return path


def scores(means):
    """Scores of two scenes with two hazes each, around the mean of each system."""
    around = [(1, 1, -2.0), (1, 2, -1.0), (2, 1, 1.0), (2, 2, 2.0)]
    return [
        Score(
            "nyu",
            "full",
            system,
            str(scene),
            f"{scene}_{haze}",
            {"psnr": mean + offset, "ssim": 0.9},
            0.1,
        )
        for system, mean in means.items()
        for scene, haze, offset in around
    ]


def test_rows_are_compared_with_the_row_below_in_the_paper():
    gains = {"baseline": (20, 20), "l1": (21, 22), "l1_perceptual": (21.6, 21.7)}
    gains |= {"l1_ds": (19, 20), "l1_fmil": (25, 25)}
    gains |= {"l1_perceptual_fmil": (26, 26), "l1_perceptual_wfmil": (27, 28)}
    means = {
        f"{slug}/{seed}": value for slug, pair in gains.items() for seed, value in enumerate(pair)
    }
    results = {result.row: result for result in compare(TABLE1, scores(means))}
    assert results["L1"].psnr.mean == 21.5
    assert results["L1"].psnr_of_seeds == "21.00 22.00"
    assert results["L1"].over == "Baseline"
    assert results["L1"].gain.mean == pytest.approx(1.5)
    assert results["L1"].paper_gain == pytest.approx(31.23 - 30.52)
    assert results["L1"].holds == "yes"
    assert results["L1 + Lp"].over == "L1"
    assert results["L1 + Lp"].holds == "open"  # one seed against the other
    assert results["L1 + Lds"].over == "L1 + Lp"
    assert results["L1 + Lds"].holds == "no"
    assert results["Baseline"].over == results["Baseline"].holds == ""
    page = markdown(list(results.values()))
    assert "| L1 | 21.50 (20.00 to 23.00) | 21.00 22.00 |" in page
    assert len({line.count("|") for line in page.splitlines()}) == 1


@pytest.mark.filterwarnings("ignore:the teacher ended")
def test_table_2_runs_and_goes_on_where_it_stopped(nyu, tmp_path, tiny):
    runs = Runs(root=nyu, output=tmp_path / "out", seeds=2, network="small", config=[str(tiny)])
    results = reproduce("table2", runs, scale=0.1, scenes=1)
    assert [result.row for result in results] == [row.name for row in TABLE2]
    assert all(np.isfinite(result.psnr.mean) and result.seeds == 2 for result in results)
    with (tmp_path / "out" / "images.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10 * 2 * len(TABLE2)
    page = (tmp_path / "out/table.md").read_text()
    assert page.startswith("| row (nyu for sots-indoor, protocol kddn) |")
    teachers = page.split("\n\n")[1].splitlines()
    assert teachers[0].startswith("| teacher (nyu-clear, protocol kddn) |")
    assert [line.split(" | ")[0] for line in teachers[2:]] == [
        "| random teacher", "| mid teacher", "| high teacher"
    ]  # fmt: skip
    assert teachers[2].endswith("| 6.61 / 0.0330 |")
    made = sorted(path for path in tmp_path.rglob("weights.safetensors"))
    assert len(made) == 2 * len(TABLE2) + 2  # and the two teachers
    untouched = {path: path.stat().st_mtime_ns for path in made if "high" not in str(path)}
    (tmp_path / "out/high/1/weights.safetensors").unlink()
    again = reproduce("table2", runs, scale=0.1, scenes=1)
    assert (tmp_path / "out/high/1/weights.safetensors").is_file()
    assert (tmp_path / "out/high/1/metrics-1.csv").is_file()
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched
    assert again == results


def test_the_baseline_keeps_its_blocks_in_every_network(nyu, tmp_path, tiny):
    runs = Runs(root=nyu, output=tmp_path / "out", network="small", config=[str(tiny)])
    shapes = [load_network(runs.student(row, 0)).config for row in TABLE1[:2]]
    expected = StudentConfig(width=32, global_residual=True)
    assert shapes[1] == expected
    assert not shapes[0].spatially_weighted


def test_a_given_teacher_is_used(nyu, tmp_path, tiny):
    given = tmp_path / "given.safetensors"
    save_network(Teacher(), given)
    runs = Runs(
        root=nyu, output=tmp_path / "out", config=[str(tiny)], teachers={"teacher": given},
        vgg=vgg_files(tmp_path, 16)[0],
    )  # fmt: skip
    runs.student(TABLE1[-1], 0)
    config = yaml.safe_load((tmp_path / "out/l1_perceptual_wfmil/0/config.yaml").read_text())
    assert config["model"]["losses"]["teacher"] == str(given)


def test_a_run_of_another_kind_is_not_taken_for_this_one(nyu, tmp_path, tiny):
    runs = Runs(root=nyu, output=tmp_path / "out", network="small", config=[str(tiny)])
    made = runs.student(TABLE1[1], 0)
    assert runs.student(TABLE1[1], 0) == made
    cause = r"l1/0 was trained in another way \(--budget=0.5, --budget=1.0\)"
    with pytest.raises(KddnError, match=cause):
        replace(runs, budget=0.5).student(TABLE1[1], 0)


def test_a_table_is_measured_on_the_papers_set_where_it_is_given(nyu, tmp_path, tiny):
    sots = tmp_path / "sots"
    for folder, name in (("hazy", "1400_1.png"), ("gt", "1400.png")):
        (sots / folder).mkdir(parents=True)
        Image.new("RGB", (620, 460), (120, 110, 90)).save(sots / folder / name)
    runs = Runs(
        root=nyu, output=tmp_path / "out", network="small", config=[str(tiny)],
        vgg=vgg_files(tmp_path, 16)[0],
    )  # fmt: skip
    reproduce("table1", runs, {"sots-indoor": sots})
    page = (tmp_path / "out/table.md").read_text()
    assert page.startswith("| row (sots-indoor, protocol kddn) |")
    with (tmp_path / "out/images.csv").open() as file:
        assert {line["data"] for line in csv.DictReader(file)} == {"sots-indoor"}
    with pytest.raises(KddnError, match="`scale` is for NYU's scenes"):
        reproduce("table1", runs, {"sots-indoor": sots}, scale=0.5)
    with pytest.raises(KddnError, match="leave out the `data` o-haze"):
        reproduce("table1", runs, {"o-haze": sots})


def test_a_mistake_costs_no_training(nyu, tmp_path, weights, monkeypatch):
    def never(*arguments):
        raise AssertionError("something was trained")

    monkeypatch.setattr("kddn.research.paper.runs.train_once", never)
    vgg = vgg_files(tmp_path, 16)[0]
    runs = Runs(root=nyu, output=tmp_path / "out", vgg=vgg)
    missing, mine = tmp_path / "typo.safetensors", tmp_path / "mine.yaml"
    with pytest.raises(KddnError, match=r"typo.safetensors does not exist"):
        reproduce("table1", replace(runs, vgg=missing))
    with pytest.raises(KddnError, match=r"typo.safetensors does not exist"):
        reproduce("table2", replace(runs, teachers={"teacher": missing}))
    mine.write_text("model: {network: small}\n")
    with pytest.raises(KddnError, match=r"mine.yaml says `model.network` or `seed_everything`"):
        reproduce("table2", replace(runs, config=[str(mine)]))
    for text, cause in (
        ("model: {losses: {perceptual: 0.1}}", r"says model\.losses, by which the rows"),
        ("model: {start: a.safetensors}", r"says model\.start, by which"),
        ("data: {seed: 3}", r"says data\.seed, by which"),
        ("base: table1/l1", r"student\.yaml says"),
    ):
        mine.write_text(f"{text}\n")
        with pytest.raises(KddnError, match=cause):
            reproduce("table2", replace(runs, config=[str(mine)]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/evaluation.json").write_text("{}")
    with pytest.raises(DataError, match="out holds an evaluation; name another folder"):
        reproduce("table2", runs)
    (tmp_path / "out/evaluation.json").unlink()
    table3 = partial(reproduce_systems, "table3")
    with pytest.raises(KddnError, match=r"the `weights` of gfn are missing: .*typo.safetensors"):
        table3(runs, {"nyu": nyu}, {**weights, "gfn": missing})
    with pytest.raises(KddnError, match="epdn needs a VGG to train"):
        table3(replace(runs, vgg=None), {"nyu": nyu}, {"gfn": weights["gfn"]})
    with pytest.raises(DataError, match="is missing"):
        table3(runs, {"nyu": tmp_path / "nowhere"}, {})
    with pytest.raises(DataError, match="there is no data set 'sots-indor'"):
        table3(runs, {"nyu": nyu, "sots-indor": nyu}, {})


def test_a_mistake_does_not_block_the_right_command(nyu, tmp_path, tiny):
    runs = Runs(root=tmp_path / "no", output=tmp_path / "out", network="small", config=[str(tiny)])
    with pytest.raises(DataError):
        runs.student(TABLE1[1], 0)
    made = replace(runs, root=nyu).student(TABLE1[1], 0)
    assert made.is_file()
    tiny.write_text(tiny.read_text() + "\n# a comment changes nothing\n")
    assert replace(runs, root=nyu).student(TABLE1[1], 0) == made
    tiny.write_text(tiny.read_text().replace("max_steps: 2", "max_steps: 3"))
    with pytest.raises(KddnError, match=r"trained in another way \(tiny.yaml [0-9a-f]{64}, "):
        replace(runs, root=nyu).student(TABLE1[1], 0)


def test_what_is_missing_is_named_first(nyu, tmp_path):
    runs = Runs(root=nyu, output=tmp_path)
    with pytest.raises(KddnError, match="give `vgg`"):
        reproduce("table1", runs)
    with pytest.raises(KddnError, match="no 'table9'; there are table1, table2"):
        reproduce("table9", runs)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", TABLES)
def test_every_row_has_its_recipe(table):
    for row in TABLES[table]:
        assert find_recipe(row.recipe).is_file()


def test_figures_are_the_papers():
    sections = (Path(__file__).parent / "tables.txt").read_text().split("\n\n")
    found = [list(map(float, re.findall(r"\d+\.\d+", section))) for section in sections]
    assert found[0] == [n for row in TABLE1 for n in (row.psnr, row.ssim)]
    teachers = [row.teacher for row in TABLE2 if row.teacher]
    assert found[1][:6] == [n for each in zip(*teachers, strict=True) for n in each]
    students = [[row.psnr for row in TABLE2], [row.ssim for row in TABLE2]]
    assert [found[1][6:10], found[1][10:]] == students
    assert found[2] == [n for entry in TABLE3 for pair in entry.paper.values() for n in pair]
    assert found[3] == [n for entry in TABLE4 for pair in entry.paper.values() for n in pair]


@pytest.fixture
def weights(tmp_path):
    """Weights of every system of Table 3 but one: GridDehazeNet's stand for all others."""
    save_network(GridDehazeNet(), tmp_path / "any.safetensors")
    names = ("pdn", "gfn", "epdn", "grid-dehaze-net", "kddn")
    return dict.fromkeys(names, tmp_path / "any.safetensors")


def test_table_3_trains_what_has_no_weights(nyu, tmp_path, tiny, weights, caplog):
    runs = Runs(root=nyu, output=tmp_path / "out", config=[str(tiny)])
    placings = reproduce_systems("table3", runs, {"nyu": nyu}, weights, images=2)
    assert [p.system for p in placings] == [entry.name for entry in TABLE3]
    assert type(load_network(tmp_path / "out/aod-net/weights.safetensors")) is AODNet
    first = placings[0]
    assert (first.data, first.paper_data, first.images) == ("nyu", "sots-indoor", 2)
    assert first.psnr_difference == pytest.approx(first.psnr.mean - 19.06)
    assert np.isnan(first.psnr.low)  # both images are of one scene
    assert "leaves out d-hazy-middlebury (from https://" in caplog.text
    assert "| aod-net | nyu for sots-indoor | 2 |" in (tmp_path / "out/table.md").read_text()
    with (tmp_path / "out/table.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["paper_psnr"]) == 19.06
    assert (float(row["psnr"]), row["psnr_low"]) == (
        pytest.approx(first.psnr.mean, rel=1e-4),
        "nan",
    )


def test_table_4_trains_on_o_haze_and_quotes_the_teams(tmp_path, tiny):
    root = tmp_path / "o-haze"
    for folder, suffix in (("hazy", "hazy"), ("GT", "GT")):
        (root / folder).mkdir(parents=True)
        for scene in range(1, 46):
            pixels = np.random.default_rng(scene).integers(0, 200, (240, 320, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{scene:02}_outdoor_{suffix}.jpg")
    runs = Runs(
        ohaze=root, output=tmp_path / "out", config=[str(tiny)], vgg=vgg_files(tmp_path, 16)[0]
    )
    save_network(AODNet(), tmp_path / "any.safetensors")
    others = dict.fromkeys(("grid-dehaze-net", "kddn-wfmil"), tmp_path / "any.safetensors")
    placings = reproduce_systems("table4", runs, {"o-haze": root}, others)
    rows = {p.system: p for p in placings}
    assert list(rows) == [entry.name for entry in TABLE4]
    assert rows["BJTU"].psnr is None
    assert rows["BJTU"].paper_psnr == 24.598
    assert rows["kddn-fmil"].images == 5
    assert (tmp_path / "out/teacher-ohaze/weights.safetensors").is_file()
    assert type(load_network(tmp_path / "out/gfn/weights.safetensors")) is GFN
    config = yaml.safe_load((tmp_path / "out/gfn/config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 26220
    config = yaml.safe_load((tmp_path / "out/kddn-fmil/config.yaml").read_text())
    assert config["data"]["ohaze"] == str(root)


def test_a_table_of_given_weights_trains_nothing(nyu, tmp_path):
    save_network(AODNet(), tmp_path / "any.safetensors")
    runs = Runs(root=nyu, output=tmp_path / "out/deep")
    weights = {entry.name: tmp_path / "any.safetensors" for entry in TABLE3}
    reproduce_systems("table3", runs, {"nyu": nyu}, weights, images=1)
    made = [path.name for path in (tmp_path / "out/deep").iterdir()]
    assert sorted(made) == ["evaluation.json", "images.csv", "table.csv", "table.md"]


def test_tables_of_systems_say_what_they_need(nyu, tmp_path, weights):
    runs = Runs(root=nyu, output=tmp_path / "out")
    with pytest.raises(DataError, match=r"needs sots-indoor \(from https.* and d-hazy-middlebury"):
        reproduce_systems("table3", runs, {}, weights)
    with pytest.raises(KddnError, match="table3 has no system 'dcp'; it has aod-net, pdn"):
        reproduce_systems("table3", runs, {"nyu": nyu}, {"dcp": tmp_path})
    without = {name: file for name, file in weights.items() if name != "epdn"}
    with pytest.raises(KddnError, match="epdn needs a VGG"):
        reproduce_systems("table3", runs, {"nyu": nyu}, {**without, "aod-net": tmp_path})
    with pytest.raises(KddnError, match="needs NYU's scenes: give `root`"):
        reproduce("table2", Runs(output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_command_names_what_is_missing(tmp_path, capsys):
    with pytest.raises(DataError, match="table4 needs o-haze"):
        app(["reproduce", "table4", "--output", str(tmp_path)])


@pytest.mark.parametrize(
    ("what", "options", "cause"),
    [
        (
            "table1",
            ["--weights", "l1=a.safetensors"],
            "weights means nothing to table1, but to table3",
        ),
        ("table3", ["--seeds", "3"], "seeds means nothing to table3"),
        ("table1", ["--images", "10"], "images means nothing to table1"),
        ("figure5", ["--root", "nyu"], "root means nothing to figure5"),
        ("figure9", ["--logs", "a=b.csv"], "logs means nothing to figure9"),
        ("table1", ["--mid-teacher", "a.safetensors"], "mid_teacher means nothing to table1"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(what, options, cause):
    with pytest.raises(KddnError) as told:
        app(["reproduce", what, *options])
    assert cause in str(told.value).replace("`", "")
