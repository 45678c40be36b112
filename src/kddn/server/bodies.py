"""Pictures that come in as requests, read within limits of bytes and time."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kddn.server.problems import ProblemError
from kddn.server.schemas import How
from kddn.server.settings import Settings

_FORM = "multipart/form-data"
_RAW = ("image/", "application/octet-stream")
_NAME = 200
"""Characters of a file's name that are kept."""

_PIECE = 1 << 20
"""Bytes of a result that are sent at a time; each must be taken within `receive_seconds`."""

_OPTIONS = set(How.model_fields)
"""What belongs in the address, and would be passed over in a form."""

Stream = AsyncGenerator[bytes, None]


@dataclass(frozen=True)
class Sent:
    """A picture file as it was sent."""

    content: bytes
    name: str
    """Of the file alone, without folders; `picture` where none was said."""


class _InMemory(MultiPartParser):
    """Forms whose files never go to a disk: nothing is left behind, nor a disk needed."""

    spool_max_size = sys.maxsize


class Bodies:
    """Reads bodies, and counts what all of them hold together.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0
        """Bytes of the requests that are being read, wait or are worked on, and of the results that
        are being sent."""

    @asynccontextmanager
    async def picture(self, request: Request) -> AsyncIterator[Sent]:
        """The picture of a request, its bytes counted until it is done with.

        Raises:
            ProblemError: If it is too large, too slow, of a wrong type, or missing.
        """
        read = _from_form if _check_type(request) == _FORM else _from_body
        said = request.headers.get("content-length", "")
        self._check(int(said) if said.isdecimal() else 0)
        counted = 0

        async def stream() -> Stream:
            nonlocal counted
            async for chunk in request.stream():
                counted += len(chunk)
                self.held += len(chunk)
                self._check(counted)
                yield chunk

        try:
            sent = await self._in_time(read(request, stream()))
            if not sent.content:
                raise ProblemError(
                    400, "empty", "no picture came in", "send a picture file's bytes"
                )
            self.held += len(sent.content) - counted  # what a form had beside it is gone
            counted = len(sent.content)
            yield sent
        finally:
            self.held -= counted

    async def sent(self, content: bytes) -> AsyncIterator[bytes]:
        """A result in pieces, its bytes counted until the client has taken them."""
        self.held += len(content)
        try:
            for place in range(0, len(content), _PIECE):
                yield content[place : place + _PIECE]
        finally:
            self.held -= len(content)

    async def _in_time(self, reading: Awaitable[Sent]) -> Sent:
        seconds = self._settings.receive_seconds
        try:
            async with asyncio.timeout(seconds):
                return await reading
        except TimeoutError:
            cause = f"the request did not come in within {seconds:g} seconds"
            raise ProblemError(408, "late", cause, "send it faster, or a smaller picture") from None

    def _check(self, size: int) -> None:
        """See that a body, and all of them together, may be this large."""
        allowed = self._settings.max_bytes
        if size > allowed:
            cause = f"the request is larger than the {allowed:,} bytes that are allowed"
            raise ProblemError(413, "too-many-bytes", cause, "send a smaller file")
        if self.held > self._settings.max_bytes_held:
            cause = "too many pictures come in at once"
            raise ProblemError(503, "busy", cause, "try again in 5 s", {"Retry-After": "5"})


def _check_type(request: Request) -> str:
    """What a body is said to be, without its parameters."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != _FORM and not kind.startswith(_RAW):
        step = f"send a picture as {_FORM} (field `picture`), image/* or {_RAW[1]}"
        raise ProblemError(415, "type", f"a body of {kind!r} is not taken here", step)
    return kind


async def _from_body(request: Request, stream: Stream) -> Sent:
    _, said = parse_options_header(request.headers.get("content-disposition", ""))
    body = b"".join([chunk async for chunk in stream])
    return Sent(body, _bare(_letters(said.get(b"filename", b""))))


def _letters(name: bytes) -> str:
    """A name as it was meant: most write UTF-8."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


async def _from_form(request: Request, stream: Stream) -> Sent:
    step = "send the picture file as the field `picture`, once"
    _, parameters = parse_options_header(request.headers["content-type"])
    # The boundary alone: a client could name a charset that takes minutes to read names by.
    kind = f"{_FORM}; boundary=" + parameters.get(b"boundary", b"").decode("latin-1")
    try:
        parser = _InMemory(Headers({"content-type": kind}), stream, max_files=1, max_fields=8)
        form = await parser.parse()
    except (MultiPartException, LookupError, ValueError) as error:
        raise ProblemError(400, "form", f"the form cannot be read ({error})", step) from error
    try:
        if options := sorted(_OPTIONS & form.keys()):
            cause = f"{', '.join(options)} cannot be said in a form"
            raise ProblemError(422, "form", cause, f"say it in the address: ?{options[0]}=...")
        picture = form.get("picture")
        if not isinstance(picture, UploadFile):
            raise ProblemError(400, "form", "the form has no file `picture`", step)
        return Sent(await picture.read(), _bare(picture.filename or ""))
    finally:
        await form.close()


def _bare(name: str) -> str:
    """A file's name as a result may be called after it: no folders, no control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:_NAME] or "picture"
