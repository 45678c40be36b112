"""What went wrong, as programs and people read it: problem details (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from kddn.errors import KddnError, ModelError, SizeError

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """Why a request is not done.

    Args:
        status: HTTP's.
        kind: A word for programs to tell it by.
        detail: The cause.
        remedy: What to do about it.
        headers: To send with it.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        remedy: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.remedy = status, kind, detail, remedy
        self.headers = headers

    def body(self) -> dict[str, Any]:
        """RFC 9457's members, and the remedy."""
        return {
            "type": f"urn:kddn:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
        }

    def response(self) -> JSONResponse:
        """The answer that tells of it."""
        return JSONResponse(self.body(), self.status, self.headers, MEDIA_TYPE)


def from_error(error: KddnError) -> ProblemError:
    """What the library says of a picture, told to whom sent it.

    Its errors give the cause and then, behind a semicolon, the next step.
    """
    cause, _, step = str(error).partition("; ")
    if isinstance(error, SizeError):
        step = "send a smaller picture, or ask who runs the server to allow more pixels"
        return ProblemError(413, "too-many-pixels", cause, step)
    if isinstance(error, ModelError):
        return ProblemError(500, "model", cause, step or "tell who runs the server")
    return ProblemError(
        422, "picture", cause, step or "send a whole picture, such as a JPEG or a PNG"
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems that a route can have."""
    return {status: _response(status) for status in statuses}


def _response(status: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: {"type": "integer" if name == "status" else "string"}
        for name in ("type", "title", "status", "detail", "remedy")
    }
    schema = {"type": "object", "properties": members, "required": list(members)}
    example = ProblemError(status, "kind", "the cause", "what to do about it").body()
    found: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        seconds = {"description": "Seconds", "schema": {"type": "integer"}}
        found["headers"] = {"Retry-After": seconds}
    return found
