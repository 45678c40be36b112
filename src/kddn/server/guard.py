"""What every request passes first: names of the server, origins and the key; and its count."""

import hmac
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kddn.server.problems import ProblemError
from kddn.server.settings import Settings

_PROBES = ("/healthz", "/readyz")
"""What those ask who know the server by its address alone."""

_LOCKED = ("/v1/", "/metrics")
"""How the paths begin that need the key."""


class Meters:
    """What is counted, apart for each server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kddn_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "kddn_request_seconds",
            "From a request's head to the end of its answer",
            ["route"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)


class Guard:
    """Refuses what must not come in, and counts what does.

    Args:
        app: What is guarded.
        settings: Names, origins and key.
        meters: Where it is counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, meters: Meters) -> None:
        self.app, self.settings, self.meters = app, settings, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 499  # of a client that is gone before its answer

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            problem = self._refusal(scope)
            app = problem.response() if problem else self.app
            await app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            route = _route(scope)
            self.meters.requests.labels(route, status).inc()
            self.meters.seconds.labels(route).observe(time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        """Why a request must not come in."""
        # As routes are found: without what a proxy, or an app that this one is part of, puts first.
        headers, path = Headers(scope=scope), get_route_path(scope)
        if path in _PROBES:
            return None
        if not self._is_ours(headers.get("host", "")):
            step = "ask by another name, or have this one added to the server's `hosts`"
            return ProblemError(400, "host", "the server does not go by this name", step)
        if not self._may_ask(headers):
            step = "have the site added to the server's `origins`"
            return ProblemError(403, "origin", "pages of other sites may not ask here", step)
        preflight = scope["method"] == "OPTIONS"
        if path.startswith(_LOCKED) and not preflight and not self._has_key(headers):
            step = "send the header `Authorization: Bearer KEY`"
            wanted = {"WWW-Authenticate": "Bearer"}
            return ProblemError(401, "key", "the key is missing or another", step, wanted)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host)
        known = {host.lower() for host in self.settings.hosts}
        return "*" in known or name.lower() in known

    def _may_ask(self, headers: Headers) -> bool:
        """Whether what sent a request is no browser, a page of this server, or one of `origins`."""
        origin = headers.get("origin")
        if origin is None or origin in self.settings.origins:
            return True
        try:
            return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        except ValueError:  # no address at all
            return False

    def _has_key(self, headers: Headers) -> bool:
        key = self.settings.api_key
        said = headers.get("authorization", "").encode("latin-1")
        return key is None or hmac.compare_digest(said, f"Bearer {key}".encode())


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if port.isdecimal() and name else host


def _route(scope: Scope) -> str:
    """What a request is counted under: never what a client made up."""
    return getattr(scope.get("route"), "path", "other")
