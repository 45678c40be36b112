"""The wheel: what is in it, and the same bytes whenever and wherever it is built."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def build(folder: Path, when: int, rights: int) -> Path:
    """The wheel of a copy of the sources, whose files have another date and other rights."""
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    for path in folder.rglob("*"):
        path.chmod(rights | (0o100 if path.is_dir() else 0))
        os.utime(path, times=(when, when))
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    [wheel] = (folder / "dist").iterdir()
    return wheel


def test_the_same_sources_give_the_same_bytes(tmp_path):
    one = build(tmp_path / "one", 1_600_000_000, 0o600)
    other = build(tmp_path / "other", 1_650_000_000, 0o664)
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"kddn"}
    assert "kddn/weights/kddn-photo.onnx" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
