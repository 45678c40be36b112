"""What the server refuses, and what it bears."""

import asyncio
import math
import re
import shutil
import threading
import time

import pytest
from asking import MODEL, PICTURE, RAW, is_problem
from fastapi import FastAPI
from fastapi import Request as Asked
from fastapi.testclient import TestClient
from httpx2 import Request

from kddn.errors import ModelError
from kddn.inference.models import find_model
from kddn.server.app import create_app
from kddn.server.bodies import Bodies
from kddn.server.guard import Guard, Meters
from kddn.server.jobs import GoneError, Jobs
from kddn.server.models import Models
from kddn.server.problems import ProblemError
from kddn.server.settings import Settings


def client(**settings):
    app = create_app(Settings(models=(MODEL,), **settings))
    return TestClient(app, "http://localhost")


def post(client, content=PICTURE, headers=RAW):
    return client.post("/v1/dehaze", content=content, headers=headers)


def test_too_many_bytes_are_refused_announced_or_not():
    asked = client(max_bytes=len(PICTURE) - 1)
    is_problem(post(asked), 413, "too-many-bytes")
    chunks = (PICTURE[place : place + 1000] for place in range(0, len(PICTURE), 1000))
    is_problem(post(asked, content=chunks), 413, "too-many-bytes")
    assert post(client(max_bytes=len(PICTURE))).status_code == 200


def test_the_rest_of_what_is_too_large_is_not_read():
    taken, said = [], []

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": bytes(1000), "more_body": True}

    async def send(message):
        said.append(message)

    app = create_app(Settings(models=(MODEL,), max_bytes=5000))
    scope = {"type": "http", "method": "POST", "path": "/v1/dehaze", "query_string": b""}
    asyncio.run(app(scope | {"headers": [(b"host", b"localhost")]}, receive, send))
    assert said[0]["status"] == 413
    assert len(taken) < 10


def test_all_bodies_together_have_a_limit():
    asked = client(max_bytes_held=len(PICTURE) - 1)
    answer = post(asked)
    is_problem(answer, 503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    assert asked.app.state.service.bodies.held == 0


def test_no_charset_of_the_clients_is_used():
    """Python has some that take minutes for a megabyte."""
    form = Request("POST", "http://x/", files={"picture": ("a.jpg", PICTURE)})
    kind = form.headers["Content-Type"]
    for charset in ("punycode", "utf-16", "no-such"):
        headers = {"Content-Type": f"{kind}; charset={charset}"}
        assert post(client(), form.read(), headers).status_code == 200


def test_of_a_form_the_picture_alone_is_held():
    form = Request("POST", "http://x/", files={"picture": PICTURE}, data={"more": "x" * 10_000})
    body = form.read()
    pieces = [body[place : place + 1000] for place in range(0, len(body), 1000)]
    bodies, held = Bodies(Settings(models=(MODEL,))), []

    async def receive():
        held.append(bodies.held)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def scene():
        headers = [(name.lower(), value) for name, value in form.headers.raw]
        scope = {"type": "http", "method": "POST", "headers": headers}
        async with bodies.picture(Asked(scope, receive)) as sent:
            assert sent.content == PICTURE
            return bodies.held

    assert asyncio.run(scene()) == len(PICTURE)
    assert held == list(range(0, len(body), 1000))  # counted as it comes in
    assert bodies.held == 0


def test_too_many_pixels_are_refused():
    told = is_problem(post(client(max_pixels=400 * 300 - 1)), 413, "too-many-pixels")
    assert "400 x 300 pixels" in told["detail"]
    assert post(client(max_pixels=400 * 300)).status_code == 200


def test_fewer_pixels_are_allowed_at_full_resolution_where_that_is_slow():
    slow = TestClient(
        create_app(Settings(models=("dcp",), max_pixels_full=5000)), "http://localhost"
    )
    affine = client(max_pixels_full=5000)
    for asked, query, status in (
        (slow, "full_resolution=true", 413),
        (slow, "", 200),
        (affine, "full_resolution=true", 200),
    ):
        answer = asked.post(f"/v1/dehaze?{query}", content=PICTURE, headers=RAW)
        assert answer.status_code == status
    fewest = Settings(models=("dcp",), max_pixels=5000)
    assert create_app(fewest).state.service.max_pixels_full == 5000


def test_names_of_other_hosts_are_refused():
    asked = client()
    for host in ("evil.example", "localhost.evil.example", "", "evil.example:8000"):
        is_problem(post(asked, headers=RAW | {"Host": host}), 400, "host")
        is_problem(asked.get("/", headers={"Host": host}), 400, "host")
        assert asked.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"):
        assert asked.get("/v1/models", headers={"Host": host}).status_code == 200
    named = client(hosts=("MyServer.local",))
    assert named.get("/v1/models", headers={"Host": "myserver.local"}).status_code == 200
    any_name = client(hosts=("*",))
    assert any_name.get("/v1/models", headers={"Host": "x.example"}).status_code == 200


def test_pages_of_other_sites_may_not_ask_unless_allowed():
    other = {"Origin": "https://other.example"}
    for origin in (other, {"Origin": "http://["}):
        is_problem(post(client(), headers=RAW | origin), 403, "origin")
    answer = post(client(origins=("https://other.example",)), headers=RAW | other)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://other.example"
    assert post(client(), headers=RAW | {"Origin": "http://localhost"}).status_code == 200


def test_a_fault_is_counted_as_one():
    async def broken(scope, receive, send):
        raise RuntimeError

    meters = Meters()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    with pytest.raises(RuntimeError):
        asyncio.run(Guard(broken, Settings(models=(MODEL,)), meters)(scope, None, None))
    assert (
        meters.registry.get_sample_value("kddn_requests_total", {"route": "other", "status": "500"})
        == 1
    )


def test_the_key_is_asked_for():
    asked = client(api_key="secret")
    for path in ("/v1/models", "/metrics"):
        answer = asked.get(path)
        is_problem(answer, 401, "key")
        assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer other", "secret", "Bearer secret ", "Bearer s\u00e9cret"):
            headers = {"Authorization": wrong.encode("latin-1")}
            is_problem(asked.get(path, headers=headers), 401, "key")
        assert asked.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
    assert asked.get("/").status_code == asked.get("/healthz").status_code == 200


def test_the_key_is_asked_for_behind_a_prefix_too():
    app = create_app(Settings(models=(MODEL,), api_key="secret"))
    around = FastAPI()
    around.mount("/kddn", app)
    proxied = TestClient(app, "http://localhost", root_path="/kddn")
    for asked in (proxied, TestClient(around, "http://localhost")):
        for path in ("/kddn/v1/models", "/kddn/metrics"):
            is_problem(asked.get(path), 401, "key")
            headers = {"Authorization": "Bearer secret"}
            assert asked.get(path, headers=headers).status_code == 200
        assert asked.get("/kddn/healthz", headers={"Host": "10.0.0.7"}).status_code == 200
        is_problem(asked.get("/kddn/v1/models", headers={"Host": "10.0.0.7"}), 400, "host")


@pytest.mark.parametrize(("cores", "threads"), [(2, 2), (96, 16)])
def test_models_take_no_more_threads_than_a_service_has(monkeypatch, cores, threads):
    asked = []
    monkeypatch.setattr("kddn.server.models.cores", lambda: cores)
    monkeypatch.setattr(
        "kddn.server.models.Dehazer", lambda *_, **how: asked.append(how["threads"])
    )
    Models(Settings(models=(MODEL,))).dehazer(MODEL)
    assert asked == [threads]


def test_options_that_a_form_would_hide_are_refused():
    form = {"files": {"picture": PICTURE}, "data": {"strength": "0"}}
    told = is_problem(client().post("/v1/dehaze", **form), 422, "form")
    assert "?strength=" in told["remedy"]


@pytest.mark.parametrize("name", ["jobs", "max_bytes", "max_pixels", "seconds"])
def test_settings_are_checked(name):
    with pytest.raises(ValueError, match=f"`{name}` must be 1 or more, not 0"):
        Settings(**{name: 0})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"seconds": math.inf}, "`seconds` must be a number of seconds, not inf"),
        ({"receive_seconds": math.nan}, "`receive_seconds` must be a number"),
        ({"api_key": "secret "}, "`api_key` must be of ASCII"),
        ({"api_key": "g\u00e9heim"}, "`api_key` must be of ASCII"),
        ({"api_key": ""}, "`api_key` must be of ASCII"),
        ({"origins": ("https://a.example/",)}, "`origins` are like https://example.org"),
        ({"origins": ("*",)}, "`origins` are like"),
        ({"hosts": ("https://x",)}, "`hosts` are names without scheme and port"),
        ({"hosts": ("x:8443",)}, "`hosts` are names"),
        ({"hosts": ("",)}, "`hosts` are names"),
    ],
)
def test_what_could_never_match_is_no_setting(setting, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**setting)
    Settings(api_key="a-Key_1!", origins=("http://a.example:8080",), hosts=("*", "[::1]", "a.b"))


def test_two_models_of_one_name_are_told(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for ending in (".onnx", ".json"):
            source = find_model(MODEL).path.with_suffix(ending)
            shutil.copy(source, tmp_path / folder / f"net{ending}")
    both = tuple(tmp_path / folder / "net.onnx" for folder in ("a", "b"))
    with pytest.raises(ModelError, match=r"a/net\.onnx and .*b/net\.onnx are both called net"):
        create_app(Settings(models=both))
    create_app(Settings(models=(both[0], both[0])))


async def never():
    await asyncio.Event().wait()


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def scene():
        jobs, go_on = Jobs(1, 1, 10), threading.Event()
        both = [asyncio.create_task(jobs.do(go_on.wait, never())) for _ in range(2)]
        await settled(lambda: jobs.running == 1 and jobs.waiting == 1)
        with pytest.raises(ProblemError) as refused:
            await jobs.do(go_on.wait, never())
        go_on.set()
        assert await asyncio.gather(*both) == [True, True]
        assert await jobs.do(lambda: 3, never()) == 3
        return refused.value

    problem = asyncio.run(scene())
    assert (problem.status, problem.kind) == (503, "busy")
    assert int(problem.headers["Retry-After"]) >= 1


def test_who_goes_away_frees_the_place():
    async def scene():
        jobs, go_on, begun = Jobs(1, 1, 10), threading.Event(), []
        first = asyncio.create_task(jobs.do(go_on.wait, never()))
        await settled(lambda: jobs.running == 1)
        leave = asyncio.Event()
        second = asyncio.create_task(jobs.do(lambda: begun.append(2), leave.wait()))
        await settled(lambda: jobs.waiting == 1)
        leave.set()
        with pytest.raises(GoneError):
            await second
        assert jobs.waiting == 0
        third = asyncio.create_task(jobs.do(lambda: 3, never()))
        await settled(lambda: jobs.waiting == 1)
        go_on.set()
        await first
        assert await third == 3
        assert begun == []

    asyncio.run(scene())


def test_what_takes_too_long_is_given_up_but_keeps_its_place_to_its_end():
    async def scene():
        jobs, go_on = Jobs(1, 0, 0.05), threading.Event()
        with pytest.raises(ProblemError) as slow:
            await jobs.do(go_on.wait, never())
        with pytest.raises(ProblemError) as busy:
            await jobs.do(go_on.wait, never())
        go_on.set()
        await settled(lambda: jobs.running == 0 and jobs.waiting == 0)
        assert await jobs.do(lambda: 3, never()) == 3
        return slow.value.kind, busy.value.kind

    assert asyncio.run(scene()) == ("slow", "busy")


def test_an_error_in_a_job_is_the_clients():
    async def scene():
        await Jobs(1, 0, 10).do(lambda: 1 // 0, never())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())


async def settled(condition, seconds=10):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
