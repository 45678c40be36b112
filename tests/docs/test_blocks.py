"""Every block and command of README and docs runs, long ones on little data."""

import ast
import contextlib
import json
import logging
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import warnings
from argparse import ArgumentParser
from pathlib import Path

import jaxtyping
import pytest
import yaml
from cyclopts import MissingArgumentError
from PIL import Image

from docs.pages import PAGES, ROOT, blocks, commands, inline_commands, inline_scripts, words
from docs.stage import copied, set_up
from kddn import cli

pytestmark = pytest.mark.slow

TINY_NETWORK = (
    "{class_path: kddn.research.nets.Student, "
    "init_args: {config: {width: 8, groups: 3, blocks: 1, global_residual: true}}}"
)

SMALL = {
    "train": (
        "--data.batch={size: 1, crop: 32, scales: [0.1, 0.2]}",
        "--data.epoch_length=1",
        "--data.workers=0",
        "--data.train_scenes=2",
        "--data.validation_scenes=1",
        "--data.validation_scales=[0.1]",
        "--trainer.max_steps=1",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.num_sanity_val_steps=0",
        "--trainer.log_every_n_steps=1",
    ),
    "evaluate": ("--images=1", "--no-full-resolution"),
    "export": ("--overwrite",),
}
"""What is added to long commands: one step of one picture, one image; two models alone."""

SHIPPED = "kddn-"
"""How recipes of shipped weights begin: every option of theirs is checked, and
tests/research/training holds them against the weights."""

ELSEWHERE = {
    "reproduce": "tests/research/paper trains every row and draws every figure on little data",
    "bench": "tests/bench measures every kind of system",
    "batch": "starts a cluster, or needs a store; tests/batch",
    "serve": "runs until it is stopped; tests/server",
    "dehaze --watch": "runs until it is stopped; tests/batch",
}
"""Commands that are parsed here, and run by other tests."""


@pytest.fixture(scope="session")
def stage(nyu, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stage")
    jaxtyping.config.update("jaxtyping_disable", True)  # export traces with symbolic sizes
    set_up(folder, nyu)
    jaxtyping.config.update("jaxtyping_disable", False)
    return folder


@pytest.fixture
def here(stage, tmp_path, monkeypatch):
    """A folder for a page's commands, after which this process is as it was."""
    copied(stage, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["kddn"])
    loggers = [logging.getLogger(name) for name in ("py.warnings", "PIL", "tifffile", "libav")]
    before = [(logger, logger.propagate, list(logger.handlers)) for logger in loggers]
    jaxtyping.config.update("jaxtyping_disable", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tests of what is run here have them as errors
        yield tmp_path
    jaxtyping.config.update("jaxtyping_disable", False)
    logging.captureWarnings(False)
    for logger, propagate, handlers in before:
        logger.propagate, logger.handlers = propagate, handlers
    sys.modules.pop("mine", None)


@pytest.fixture(scope="session")
def server():
    """The address of a server."""
    command = [sys.executable, "-m", "kddn", "serve", "--port", "0", "--model", "kddn-indoor"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, here, request):
    names = {"__name__": "__main__"}
    for block in blocks(page):
        if block.title:
            (here / block.title).write_text(block.text)
        if block.language == "sh":
            for command in commands(block.text):
                run(command, request)
        elif block.language == "python" and "--8<--" not in block.text:  # tests/examples
            code = compile(block.text, page, "exec")
            if "import gi\n" not in block.text:  # GIMP's own Python
                exec(code, names)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            assert yaml.safe_load(block.text)
        else:
            assert block.language in ("python", "nginx", ""), block.language


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_sentence_is_one(page):
    for command in inline_commands(page):
        asked = words(command)[1:]
        names, _, unused = cli.app.parse_commands(asked)
        assert names
        if asked[-1].startswith("--"):  # an option as such
            asked.append("name=value")
        if "..." in asked:  # some are left out
            with contextlib.suppress(MissingArgumentError):
                parse([word for word in asked if word != "..."])
        elif unused:  # more than the command's name
            parse(asked)


@pytest.mark.parametrize("page", PAGES)
def test_every_script_in_a_sentence_is_one(page):
    for command in inline_scripts(page):
        check_python(words(command))


def run(command, request):
    """Run a command of a page, as small as it may be."""
    asked = words(command)
    if not asked:
        return
    program = Path(asked[0]).name
    if program in CHECKED:
        CHECKED[program](asked)
    elif program == "curl":
        in_shell(command.replace("http://127.0.0.1:8000", request.getfixturevalue("server")))
    elif program in STAND_INS:
        STAND_INS[program](asked)
    elif program == "kddn" and not re.search(r"[|<>$*]|--manifest -", command):
        kddn(asked[1:])
    elif program == "PYTHONPATH=.":
        kddn(asked[2:])
    elif "kddn serve" in command:
        parse(asked[asked.index("kddn") + 1 :])
    else:
        assert program in ("kddn", "cat", "for", "find"), f"say how to test {program}"
        in_shell(command)


def kddn(asked):
    """Run a command of ours in this process."""
    name = next((name for name in ELSEWHERE if " ".join(asked).startswith(name)), None)
    if name or "--watch" in asked:
        parse(asked)
        return
    small = [word for word in SMALL.get(asked[0], ()) if word not in asked]
    if "--images" in asked:
        asked[asked.index("--images") + 1] = "1"
        small.remove("--images=1")
    if asked[0] == "evaluate":
        asked = two_models(asked)
    if asked[0] == "train":
        small += ["--print_config"] if SHIPPED in asked[3] else smaller_network(asked)
    if asked[0] == "export":
        Path(asked[1]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("tiny.safetensors", asked[1])  # the larger the network, the longer it takes
    sys.argv = ["kddn", *asked, *small]
    with pytest.raises(SystemExit) as end:
        sys.exit(cli.main())
    assert end.value.code in (None, 0), f"{asked}: {end.value.code}"


def two_models(asked):
    """The command with its first two models."""
    places = [place for place, word in enumerate(asked) if word == "--model"]
    dropped = {k for place in places[2:] for k in (place, place + 1)}
    return [word for place, word in enumerate(asked) if place not in dropped]


def smaller_network(asked):
    """What makes a run of a recipe small: its network, or its photographs."""
    text = " ".join(asked)
    if "own-pairs" in text:
        return [f"--model.network={TINY_NETWORK}"]
    if "photos.root" in text:
        return ["--data.photos.batch={size: 1, crop: 32, scales: [0.1, 0.2]}"]
    return []


def parse(asked):
    """See that a command and its options are such as the command line knows."""
    if asked[0] == "train":  # whose options are Lightning's, which a run alone checks
        asked = asked[:2]
    cli.app.parse_args(asked, exit_on_error=False, print_error=False)


def in_shell(command):
    """Run a command with pipes and patterns."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "INPUT": "a.jpg", "OUTPUT": "out/a.jpg"}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


class ParsedError(Exception):
    """A script's options are such as it knows."""


def see_options(script, options):
    """Run a script up to where it has read its options."""

    def parsed(of):
        def parse(*arguments, **more):
            of(*arguments, **more)
            raise ParsedError

        return parse

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *options])
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(ArgumentParser, name, parsed(getattr(ArgumentParser, name)))
        with pytest.raises(ParsedError):
            runpy.run_path(str(ROOT / script), run_name="__main__")


def check_pip(asked):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in asked:
        for found in re.findall(r"\[(.+)\]", word):
            assert set(found.split(",")) <= set(extras), word
        if word.endswith(".txt"):
            assert (ROOT / word).is_file()


def check_make(asked):
    for target in asked[1:]:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def check_docker(asked):
    assert (ROOT / "Dockerfile").is_file()
    if "run" in asked:
        parse(["serve", *asked[asked.index("kddn") + 1 :]])


def check_python(asked):
    text = (ROOT / asked[1]).read_text()
    ast.parse(text)
    if asked[1].startswith("benchmarks/") and "ArgumentParser" in text and "--help" not in asked:
        see_options(asked[1], asked[2:])


def check_launched(asked):
    parse(asked[asked.index("kddn") + 1 :])


def check_ray(asked):
    assert asked[1] == "start"
    assert all(word.startswith(("--head", "--address=")) for word in asked[2:])


CHECKED = {
    "pip": check_pip,  # installs; the extras are there
    "make": check_make,  # installs; the targets are there
    "docker": check_docker,  # needs a daemon; what it is given is what `kddn serve` takes
    "ray": check_ray,  # starts a cluster; tests/batch
    "torchrun": check_launched,  # needs several GPUs; tests/research/training/test_devices.py
    "srun": check_launched,
    "python": check_python,  # examples have tests of their own; benchmarks take hours
}
"""What is not run, and what of it is checked."""


def _copy(asked):
    shutil.copy(asked[asked.index("-i") + 1], asked[-1])


def _develop(asked):
    with Image.open(asked[1]) as picture:
        picture.save(asked[2])


STAND_INS = {"ffmpeg": _copy, "darktable-cli": _develop}
"""What comes in the place of a program that is not here."""


def test_what_is_run_elsewhere_is_said_with_a_reason():
    for reason in ELSEWHERE.values():
        for folder in re.findall(r"tests/\S+", reason):
            assert (ROOT / folder.rstrip(";,")).is_dir()


def test_wrong_options_are_noticed():
    with pytest.raises(Exception, match="nonsense"):
        parse(["dehaze", "photo.jpg", "--nonsense", "1"])
    with pytest.raises(AssertionError):
        check_pip(["pip", "install", ".[nonsense]"])
    with pytest.raises(AssertionError):
        check_make(["make", "nonsense"])
