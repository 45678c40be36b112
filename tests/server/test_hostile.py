"""What must not harm the server, nor those who use it meanwhile."""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from asking import MODEL
from fastapi.testclient import TestClient
from test_serve import ask, serving

import hostile
from helpers import encoded, hazy_photograph
from kddn.server.app import create_app
from kddn.server.settings import Settings

BOUND = 160 << 20
"""Bytes by which memory may grow above what a picture of everyday size needs: the largest body here
has 50 MB, is put together once, and everything bad unpacks to 256 MB or more."""


@pytest.mark.slow
def test_hostile_bodies_are_refused_while_good_requests_succeed():
    good, over = [], threading.Event()
    with serving("--jobs", "2") as (process, address):
        sender = threading.Thread(target=lambda: keep_asking(address, good, over))
        ask(address, encoded(hazy_photograph(3000, 2000), "JPEG"))
        before = peak(process)
        sender.start()
        told = {name: ask(address, body)[0] for name, body in hostile.bodies()}
        over.set()
        sender.join(60)
        grown = peak(process) - before
    assert len(told) >= 200
    assert {name: status for name, status in told.items() if not 400 <= status < 500} == {}
    assert len(good) > 5
    assert set(good) == {200}
    assert grown < BOUND


def keep_asking(address, statuses, over):
    while not over.is_set():
        statuses.append(ask(address)[0])


def peak(process):
    """The most memory, in bytes, that a process has had."""
    with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_no_picture_is_written_to_a_disk(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    large = encoded(hazy_photograph(1500, 1000), "BMP")
    client = TestClient(create_app(Settings(models=(MODEL,))), "http://localhost")
    assert client.post("/v1/map", files={"picture": large}).status_code == 200


@pytest.mark.slow
def test_it_does_what_its_openapi_says(tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    with serving() as (_, address):
        told = subprocess.run(
            [program, "run", f"{address}/openapi.json", *SCHEMATHESIS],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=300,
        )
    assert told.returncode == 0, told.stdout
    assert "6 selected / 6 total" in told.stdout


SCHEMATHESIS = (
    "--max-examples=50",
    "--seed=1",
    "--no-color",
    "--generation-database=none",
    "--suppress-health-check=all",
    # Bytes are all that OpenAPI can say of pictures: most are none, and are refused.
    "--exclude-checks=positive_data_acceptance",
)
