"""What is given damaged input, in a process of its own: it does it, or refuses it in one line."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from kddn.cli._libraries import hush_libraries
from kddn.dehazer import Dehazer
from kddn.errors import KddnError
from kddn.inference.models import find_model
from kddn.io.files import open_picture

PIXELS = 1_000_000
"""Most that a picture may have: what claims more is refused, what claims less is tried."""

LONGEST = 1000
"""Characters of an error."""

MODEL = "kddn-indoor"


@cache
def dehazer() -> Dehazer:
    """One for all cases of a process."""
    hush_libraries()
    return Dehazer(MODEL, "cpu", working_size=64, max_pixels=PIXELS)


def picture(content: bytes, *, format: str | None = None, strength: float = 1.0) -> None:
    """Decode, dehaze and encode; the result can be read and is as large as it says."""
    done = dehazer().in_memory(content, format=format, strength=strength)
    try:
        height, width, _ = open_picture(done.content).photograph.pixels.shape
    except KddnError as error:
        raise AssertionError(f"the result cannot be read: {error}") from error
    assert (width, height) == done.size, f"{width} x {height} is not {done.size}"


def video(content: bytes, *, seed: str, ending: str | None = None) -> None:
    """From one container to another, and nothing else left behind."""
    from kddn.video.dehaze import dehaze_video

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "video").with_suffix(seed.split()[0])
        source.write_bytes(content)
        output = source.with_name(f"clear{'.' + ending if ending else source.suffix}")
        try:
            dehaze_video(dehazer(), source, output)
        except KddnError:
            assert list(source.parent.iterdir()) == [source], "something was left behind"
            raise
        assert sorted(source.parent.iterdir()) == sorted([source, output])


def model(content: bytes, *, seed: str) -> None:
    """Open a model whose card or network is damaged."""
    real = find_model("kddn-photo").path
    assert real is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        card = seed.startswith("card")
        path.write_bytes(real.read_bytes() if card else content)
        said = json.loads(real.with_suffix(".json").read_text())
        if "without checksum" in seed:
            said["sha256"] = None
        whole = json.dumps(said).encode()
        path.with_suffix(".json").write_bytes(content if card else whole)
        Dehazer(path, "cpu", working_size=64)(np.zeros((64, 64, 3), np.uint8))


@cache
def _server() -> tuple[asyncio.Runner, Any]:
    from kddn.server.app import create_app
    from kddn.server.settings import Settings

    settings = Settings(models=(MODEL,), max_pixels=PIXELS, max_bytes=1 << 20, device="cpu")
    return asyncio.Runner(), create_app(settings)


def request(
    content: bytes,
    *,
    method: str,
    path: str,
    query: dict[str, str],
    headers: list[tuple[bytes, bytes]],
) -> None:
    """Ask the server, which answers, or says in one line what is wrong and what to do."""
    runner, app = _server()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query, errors="replace").encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    status, answer = runner.run(_ask(app, scope, content))
    assert status not in (500, 0), answer
    if status >= 400 and method != "HEAD":
        if path.startswith("/page"):  # whose files are Starlette's
            raise KddnError(answer.decode())
        told = json.loads(answer)
        assert told["remedy"], told
        raise KddnError(f"{told['detail']}; {told['remedy']}")


async def _ask(app: Any, scope: dict[str, Any], content: bytes) -> tuple[int, bytes]:
    pieces = [content[: len(content) // 2], content[len(content) // 2 :]]
    status, body = 0, b""
    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await app(scope, receive, send)
    return status, body


def _foreign() -> Any:
    from kddn.research.nets import foreign

    return foreign


def checkpoint(content: bytes, *, seed: str) -> None:
    """Read the tensors of a file of weights."""
    foreign = _foreign()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors" if seed == "safetensors" else "a.pth")
        path.write_bytes(content)
        for tensor in foreign._read(path).values():
            tensor.float().sum()


def itself(content: bytes) -> None:
    """Do what the worker must notice."""
    if content == b"die":
        os.abort()
    if content == b"sleep":
        time.sleep(60)
    if content == b"raise":
        raise RuntimeError
    if content == b"grow":
        bytearray(8 << 30)


TARGETS: dict[str, Callable[..., None]] = {
    "pictures": picture,
    "requests": request,
    "videos": video,
    "models": model,
    "checkpoints": checkpoint,
    "itself": itself,
}
"""By name."""

NEED_SEED = ("videos", "models", "checkpoints")
"""Targets that are told what the input was."""

WARM: dict[str, Callable[[], Any]] = {"requests": _server, "checkpoints": _foreign}
"""What targets need once, which is no case's."""
