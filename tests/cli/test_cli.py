"""The command line as its users run it."""

import os
import socket
import subprocess
import sys

import pytest
from PIL import Image

from helpers import hazy_photograph
from kddn.cli import PIPE, _with_pipe
from kddn.cli._research import named_paths
from kddn.cli.data import list_data
from kddn.errors import KddnError
from kddn.research.data.sets import DATA_SETS

pytestmark = pytest.mark.slow

HEAVY = ("torch", "lightning", "torchmetrics", "jsonargparse", "scipy", "onnx")


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "kddn", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_that_a_terminal_cannot_write_end_nothing(tmp_path, encoding):
    names = ["a\u5c71.png", "b.png", "c\u5c71.png"]
    for name in names[:2]:
        hazy_photograph(60, 40).save(tmp_path / name)
    (tmp_path / names[2]).write_bytes(b"no picture")
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "kddn", "dehaze"]
    done = subprocess.run(
        [*command, *names, "-o", "out"], cwd=tmp_path, capture_output=True, env=env, check=False
    )
    assert done.returncode == 1
    shown = (
        names[0] if encoding == "utf-8" else names[0].encode("ascii", "backslashreplace").decode()
    )
    assert done.stdout.decode(encoding).splitlines() == [f"out/{shown}", "out/b.png"]
    assert len(done.stderr.splitlines()) == 1
    assert b"Traceback" not in done.stderr
    wrong = subprocess.run(
        [*command, names[1], "--model", "\u96fe.onnx"],
        cwd=tmp_path, capture_output=True, env=env, check=False,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1


def test_a_data_set_is_named_once():
    with pytest.raises(KddnError, match="pairs is given twice: a and b; name one"):
        named_paths(["pairs=a", "nyu=c", "pairs=b"])


@pytest.mark.parametrize("name", DATA_SETS)
def test_where_a_data_set_comes_from_is_told_whole(name, capsys):
    list_data(name)
    assert DATA_SETS[name].source in capsys.readouterr().out.splitlines()[-1]


def test_a_dash_is_the_pipe_for_dehaze_alone():
    words = ["dehaze", "-", "--report", "-", "--manifest", "-"]
    assert _with_pipe(words) == ["dehaze", PIPE, "--report", "-", "--manifest", PIPE]
    words = ["export", "a.safetensors", "b.onnx", "--licence", "-"]
    assert _with_pipe(words) == words


def test_a_list_may_come_through_a_socket(tmp_path):
    hazy_photograph(60, 40).save(tmp_path / "a.png")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"a.png\n")
        ours.shutdown(socket.SHUT_WR)
        done = subprocess.run(
            [sys.executable, "-m", "kddn", "dehaze", "--manifest", "-", "-o", "out"],
            cwd=tmp_path, stdin=theirs, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("out/a.png\n", "")


def imported(*command):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=True
    )
    return {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import kddn"),
        ("-m", "kddn", "--help"),
        ("-m", "kddn", "dehaze", "--help"),
        ("-c", "import kddn, numpy; kddn.dehaze(numpy.zeros((9, 9, 3), 'uint8'))"),
    ],
)
def test_the_runtime_never_loads_the_research_half(command):
    modules = imported(*command)
    assert "kddn" in modules
    for heavy in (*HEAVY, "kddn.research"):
        assert heavy not in modules


def test_importing_kddn_loads_nothing_else():
    modules = imported("-c", "import kddn")
    assert not modules & {"numpy", "PIL", "onnxruntime", "cyclopts"}


def test_help_names_every_command():
    result = run("--help")
    assert result.returncode == 0
    for command in (
        "dehaze",
        "models",
        "serve",
        "bench",
        "train",
        "data",
        "evaluate",
        "reproduce",
        "export",
        "import",
    ):
        assert command in result.stdout


def test_dehaze_writes_beside_the_picture(photo):
    result = run("dehaze", photo)
    output = photo.with_name("photo-dehazed.jpg")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{output}\n", "")
    with Image.open(output) as clear:
        assert clear.size == (300, 200)


def test_output_names_the_file_and_its_format(photo):
    assert run("dehaze", photo, "-o", photo.parent / "new/clear.png").returncode == 0
    with Image.open(photo.parent / "new/clear.png") as clear:
        assert clear.format == "PNG"


def test_one_bad_picture_does_not_stop_the_others(photo):
    folder = photo.parent
    hazy_photograph(64, 48).save(folder / "other.png")
    (folder / "bad.jpg").write_text("no picture")
    result = run("dehaze", photo, folder / "bad.jpg", folder / "no.png", folder / "other.png")
    assert result.returncode == 1
    assert sorted(path.name for path in folder.glob("*-dehazed*")) == [
        "other-dehazed.png",
        "photo-dehazed.jpg",
    ]
    errors = result.stderr.replace("\n", " ")
    assert "bad.jpg is not a picture" in errors
    assert "no.png does not exist" in errors


def test_nothing_is_overwritten_unless_asked(photo):
    assert run("dehaze", photo).returncode == 0
    again = run("dehaze", photo)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert run("dehaze", photo, "--overwrite").returncode == 0


def test_strength_zero_changes_nothing(photo):
    hazy_photograph(90, 60).save(photo.with_suffix(".png"))
    assert run("dehaze", photo.with_suffix(".png"), "--strength", "0").returncode == 0
    with Image.open(photo.with_name("photo-dehazed.png")) as clear:
        assert clear.tobytes() == hazy_photograph(90, 60).tobytes()
    assert run("dehaze", photo, "--strength", "2").returncode != 0


def test_full_resolution_and_model_change_the_result(photo):
    hazy_photograph(700, 560).save(photo)  # larger than the working size
    results = set()
    for name, more in [("a", []), ("b", ["--full-resolution"]), ("c", ["--model", "dcp"])]:
        output = photo.parent / f"{name}.png"
        assert run("dehaze", photo, "-o", output, *more).returncode == 0
        results.add(output.read_bytes())
    assert len(results) == 3


def test_compare_shows_before_and_after(photo):
    result = run("dehaze", photo, "--compare")
    sheet = photo.with_name("photo-compared.jpg")
    assert result.stdout.splitlines()[1] == str(sheet)
    with Image.open(sheet) as compared:
        assert compared.width > 600
        left = compared.crop((0, 28, 300, 228)).convert("L")
        right = compared.crop((308, 28, 608, 228)).convert("L")
        assert left.tobytes() != right.tobytes()


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--device", "cuda"], "not available"),
        (["--model", "nonsense"], "no model 'nonsense'"),
    ],
)
def test_errors_are_one_line(photo, arguments, cause):
    result = run("dehaze", photo, *arguments)
    assert result.returncode == 1
    assert cause in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_interrupted_imports_are_interruptions(photo, monkeypatch):
    # As modules made with pybind11 pass on an interrupt, which may come at any moment.
    (photo.parent / "onnxruntime.py").write_text(
        "try: raise KeyboardInterrupt\n"
        "except KeyboardInterrupt as cause: raise ImportError('failed') from cause\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(photo.parent))
    done = run("dehaze", photo, cwd=photo.parent)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_models_lists_the_default_first():
    lines = run("models").stdout.splitlines()
    assert lines[1].split()[0] == "kddn-photo"
    assert any(line.split()[0] == "dcp" for line in lines[2:])


def test_evaluate_writes_every_figure(nyu, tmp_path):
    result = run("evaluate", "--root", nyu, "--images", 20, "--model", "dcp", "--output", tmp_path)
    assert result.returncode == 0, result.stderr
    summary = (tmp_path / "summary.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in summary] == ["system", "hazy", "dcp @640", "dcp full"]
    assert len((tmp_path / "images.csv").read_text().splitlines()) == 1 + 2 * 10 * 3


def test_train_passes_its_options_on(nyu):
    result = run("train", "student", "--data.root", nyu, "--nonsense", 1)
    assert result.returncode != 0
    assert "nonsense" in result.stderr
    assert "--model.network" in run("train", "student", "--", "--help").stdout
