"""Every example runs, on little data."""

import runpy
import subprocess
import sys
from pathlib import Path

import jaxtyping
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from helpers import hazy_photograph, small_video

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch, capsys):
    """Runs an example with arguments; what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def free_shapes():
    """Export traces with symbolic sizes, which checks of shapes would take for no integers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def pairs(tmp_path):
    for part, strength in {"hazy": 1, "clear": 0}.items():
        (tmp_path / "pairs" / part).mkdir(parents=True)
        for scene in "ab":
            picture = np.asarray(hazy_photograph(80, 60)) // (1 + (strength == 0))
            Image.fromarray(picture).save(tmp_path / "pairs" / part / f"{scene}.png")
    return tmp_path / "pairs"


def test_one_picture(example, photo):
    told = example("one_picture", photo)
    assert "haze: 0." in told
    for name, mode in {"photo-clear.jpg": "RGB", "transmission.png": "L"}.items():
        with Image.open(photo.with_name(name)) as made:
            assert (made.size, made.mode) == ((300, 200), mode)


def test_a_folder_with_a_bad_file(example, photo, tmp_path):
    (photo.parent / "bad.png").write_text("no picture")
    told = example("folder", photo.parent, tmp_path / "clear").splitlines()
    assert told[0].startswith("failed: ")
    assert told[1].startswith(str(tmp_path / "clear" / "photo.jpg"))
    assert [path.name for path in (tmp_path / "clear").iterdir()] == ["photo.jpg"]


def test_a_video(example, tmp_path):
    small_video(tmp_path / "video.mp4")
    assert "3 frames of 96x64" in example("video", tmp_path / "video.mp4", tmp_path / "clear.mp4")
    assert (tmp_path / "clear.mp4").is_file()


def test_a_server(example, photo):
    command = [sys.executable, "-m", "kddn", "serve", "--port", "0", "--model", "kddn-indoor"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[-1]
        assert "haze 0." in example("ask_server", address, photo)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    whole, by_map = (
        np.asarray(Image.open(photo.with_name(name)).convert("RGB")).astype(int)
        for name in ("photo-clear.jpg", "by-map.png")
    )
    hazy = np.asarray(Image.open(photo)).astype(int)
    assert np.abs(whole - by_map).mean() < np.abs(hazy - by_map).mean()


def test_a_tiny_student(example, nyu, tmp_path, free_shapes):
    assert example("train_tiny_student", nyu, tmp_path / "runs").endswith("(90, 120, 3)\n")


def test_a_network_of_ones_own(example, nyu):
    losses = [float(line) for line in example("distill_your_own", nyu).splitlines()]
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def test_a_folder_of_pairs(example, pairs):
    told = example("evaluate_folder", pairs)
    for system in ("hazy", "dcp @640", "kddn-indoor @480"):
        assert f"{system}: " in told


def test_the_notebook(tmp_path):
    notebook = nbformat.read(EXAMPLES / "haze.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": EXAMPLES}}).execute()
    drawn = [out for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]
    assert sum("image/png" in out["data"] for out in drawn) == 4
    assert all(not cell.get("outputs") for cell in nbformat.read(EXAMPLES / "haze.ipynb", 4).cells)


def test_every_example_is_here():
    """So that none comes without a test."""
    tested = Path(__file__).read_text()
    for path in EXAMPLES.iterdir():
        assert f'"{path.stem}"' in tested or path.name in tested, path.name
