"""Every recipe runs, and says what its row of the paper says."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from lightning import seed_everything
from PIL import Image
from safetensors.torch import load_file

from helpers import tiny, vgg_files
from kddn.errors import DataError, KddnError, ModelError
from kddn.research.data.batches import part_of
from kddn.research.nets import Student, StudentConfig, Teacher, UNet
from kddn.research.nets.baselines import BASELINES
from kddn.research.nets.checkpoints import load_network, save_network
from kddn.research.nets.registry import build, describe, rebuild
from kddn.research.training.recipes import RECIPES, find_recipe, find_recipes, with_bases
from kddn.research.training.run import TrainCLI, train

pytestmark = pytest.mark.slow

ROWS = sorted(
    str(path.relative_to(RECIPES).with_suffix(""))
    for folder in ("table1", "table2", "pairs")
    for path in (RECIPES / folder).iterdir()
)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_runs(nyu, tmp_path, row):
    more = []
    if "perceptual" in row:
        more.append(f"--model.losses.vgg={vgg_files(tmp_path, 16)[0]}")
    weights = train("student", ["--config", row, *tiny(nyu, tmp_path), *more])
    baseline = row == "table1/baseline"
    assert load_network(weights).config == StudentConfig(spatially_weighted=not baseline)
    with (weights.parent / "metrics.csv").open() as file:
        columns = {name for line in csv.DictReader(file) for name, value in line.items() if value}
    for column, parts in {
        "loss/perceptual": ("perceptual",),
        "loss/imitation": ("fmil", "pairs", "random", "mid", "high"),
        "loss/deep_supervision": ("_ds",),
    }.items():
        assert (column in columns) == any(part in row for part in parts), column


COMPARED = sorted(path.stem for path in (RECIPES / "compared").iterdir())


@pytest.mark.parametrize("name", COMPARED)
def test_compared_systems_train_by_their_recipes(nyu, tmp_path, name):
    more = [f"--model.losses.vgg={vgg_files(tmp_path, 16)[0]}"] if name == "epdn" else []
    options = ["--config", f"compared/{name}", *tiny(nyu, tmp_path), *more]
    weights = train("student", [*options, "--data.batch={size: 1, crop: 64, scales: [0.2, 0.3]}"])
    assert type(load_network(weights)) is BASELINES[name]


def test_every_compared_system_has_its_recipe():
    assert set(COMPARED) == set(BASELINES)


def test_the_whole_objective_trains_in_mixed_precision(nyu, tmp_path):
    more = ["--trainer.precision=bf16-mixed", "--trainer.gradient_clip_val=1"]
    more += ["--model.losses.teacher=untrained"]
    more += [f"--model.losses.vgg={vgg_files(tmp_path, 16)[0]}"]
    row = ["--config", "table1/l1_perceptual_wfmil"]
    weights = train("student", [*row, *tiny(nyu, tmp_path), *more])
    with (weights.parent / "metrics.csv").open() as file:
        losses = [float(line["loss"]) for line in csv.DictReader(file) if line["loss"]]
    assert len(losses) == 2
    assert all(0 < loss < 1e4 for loss in losses)


def test_every_recipe_that_is_stopped_can_go_on():
    for path in RECIPES.rglob("*.yaml"):
        own = yaml.safe_load(path.read_text())
        callbacks = own.get("trainer", {}).get("callbacks", [])
        kept = [each for each in callbacks if "ModelCheckpoint" in str(each)]
        for each in kept:
            assert each["init_args"]["save_last"], path
            assert each["init_args"].get("save_top_k", 1) != 0, path  # 0: none but at the end
        if "base" not in own and "max_epochs" in own.get("trainer", {}):
            assert kept, path


def test_a_missing_teacher_is_trained_first(nyu, tmp_path):
    weights = train("student", ["--config", "table1/l1_fmil", *tiny(nyu, tmp_path)])
    config = yaml.safe_load((weights.parent / "config.yaml").read_text())
    teacher = config["model"]["losses"]["teacher"]
    assert type(load_network(tmp_path / teacher)).__name__ == "Teacher"


def test_the_seed_is_the_students_whether_its_teacher_is_trained_first_or_given(
    nyu, tmp_path, monkeypatch
):
    teacher = tmp_path / "teacher.safetensors"
    save_network(Teacher(), teacher)
    options = ["--config", "table1/l1_fmil", *tiny(nyu, tmp_path), "--seed_everything=3"]
    given = load_file(train("student", [*options, f"--model.losses.teacher={teacher}"]))

    def trained(cli, budget):
        seed_everything(0)
        return teacher

    monkeypatch.setattr(TrainCLI, "_train_teacher", trained)
    found = load_file(train("student", options))
    assert all(torch.equal(found[name], tensor) for name, tensor in given.items())


def test_the_paper_recipes_are_section_4_1():
    teacher, student = (
        yaml.safe_load((RECIPES / f"{stage}.yaml").read_text()) for stage in ("teacher", "student")
    )
    assert (teacher["trainer"]["max_epochs"], student["trainer"]["max_epochs"]) == (30, 60)
    assert 60 / student["model"]["optimization"]["cycles"] == 20
    for recipe in (teacher, student):
        assert recipe["model"]["optimization"]["learning_rate"] == 1e-4
        assert recipe["data"]["batch"] == {"size": 8, "crop": 256}
        assert recipe["data"]["epoch_length"] == 13_990 // 8


def test_a_budget_shortens_every_epoch(nyu, tmp_path):
    options = tiny(nyu, tmp_path)
    options[options.index("--data.epoch_length=2")] = "--data.epoch_length=8"
    options[options.index("--trainer.max_steps=2")] = "--trainer.max_epochs=1"
    weights = train("student", ["--config", "student", "--budget=0.25", *options])
    with (weights.parent / "metrics.csv").open() as file:
        assert [line["loss"] != "" for line in csv.DictReader(file)].count(True) == 2


def test_a_budget_shortens_what_is_less_than_an_epoch_too(nyu, tmp_path, caplog):
    for folder in ("hazy", "clear"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        for index in range(10):
            picture = Image.new("RGB", (40, 32), (200, 90 + index, 80))
            picture.save(tmp_path / "pairs" / folder / f"{index}.png")
    options = [option for option in tiny(nyu, tmp_path) if "--data.root" not in option]
    options[options.index("--trainer.max_steps=2")] = "--trainer.max_epochs=1"
    options += [f"--data.pairs={tmp_path / 'pairs'}", "--data.epoch_length=1748"]
    weights = train("student", ["--budget=0.5", *options])
    with (weights.parent / "metrics.csv").open() as file:
        assert [line["loss"] != "" for line in csv.DictReader(file)].count(True) == 4
    assert "the least is one" not in caplog.text
    assert part_of(4, 0.1) == 1
    assert "an epoch has 4 batches: the least is one, not 0.1 of them" in caplog.text


def test_a_budget_is_refused_where_it_shortens_nothing(nyu, tmp_path):
    by_steps = ["--config", "student", *tiny(nyu, tmp_path)]
    by_time = [f"--data.root={nyu}", "--trainer.max_time=00:00:01:00"]
    by_timer = ["--config", "kddn-indoor-6", f"--data.root={nyu}", "--model.start=kddn:kddn-indoor"]
    for options in (by_steps, by_time, by_timer):
        with pytest.raises(KddnError, match="--budget shortens epochs, and this run ends by"):
            train("student", [*options, "--budget=0.5"])


@pytest.mark.parametrize("words", [["-c", "table1/l1"], ["--conf=table1/l1"]])
def test_other_spellings_of_config_follow_bases_too(words):
    assert find_recipes(words) == find_recipes(["--config", "table1/l1"])


def test_a_base_among_the_options_is_refused():
    with pytest.raises(KddnError, match="--base is for recipes; give --config once for each"):
        find_recipes(["--base", "student"])


def test_one_callback_alone_is_understood(nyu, tmp_path):
    averaging = "--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging"
    assert train("student", [*tiny(nyu, tmp_path), averaging]).is_file()


def test_names_become_files_behind_what_they_change():
    found = find_recipes(["--config", "table1/l1", "--config=teacher", "--a", "b"])
    assert [word.rsplit("recipes/", 1)[-1] for word in found] == [
        "--config",
        "student.yaml",
        "--config",
        "table1/l1.yaml",
        "--config",
        "teacher.yaml",
        "--a",
        "b",
    ]


def test_a_recipe_comes_behind_its_base():
    found = find_recipes(["--config", "kddn-paper-2"])
    assert [word.rsplit("recipes/", 1)[-1] for word in found] == [
        "--config",
        "shared/two-cores.yaml",
        "--config",
        "kddn-paper.yaml",
        "--config",
        "kddn-paper/kddn-paper-2.yaml",
    ]


@pytest.mark.parametrize("cycle", ["kddn-paper-4", "kddn-small-2"])
def test_a_cycle_of_our_weights_runs_with_what_its_family_says(nyu, tmp_path, cycle):
    options = [option for option in tiny(nyu, tmp_path) if "batch" not in option]
    vgg = vgg_files(tmp_path, 16)[0]
    losses = f"--model.losses={{perceptual: 0.1, imitation: 0.1, teacher: untrained, vgg: {vgg}}}"
    start = tmp_path / "start.safetensors"
    student = StudentConfig(width=32 if "small" in cycle else 64, global_residual=True)
    save_network(Student(student), start)
    with pytest.raises(KddnError, match=r"this recipe needs --model\.start"):
        train("student", ["--config", cycle, *options])
    more = [
        f"--model.start={start}",
        losses,
        "--data.batch.crop=32",
        "--data.batch.scales=[0.1, 0.2]",
    ]
    weights = train("student", ["--config", cycle, *options, *more])
    config = yaml.safe_load((weights.parent / "config.yaml").read_text())
    callbacks = config["trainer"]["callbacks"]
    assert load_network(weights).config.global_residual
    assert config["data"]["batch"]["size"] == (4 if "paper" in cycle else 8)
    assert config["trainer"]["gradient_clip_val"] == 1
    assert callbacks[0]["init_args"]["decay"] == (0.998 if "paper" in cycle else 0.999)


def test_the_recipe_of_the_u_learns_with_muon_and_the_teacher(nyu, tmp_path):
    options = [option for option in tiny(nyu, tmp_path) if "batch" not in option]
    losses = "--model.losses={imitation: 0.1, teacher: untrained, pairs: unet}"
    more = [losses, "--data.batch.crop=32", "--data.batch.scales=[0.1, 0.2]"]
    weights = train("student", ["--config", "kddn-indoor", *options, *more])
    assert type(load_network(weights)) is UNet
    last = torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=False)
    matrices, rest = last["optimizer_states"][0]["param_groups"]
    assert (matrices["matrices"], rest["matrices"]) == (True, False)
    assert matrices["lr"] / rest["lr"] == pytest.approx(20)


def test_an_unknown_recipe_is_named_with_those_there_are():
    with pytest.raises(DataError, match=r"'l2' is neither a file nor a recipe; .*table1/l1,"):
        find_recipes(["--config", "l2"])


def test_a_recipe_in_a_folder_needs_no_folder_in_its_name():
    assert find_recipes(["--config", "l1_ds"]) == find_recipes(["--config", "table1/l1_ds"])


@pytest.mark.parametrize(
    ("option", "cause"),
    [
        (
            '--model.losses={"imitation": 1, "pairs": [{"teacher": "x", "student": "y"}]}',
            "no module",
        ),
        ('--model.losses={"perceptual": 1, "vgg": "/no/vgg.pth"}', "/no/vgg.pth does not exist"),
        ('--model.losses={"imitation": 1, "teacher": "/no/t.ckpt"}', "/no/t.ckpt does not exist"),
    ],
)
def test_what_is_wrong_is_named_before_training(nyu, tmp_path, option, cause):
    with pytest.raises(ModelError, match=cause):
        train("student", [*tiny(nyu, tmp_path), option])
    assert not list(tmp_path.rglob("teacher/*"))  # nor was a teacher trained


def test_data_without_transmission_is_told_before_a_teacher_is_trained(nyu, tmp_path):
    options = [option for option in tiny(nyu, tmp_path) if "--data.root" not in option]
    losses = "--model.losses={imitation: 1.0, density: transmission}"
    with pytest.raises(ModelError, match="needs transmission maps"):
        train("student", [*options, losses, f"--data.pairs={nyu}"])
    assert not list(tmp_path.rglob("teacher/*"))


def test_a_foreign_network_trains_by_its_class(nyu, tmp_path):
    network = {
        "class_path": "torch.nn.Conv2d",
        "init_args": {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding": 1},
    }
    weights = train("student", [f"--model.network={json.dumps(network)}", *tiny(nyu, tmp_path)])
    with pytest.raises(
        ModelError, match=r"holds a torch.nn.modules.conv.Conv2d, which is not ours"
    ):
        load_network(weights)


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("kddn-photo", "kddn-photo-8"),
        ("kddn-indoor", "kddn-indoor-6"),
        ("kddn-paper", "kddn-paper-5"),
    ],
)
def test_the_shipped_weights_have_the_shape_of_their_recipe(model, recipe):
    said = {}
    for path in with_bases(find_recipe(recipe)):
        said = yaml.safe_load(path.read_text()).get("model", {}).get("network", said)
    shipped = load_network(Path(f"kddn:{model}"))
    if isinstance(said, str):
        expected = build("student", said)
    else:
        kind = said["class_path"].rpartition(".")[2]
        config = json.dumps(said["init_args"]["config"])
        expected = rebuild({"kind": kind.lower(), "config": config})
    assert describe(shipped) == describe(expected)


def test_a_base_may_be_a_list_and_a_file_of_ones_own(tmp_path):
    (tmp_path / "first.yaml").write_text("base: student\ndata: { seed: 1 }\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"base: [{tmp_path / 'first.yaml'}, scaled-down]\n")
    found = [Path(word).stem for word in find_recipes(["--config", str(mine)])[1::2]]
    assert found == ["student", "first", "two-cores", "scaled-down", "mine"]


def test_a_recipe_that_is_its_own_base_is_named(tmp_path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(f"base: {other}\n")
    other.write_text(f"base: [student, {one}]\n")
    with pytest.raises(DataError, match=r"one.yaml is its own `base`"):
        find_recipes([f"--config={one}"])


def test_what_is_no_recipe_is_named(tmp_path):
    (tmp_path / "broken.yaml").write_text("base: [")
    with pytest.raises(DataError, match=r"broken.yaml cannot be read as a recipe"):
        find_recipes(["--config", str(tmp_path / "broken.yaml")])


def test_weights_of_the_package_go_by_name():
    assert type(load_network(Path("kddn:teacher"))).__name__ == "Teacher"
    with pytest.raises(ModelError, match="dcp has no weights"):
        load_network(Path("kddn:dcp"))
    with pytest.raises(ModelError, match="there is no model 'no-such'"):
        load_network(Path("kddn:no-such"))


OTHERS = [
    name
    for path in sorted(RECIPES.rglob("*.yaml"))
    if (name := str(path.relative_to(RECIPES).with_suffix(""))) not in ROWS
    and path.parent.name not in ("shared", "compared")
]


@pytest.mark.parametrize("recipe", OTHERS)
def test_every_recipe_is_understood(recipe, capsys):
    stage = "teacher" if "teacher" in recipe else "student"
    says = "".join(path.read_text() for path in with_bases(find_recipe(recipe)))
    photos = ["--data.photos.root=x"] if "photos:" in says else []
    with pytest.raises(SystemExit) as stopped:
        train(stage, ["--config", recipe, *photos, "--print_config"])
    assert stopped.value.code == 0
    said = yaml.safe_load(capsys.readouterr().out)
    own = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())
    for part, value in own["trainer"].items():
        if part not in ("callbacks", "callbacks+", "logger"):
            assert said["trainer"][part] == value
