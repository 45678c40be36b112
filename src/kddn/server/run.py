"""The server run by uvicorn."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kddn.errors import KddnError
from kddn.server.app import Service, create_app
from kddn.server.settings import Settings

_CONNECTIONS = 1000
"""Open at a time; more are refused."""

_EVERYWHERE = ("0.0.0.0", "::")
"""Stand for every address of the machine."""

_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def run(settings: Settings, host: str, port: int, *, tell: Callable[[str], object]) -> None:
    """Serve until interrupted; what has begun is then done first.

    Args:
        settings: The limits.
        host: Address to listen at, by which the server may then be asked too.
        port: Port to listen at; 0 is any free one.
        tell: Given the address, once it listens.

    Raises:
        KddnError: If it cannot listen there.
        ModelError: If a model cannot be used.
    """
    if not host:  # which would be every address of the machine
        raise KddnError("`host` is empty; name an address, or 0.0.0.0 for all of this machine's")
    named = () if host in _EVERYWHERE else (f"[{host}]" if ":" in host else host,)
    app = create_app(replace(settings, hosts=(*settings.hosts, *named)))
    service: Service = app.state.service
    service.models.dehazer(service.models.default)  # what cannot be opened is told before it serves
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=_protocol(settings.receive_seconds),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.seconds) + 1,
    )
    (name,) = named or ("[::1]" if ":" in host else "127.0.0.1",)
    tell(f"http://{name}:{listening.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=kind, backlog=128)
    except OSError as error:
        raise KddnError(
            f"the server cannot listen at {host}, port {port} ({error.strerror}); "
            "name another `host` or `port`"
        ) from error


def _protocol(seconds: float) -> type[asyncio.Protocol]:
    """HTTP with clients who wait for nothing, which uvicorn does not limit; bodies have own limits.

    Args:
        seconds: How long a request's head may take, and how long a client may take nothing of what
            it is sent.
    """

    class Impatient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transport.set_write_buffer_limits(0)  # so that whatever is left counts as not taken
            self._timers: dict[str, asyncio.TimerHandle] = {}
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait_for_head()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._begin("send", self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._end("send")

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for name in list(self._timers):
                self._end(name)

        def _wait_for_head(self) -> None:
            """Begin to count where a head is to come, and stop once it is here."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._end("head")
            elif "head" not in self._timers:
                self._begin("head", self._refuse)

        def _begin(self, name: str, then: Callable[[], object]) -> None:
            self._timers[name] = self.loop.call_later(seconds, then)

        def _end(self, name: str) -> None:
            if name in self._timers:
                self._timers.pop(name).cancel()

        def _refuse(self) -> None:
            if not self.transport.is_closing():
                self.transport.write(_LATE)
                self.transport.close()

    return Impatient
