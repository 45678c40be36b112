"""The paper's figures: what they show, and that each is drawn by its command."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from kddn.cli import app
from kddn.errors import DataError, KddnError, ModelError
from kddn.research.data import load_nyu, sots_pair
from kddn.research.data.sets import DATA_SETS, Case
from kddn.research.evaluation.metrics import psnr, ssim
from kddn.research.haze import density_from_residual, density_from_transmission
from kddn.research.nets import Student, StudentConfig, Teacher
from kddn.research.nets.baselines import AODNet
from kddn.research.nets.checkpoints import save_network
from kddn.research.paper.figures import FIGURES, Material, reproduce_figure
from kddn.research.paper.figures.curves import draw, read_curve
from kddn.research.paper.figures.tsne import project
from kddn.research.paper.figures.weighting import features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights, logs and hazy photographs, all small."""
    root = tmp_path_factory.mktemp("figures")
    torch.manual_seed(0)
    save_network(Student(StudentConfig(width=32)), root / "student.safetensors")
    save_network(Teacher(), root / "teacher.safetensors")
    save_network(AODNet(), root / "aod.safetensors")
    for seed, rise in enumerate((1.0, 3.0)):
        with (root / f"log-{seed}.csv").open("w") as file:
            rows = csv.writer(file)
            rows.writerow(["step", "loss", "psnr"])
            rows.writerows([[step, 0.1, 20 + rise * step if step % 2 else ""] for step in range(6)])
    (root / "real").mkdir()
    rng = np.random.default_rng(0)
    for index in range(6):
        pixels = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"real/{index}.png")
    return root


def options(name, nyu, files):
    student, teacher = files / "student.safetensors", files / "teacher.safetensors"
    systems = ["--model", "dcp", "--model", str(files / "aod.safetensors")]
    data = ["--data", f"nyu={nyu}"]
    return {
        "figure1": [*data, "--weights", f"with={student}", "--weights", f"without={student}",
                    "--weights", f"teacher={teacher}", "--images", "4"],
        "figure4": [*data, *systems, "--images", "2"],
        "figure5": [*data, "--images", "1"],
        "figure6": ["--logs", f"L1={files / 'log-0.csv'}", "--logs", f"L1={files / 'log-1.csv'}"],
        "figure7": ["--data", f"outdoor={files / 'real'}", *systems, "--images", "2"],
        "figure8": [*data, "--weights", f"student={student}", "--images", "1"],
        "figure9": ["--data", f"real={files / 'real'}", *systems, "--images", "2"],
        "figure10": ["--data", f"real={files / 'real'}", *systems],
    }[name]  # fmt: skip


@pytest.fixture
def two_scenes(monkeypatch):
    """Validation is of the two scenes that the small NYU folder has."""
    monkeypatch.setattr("kddn.research.data.sets.nyu.VALIDATION", range(1350, 1352))
    monkeypatch.setattr("kddn.research.paper.figures.density.VALIDATION", range(1350, 1352))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_by_its_command(name, nyu, files, tmp_path, capsys, two_scenes):
    command = ["reproduce", name, "--output", str(tmp_path), *options(name, nyu, files)]
    app(command, result_action="return_value")
    made = [tmp_path / f"{name}.{ending}" for ending in ("pdf", "png")]
    assert capsys.readouterr().out.split() == [str(path) for path in made]
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / f"{name}.png") as image:
        shown = np.asarray(image.convert("L"))
    assert shown.std() > 5


def test_panels_are_titled_and_measured(nyu, files, two_scenes):
    material = Material(data={"nyu": nyu}, models=[str(files / "aod.safetensors")], images=2)
    figure = FIGURES["figure4"](material)
    assert [axes.get_title() for axes in figure.axes] == ["hazy", "aod", "target", "", "", ""]
    case = next(DATA_SETS["nyu"].cases(nyu))
    expected = (
        f"{psnr(case.hazy, case.clean).item():.2f} / {ssim(case.hazy, case.clean).item():.4f}"
    )
    assert figure.axes[0].get_xlabel() == expected
    assert figure.axes[2].get_xlabel() == "PSNR / SSIM"


def test_images_are_chosen_by_name(nyu, files, two_scenes):
    models = [str(files / "aod.safetensors")]
    material = Material(data={"nyu": nyu}, models=models, chosen=["1351_10", "1350_2"])
    figure = FIGURES["figure10"](material)
    shown = [np.asarray(figure.axes[row * 3].images[0].get_array()) for row in range(2)]
    cases = {case.name: case for case in DATA_SETS["nyu"].cases(nyu)}
    for image, name in zip(shown, material.chosen, strict=True):
        np.testing.assert_allclose(image, cases[name].hazy[0].permute(1, 2, 0), atol=1e-6)
    unknown = replace(material, chosen=["1350_11"])
    with pytest.raises(KddnError, match=r"no image 1350_11 among 20; they are called 1350_1, "):
        FIGURES["figure10"](unknown)


def test_densities_are_those_of_equation_6(nyu, two_scenes):
    figure = FIGURES["figure5"](Material(data={"nyu": nyu}, images=1))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["hazy image I", "clean image J", "norm(1 - t)", "norm(|I$_g$ - J$_g$|)"]
    pair = sots_pair(load_nyu(nyu, [1350]), 0, 10)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    for image, expected in zip(
        shown[2:],
        (
            density_from_transmission(pair.transmission),
            density_from_residual(pair.hazy, pair.clean),
        ),
        strict=True,
    ):
        np.testing.assert_allclose(image, expected[0, 0], atol=1e-6)


def test_minutes_go_on_where_a_run_was_resumed(tmp_path):
    (tmp_path / "metrics-1.csv").write_text("step,minutes,psnr\n4,1.5,\n4,,20\n9,3.0,\n")
    (tmp_path / "metrics.csv").write_text("step,minutes,psnr\n14,0.5,\n14,,22\n19,2.0,\n19,,23\n")
    assert read_curve(tmp_path / "metrics.csv", "minutes").tolist() == [
        [1.5, 20],
        [3.5, 22],
        [5, 23],
    ]
    for part in range(3, 12):  # ten parts and more, each with more minutes than the one before
        rows = f"step,minutes,psnr\n{part * 10},{part},\n{part * 10},,{20 + part}\n"
        (tmp_path / f"metrics-{part - 1}.csv").write_text(rows)
    curve = read_curve(tmp_path / "metrics.csv", "minutes")
    assert curve[:, 0].tolist()[1:10] == [3.0 + part * (part + 1) / 2 - 3 for part in range(3, 12)]
    (axes,) = draw(Material(logs={"U": [tmp_path / "metrics.csv"]}, against="minutes")).axes
    assert axes.get_xlabel() == "minutes"


def test_a_run_that_went_on_from_an_older_checkpoint_goes_back_nowhere(tmp_path):
    (tmp_path / "metrics-1.csv").write_text("step,psnr\n9,\n9,20\n19,21\n29,22\n")
    (tmp_path / "metrics.csv").write_text("step,psnr\n14,\n19,25\n39,26\n")
    assert read_curve(tmp_path / "metrics.csv").tolist() == [[9, 20], [19, 25], [39, 26]]


def test_bands_reach_from_the_worst_to_the_best_seed(files):
    paths = [files / "log-0.csv", files / "log-1.csv"]
    assert read_curve(paths[0]).tolist() == [[1, 21], [3, 23], [5, 25]]
    (axes,) = draw(Material(logs={"L1": paths, "L1 + Lp": paths[:1]})).axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [22, 26, 30])
    (band,) = axes.collections  # one seed has no band
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == 21
    assert heights.max() == 35


class Linear(nn.Module):
    """A network whose tapped features are a linear map of its input."""

    def __init__(self, seed, name):
        super().__init__()
        torch.manual_seed(seed)
        self.backbone = nn.ModuleDict({name: nn.Conv2d(3, 8, 1)})
        self.name = name

    def forward(self, x):
        self.backbone[self.name](x)
        return x


def test_features_that_are_the_teachers_up_to_g_leave_nothing():
    generator = torch.Generator().manual_seed(0)
    same = [torch.rand(1, 3, 32, 48, generator=generator) for _ in range(3)]
    teacher, student = Linear(1, "block2"), Linear(2, "group4")
    cases = [Case("x", str(i), str(i), image, image) for i, image in enumerate(same)]
    ours, theirs, left = project(student, teacher, cases)
    assert left == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    unrelated = [
        Case("x", case.name, case.name, torch.rand(1, 3, 32, 48, generator=generator), case.clean)
        for case in cases
    ]
    assert project(student, teacher, unrelated)[2] > 0.9


def test_what_the_spatial_weight_lets_through_is_shown():
    torch.manual_seed(0)
    student = Student(StudentConfig(width=8)).eval()
    block = student.backbone.group1.blocks[-1]

    class LeftHalf(nn.Module):
        def forward(self, y):
            return (torch.arange(y.shape[-1]) < y.shape[-1] // 2).float().expand_as(y)

    block.spatial_weight = LeftHalf()
    before, after = features(student, torch.rand(1, 3, 32, 48))
    assert before.shape == (1, 1, 8, 12)
    assert before.max() == after.max() == 1
    assert (after[..., 6:] == 0).all()
    ratio = after[..., :6] / before[..., :6]
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio))


def test_what_a_figure_lacks_is_named(nyu, files, tmp_path):
    unvalidated = tmp_path / "metrics.csv"
    unvalidated.write_text("step,loss\n1,0.5\n")
    with pytest.raises(DataError, match=r"needs d-hazy-middlebury \(from https.*or instead of it"):
        reproduce_figure("figure4", Material(models=["dcp"]), tmp_path)
    with pytest.raises(KddnError, match="give `model`"):
        reproduce_figure("figure9", Material(data={"real": files / "real"}), tmp_path)
    with pytest.raises(KddnError, match="give `weights` teacher=FILE"):
        reproduce_figure("figure1", Material(data={"nyu": nyu}), tmp_path)
    with pytest.raises(KddnError, match="give `logs` NAME"):
        reproduce_figure("figure6", Material(), tmp_path)
    with pytest.raises(DataError, match="holds no PSNR"):
        read_curve(unvalidated)
    weights = {"student": files / "aod.safetensors"}
    with pytest.raises(ModelError, match="whose blocks have a spatial weight"):
        reproduce_figure("figure8", Material(data={"nyu": nyu}, weights=weights), tmp_path)


def test_seeds_of_different_length_have_their_mean_where_both_ran(tmp_path):
    for name, points in (("long", {1: 20, 10: 30}), ("short", {1: 20, 2: 21, 4: 23})):
        rows = [f"{step},{psnr}" for step, psnr in points.items()]
        (tmp_path / f"{name}.csv").write_text("\n".join(["step,psnr", *rows]))
    logs = [tmp_path / "long.csv", tmp_path / "short.csv"]
    for order in (logs, logs[::-1]):
        (line,) = draw(Material(logs={"L1": order})).axes[0].lines
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 4])
        expected = [20, (20 + 10 / 9 + 21) / 2, (20 + 30 / 9 + 23) / 2]
        np.testing.assert_allclose(line.get_ydata(), expected)


def test_what_is_no_log_is_named(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"step,psnr\n1,\xff\xfe")
    with pytest.raises(DataError, match=r"log.csv cannot be read as a log"):
        read_curve(tmp_path / "log.csv")
