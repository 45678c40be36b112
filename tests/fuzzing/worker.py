"""A process that is given damaged input, with limits of time and memory, and may die of it."""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SECONDS = 10.0
"""After which a case counts as hanging."""

MEMORY = 2 << 30
"""Bytes of data that the process may have more than at its start: asking for more fails."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    kind: str
    """`done`, `refused` (in one line, as it should be), `fault` (in any other way), `crash` or
    `hang`."""
    text: str = ""
    """What was said."""
    seconds: float = 0.0
    memory: int = 0
    """Bytes by which the process grew at most meanwhile."""

    @property
    def bad(self) -> bool:
        """Whether it should not have become that."""
        return self.kind not in ("done", "refused")


class Worker:
    """Runs cases of one target; a new process takes over from one that died.

    Args:
        target: A key of `targets.TARGETS`.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self._process: Any = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, content: bytes, options: dict[str, Any]) -> Outcome:
        """Give it one input."""
        if self._process is None:
            self._start()
        self._connection.send((content, options))
        try:
            if self._connection.poll(SECONDS):
                outcome: Outcome = self._connection.recv()
                return outcome
        except EOFError:
            self._process.join()
            text, kind = f"the process ended with {self._process.exitcode}", "crash"
        else:
            text, kind = f"nothing within {SECONDS:g} s", "hang"
        self._stop()
        return Outcome(kind, text, SECONDS if kind == "hang" else 0.0)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.target), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # ready

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def serve(connection: Connection, target: str) -> None:
    """Do cases until the other side is gone."""
    from fuzzing.targets import NEED_SEED, TARGETS, WARM, dehazer

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders of C talk a lot
    dehazer()
    WARM.get(target, dehazer)()
    limit = _status("VmData") + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    connection.send("ready")
    run = TARGETS[target]
    with suppress(EOFError):
        while True:
            content, options = connection.recv()
            if target not in NEED_SEED:
                options.pop("seed", None)
            connection.send(_judged(run, content, options))


def _judged(run: Callable[..., None], content: bytes, options: dict[str, Any]) -> Outcome:
    from fuzzing.targets import LONGEST
    from kddn.errors import KddnError

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, began = _status("VmRSS"), time.perf_counter()
    kind, text = "done", ""
    try:
        run(content, **options)
    except KddnError as error:
        text = str(error)
        one_line = text.isprintable() and 0 < len(text) <= LONGEST
        kind = "refused" if one_line else "fault"
    except BaseException as error:
        kind, text = "fault", f"{type(error).__name__}: {error} ({_place(sys.exc_info()[2])})"
    seconds = time.perf_counter() - began
    return Outcome(kind, text, seconds, max(0, _status("VmHWM") - before))


def _place(trace: Any) -> str:
    """Where an error came from."""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def _status(name: str) -> int:
    """Bytes, as the system counts them for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return int(line.split()[1]) << 10
