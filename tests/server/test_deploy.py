"""The files to deploy with: what they run is what there is."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from asking import PICTURE
from test_serve import ask, serving

from kddn.inference.models import list_models
from kddn.server.models import _MOST_THREADS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name):
    """What follows a word of the Dockerfile, each time that it stands there."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_what_the_image_copies_and_installs_is_there():
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in instructions("COPY"):
        if "--from" not in line:
            for name in line.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored


def test_a_service_may_have_all_the_threads_that_its_models_take():
    service = (ROOT / "deploy/kddn.service").read_text()
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["kddn"]
    models = sum(1 for model in list_models() if model.path)
    most = models * _MOST_THREADS + 256  # and numpy's, of which there is one a core
    for allowed in (int(re.search(r"^TasksMax=(\d+)$", service, re.M)[1]), compose["pids_limit"]):
        assert allowed > 2 * most


def test_the_image_runs_as_nobody_in_particular():
    (user,) = instructions("USER")
    assert all(int(part) > 0 for part in user.split(":"))


@pytest.mark.slow
def test_the_images_health_check_tells_whether_it_runs():
    (check,) = instructions("HEALTHCHECK")
    program, *rest = json.loads(check.partition("CMD ")[2])
    assert program == "/opt/kddn/bin/python"
    with serving() as (_, address):
        port = address.rpartition(":")[2]
        command = [sys.executable, *(part.replace("8000", port) for part in rest)]
        assert subprocess.run(command, check=False).returncode == 0
    told = subprocess.run(command, check=False, capture_output=True)
    assert told.returncode != 0


@pytest.mark.slow
def test_it_runs_as_the_image_and_compose_start_it_without_a_place_to_write():
    (entry,) = instructions("ENTRYPOINT")
    program, command, *options = json.loads(entry)
    assert (program, command) == ("/opt/kddn/bin/kddn", "serve")
    service = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["kddn"]
    options = [part.replace("0.0.0.0", "127.0.0.1") for part in options]
    nowhere = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "KDDN_API_KEY": ""}
    with serving(*options, *service["command"], env=os.environ | nowhere, cwd="/") as (_, address):
        assert ask(address, Host="dehaze.example.org")[0] == 200
        assert ask(address, PICTURE, Host="other.example.org")[0] == 400


def test_the_unit_starts_the_command():
    unit = (ROOT / "deploy/kddn.service").read_text()
    assert re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE) == ["/opt/kddn/bin/kddn serve"]
    assert "DynamicUser=yes" in unit


@pytest.mark.web
@pytest.mark.slow
def test_the_images_commands_make_a_server_in_a_fresh_environment(tmp_path):
    for line in instructions("RUN"):
        line = re.sub(" /kddn$", f" {ROOT}", line.replace("/locks", f"{ROOT}/requirements"))
        line = line.replace("/opt/kddn", f"{tmp_path}/opt").replace(
            "/opt/build", f"{tmp_path}/build"
        )
        subprocess.run(shlex.split(line.replace("python -m", f"{sys.executable} -m")), check=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(
        [tmp_path / "opt/bin/kddn", "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=clean,
        cwd=tmp_path,
    )
    assert "--max-pixels" in told.stdout
    check = "import kddn.server.run, importlib.util as u; assert u.find_spec('torch') is None"
    subprocess.run([tmp_path / "opt/bin/python", "-c", check], check=True, env=clean, cwd=tmp_path)
