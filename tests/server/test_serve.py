"""`kddn serve` as its users run it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import uvicorn
from asking import MODEL, PICTURE

from helpers import encoded, hazy_photograph
from kddn import Dehazer
from kddn.server.run import _protocol

pytestmark = pytest.mark.slow


@contextmanager
def serving(*options, **process_options):
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "kddn", "serve", "--port", "0", "--model", MODEL, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **process_options)
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def ask(address, content=PICTURE, path="/v1/dehaze", **headers):
    kind = {"Content-Type": "image/jpeg"}
    try:
        with urlopen(Request(address + path, content, kind | headers), timeout=60) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def open_to(address):
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_it_serves_on_loopback_until_it_is_stopped():
    with serving() as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert ask(address) == (200, Dehazer(MODEL).encoded(PICTURE))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


def test_what_has_begun_is_done_before_it_stops():
    large, answers = encoded(hazy_photograph(4000, 3000), "JPEG"), []
    with serving() as (process, address):
        sender = threading.Thread(target=lambda: answers.append(ask(address, large)))
        sender.start()
        running(address)
        process.send_signal(signal.SIGTERM)
        sender.join(60)
        assert [status for status, _ in answers] == [200]
        assert process.wait(20) in (0, -signal.SIGTERM)


def running(address):
    """Wait until a picture is worked on."""
    end = time.monotonic() + 30
    while b"kddn_jobs_running 1.0" not in ask(address, None, "/metrics")[1]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/dehaze HT", b"full"])
def test_who_sends_slowly_is_answered_and_hinders_no_one(sent):
    head = b"POST /v1/dehaze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with serving("--receive-seconds", "1", "--jobs", "1", "--queue", "0") as (_, address):
        slow = [open_to(address) for _ in range(20)]
        for each in slow:
            each.sendall(head + b"1234" if sent == b"full" else sent)
        assert ask(address)[0] == 200
        for each in slow:
            assert each.recv(1000).startswith(b"HTTP/1.1 408 ")
            each.close()


def test_who_does_not_take_the_result_is_cut_off():
    """Its bytes count as long as they are held."""
    large = encoded(hazy_photograph(1600, 1600), "BMP")
    head = b"POST /v1/dehaze HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with serving("--receive-seconds", "2") as (_, address), open_to(address) as slow:
        slow.sendall(head % len(large) + large)
        held(address, lambda count: count >= len(large), "0")
        held(address, lambda count: count == 0, "0")
        assert ask(address)[0] == 200


def held(address, condition, jobs):
    """Wait until so many bytes are held while so many jobs run."""
    end = time.monotonic() + 30
    while True:
        lines = ask(address, None, "/metrics")[1].decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        if condition(float(values["kddn_bytes_held"])) and values["kddn_jobs_running"][0] == jobs:
            return
        assert time.monotonic() < end
        time.sleep(0.02)


def test_who_goes_away_leaves_nothing_behind():
    head = b"POST /v1/dehaze HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with serving("--jobs", "1", "--queue", "1") as (_, address):
        for _ in range(5):
            with open_to(address) as gone:
                gone.sendall(head % len(PICTURE) + PICTURE[:1000])
        assert ask(address)[0] == 200
        metrics = ask(address, None, "/metrics")[1]
        assert b"kddn_bytes_held 0.0" in metrics
        assert b"kddn_jobs_waiting 0.0" in metrics


def test_who_leaves_the_end_of_a_result_is_cut_off():
    """However little it is: 60 kB here, of which the network takes a few."""
    size = 60_000

    async def app(scope, receive, send):
        head = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": bytes(size)})

    with socket.socket() as listening, socket.socket() as slow:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(app, http=_protocol(1.0), ws="none", lifespan="off")
        server = uvicorn.Server(config)
        run = partial(server.run, sockets=[listening])
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(listening.getsockname())
            slow.settimeout(10)
            slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(3)
            assert received(slow) < size
        finally:
            server.should_exit = True
            thread.join(30)


def received(connection):
    """Bytes that come in until it ends."""
    count = 0
    try:
        while piece := connection.recv(1 << 16):
            count += len(piece)
    except ConnectionResetError:
        pass
    return count


def test_who_goes_away_while_it_waits_frees_the_place():
    large = encoded(hazy_photograph(6000, 4000), "BMP")
    head = b"POST /v1/dehaze HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with serving("--jobs", "1", "--max-bytes", "100000000") as (_, address):
        sender = threading.Thread(target=lambda: ask(address, large))
        sender.start()
        running(address)
        with open_to(address) as gone:
            gone.sendall(head % len(PICTURE) + PICTURE)
            until(address, {"running": "1.0", "waiting": "1.0"})
        until(address, {"running": "1.0", "waiting": "0.0"})
        sender.join(60)


def until(address, jobs):
    """Wait until so many jobs run and wait, at once."""
    end = time.monotonic() + 30
    while not all(
        f"kddn_jobs_{state} {count}".encode() in ask(address, None, "/metrics")[1]
        for state, count in jobs.items()
    ):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("host", "named"), [("127.0.0.2", "http://127.0.0.2:"), ("0.0.0.0", "http://127.0.0.1:")]
)
def test_the_address_that_is_told_can_be_opened(host, named):
    with serving("--host", host) as (_, address):
        assert address.startswith(named)
        assert ask(address, None, "/v1/models")[0] == 200


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--device", "directml"], "device 'directml' is not available here"),
        (["--host", ""], "--host is empty"),
        (["--seconds", "inf"], "--seconds must be a number of seconds"),
        (["--api-key", "a b"], "--api-key must be of ASCII"),
    ],
)
def test_what_it_cannot_do_is_told_before_it_serves(options, cause):
    told = serve(*options)
    assert told.returncode == 1
    assert cause in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = serve("--port", port)
        assert told.returncode == 1
        assert f"cannot listen at 127.0.0.1, port {port}" in told.stderr
        assert "--port" in told.stderr


def test_a_missing_extra_is_told(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = serve(env=os.environ | {"PYTHONPATH": path})
    assert told.returncode == 1
    assert told.stderr.strip().endswith(
        "this command needs uvicorn, which comes with: pip install 'kddn[serve]'"
    )


def serve(*options, env=None):
    command = [sys.executable, "-m", "kddn", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
