"""Work off the event loop: so much at a time, so much waiting, none for longer than allowed."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from kddn.server.problems import ProblemError

T = TypeVar("T")

_NEW = 0.2
"""How much the latest job counts for how long they usually take."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


class Jobs:
    """A few threads, and a queue before them that ends.

    Args:
        at_once: Jobs worked on at a time.
        queue: Jobs that may wait.
        seconds: How long a job may wait and be worked on together.
    """

    def __init__(self, at_once: int, queue: int, seconds: float) -> None:
        self._at_once, self._places, self._seconds = at_once, at_once + queue, seconds
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="kddn-job")
        self._lock = threading.Lock()
        self._taken = 0
        self._usual = 1.0
        self.running = 0
        """Jobs being worked on."""

    @property
    def waiting(self) -> int:
        """Jobs that no thread has begun."""
        return max(0, self._taken - self.running)

    async def do(self, work: Callable[[], T], gone: Awaitable[None]) -> T:
        """Do one job.

        One that waits gives its place back as soon as nobody wants it; one that has begun cannot be
        stopped, and keeps its place to its end.

        Args:
            work: The job.
            gone: Ends once nobody waits for the answer any more.

        Raises:
            ProblemError: If the queue is full, or the time is over.
            GoneError: If nobody waits for the answer any more.
        """
        leaving = asyncio.ensure_future(gone)
        try:
            waiter = asyncio.wrap_future(self._submit(work))
            ways: set[asyncio.Future[Any]] = {waiter, leaving}
            await asyncio.wait(ways, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if waiter.done():
                return waiter.result()
            waiter.cancel()
        finally:
            leaving.cancel()
        if leaving.done() and not leaving.cancelled():
            raise GoneError
        raise self._refused("slow", f"it was not done within {self._seconds:g} seconds")

    def close(self) -> None:
        """Let what has begun come to its end, and nothing else begin."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._taken >= self._places:
                raise self._refused("busy", "as many pictures wait as may")
            self._taken += 1
        future = self._pool.submit(self._timed, work)
        future.add_done_callback(self._leave)
        return future

    def _timed(self, work: Callable[[], T]) -> T:
        with self._lock:
            self.running += 1
        began = time.perf_counter()
        try:
            return work()
        finally:
            with self._lock:
                self.running -= 1
                self._usual += _NEW * (time.perf_counter() - began - self._usual)

    def _leave(self, future: Future[T]) -> None:
        """Give a job's place to another, whether it was done or cancelled."""
        with self._lock:
            self._taken -= 1

    def _refused(self, kind: str, cause: str) -> ProblemError:
        seconds = math.ceil(self._usual * (1 + self.waiting / self._at_once))
        step = f"try again in {seconds} s, or send a smaller picture"
        return ProblemError(503, kind, cause, step, {"Retry-After": str(seconds)})
