"""The server: routes, and what they answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from kddn import __version__
from kddn.dehazer import Dehazer, Encoded
from kddn.errors import KddnError
from kddn.inference.transmission import haze_fraction
from kddn.io.files import open_picture
from kddn.io.memory import give_back
from kddn.server import problems
from kddn.server.answers import picture_headers
from kddn.server.bodies import Bodies
from kddn.server.guard import Guard, Meters
from kddn.server.jobs import GoneError, Jobs
from kddn.server.models import Models
from kddn.server.problems import ProblemError
from kddn.server.schemas import (
    BODY,
    HEADERS,
    PICTURE,
    REFUSED,
    SMALL,
    Coefficients,
    How,
    MapAnswer,
    ModelAnswer,
    ModelsAnswer,
    WhichModel,
)
from kddn.server.settings import Settings

PAGE = Path(str(files("kddn"))) / "server" / "page"
"""The page's files."""

T = TypeVar("T")

_SEE = "see /openapi.json for what can be asked"


class Service:
    """What the routes of one server share.

    Args:
        settings: Its limits.

    Raises:
        ModelError: If there is no model of a name that is to be offered.
    """

    def __init__(self, settings: Settings) -> None:
        self.models = Models(settings)
        self.bodies = Bodies(settings)
        self.jobs = Jobs(settings.jobs, settings.queue, settings.seconds)
        self.max_pixels = settings.max_pixels
        self.max_pixels_full = min(settings.max_pixels_full, settings.max_pixels)
        self.meters = Meters()
        registry = self.meters.registry
        gauges: dict[str, Callable[[], float]] = {
            "kddn_jobs_running": lambda: self.jobs.running,
            "kddn_jobs_waiting": lambda: self.jobs.waiting,
            "kddn_bytes_held": lambda: self.bodies.held,
        }
        for name, value in gauges.items():
            Gauge(name, name.replace("_", " "), registry=registry).set_function(value)


_TOLD = (
    ProblemError,
    KddnError,
    HTTPException,
    RequestValidationError,
    GoneError,
    ClientDisconnect,
)
"""What is told as a problem of the request."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The server, for uvicorn or any other that runs ASGI.

    Args:
        settings: Its limits; the defaults are for this machine alone.

    Raises:
        ModelError: If there is no model of a name that is to be offered.
    """
    chosen = settings or Settings()
    service = Service(chosen)
    app = FastAPI(
        title="kddn",
        summary="Haze removal for photographs.",
        version=__version__,
        docs_url=None,  # they fetch their scripts from other hosts
        redoc_url=None,
        lifespan=_while_open,
    )
    app.state.service = service
    app.include_router(router)
    app.mount("/page", _Page(directory=PAGE, html=True))
    app.add_middleware(Guard, settings=chosen, meters=service.meters)
    if chosen.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=chosen.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Disposition"],
            expose_headers=["Content-Disposition", *HEADERS],
        )
    for kind in _TOLD:
        app.add_exception_handler(kind, _tell)
    app.add_exception_handler(Exception, _tell_of_a_fault)
    return app


class _Page(StaticFiles):
    """The page's files, asked for anew each time: after an upgrade all are of one version."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


@asynccontextmanager
async def _while_open(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    await asyncio.to_thread(service.models.dehazer, service.models.default)
    yield
    await asyncio.to_thread(service.jobs.close)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]

router = APIRouter()


@router.post(
    "/v1/dehaze",
    summary="Remove haze from a picture file",
    response_class=Response,
    responses=PICTURE | problems.responses(404, *REFUSED),
    openapi_extra=BODY,
)
async def dehaze(request: Request, how: Annotated[How, Query()], service: ServiceDep) -> Response:
    """The picture comes back in its format, with its metadata; `format` asks for another."""
    name = service.models.check(how.model)

    def work(dehazer: Dehazer, content: bytes) -> Encoded:
        slow = how.full_resolution and dehazer.model.output == "image"
        return dehazer.in_memory(
            content,
            format=how.format,
            strength=how.strength,
            full_resolution=how.full_resolution,
            max_pixels=service.max_pixels_full if slow else None,
        )

    async with service.bodies.picture(request) as sent:
        done, seconds = await _do(service, request, name, work, sent.content)
    headers = picture_headers(done, sent.name, how.format)
    headers |= {"X-Kddn-Model": quote(name), "X-Kddn-Seconds": f"{seconds:.3f}"}
    return StreamingResponse(service.bodies.sent(done.content), headers=headers)


@router.post(
    "/v1/map",
    summary="Say how a picture is made clear",
    responses=problems.responses(404, *REFUSED),
    openapi_extra=BODY,
)
async def affine_map(
    request: Request, which: Annotated[WhichModel, Query()], service: ServiceDep
) -> MapAnswer:
    """A small copy of a picture is enough: its longest side need be the model's `working_size`."""
    name = service.models.check(which.model)

    def work(dehazer: Dehazer, content: bytes) -> MapAnswer:
        photograph = open_picture(content, max_pixels=service.max_pixels).photograph
        hazy, found = dehazer.affine_map(photograph)
        height, width = found.scale.shape[:2]
        return MapAnswer(
            model=name,
            height=height,
            width=width,
            haze=haze_fraction(hazy, found(hazy, 1.0)),
            scale=Coefficients.of(found.scale),
            offset=Coefficients.of(found.offset),
        )

    async with service.bodies.picture(request) as sent:
        answer, _ = await _do(service, request, name, work, sent.content)
    return answer


async def _do(
    service: Service,
    request: Request,
    name: str,
    work: Callable[[Dehazer, bytes], T],
    content: bytes,
) -> tuple[T, float]:
    """Do a job with a model, off the event loop, and say how many seconds it took."""

    def timed() -> tuple[T, float]:
        began = time.perf_counter()
        try:
            done = work(service.models.dehazer(name), content)
        finally:
            give_back()
        return done, time.perf_counter() - began

    return await service.jobs.do(timed, _gone(request))


async def _gone(request: Request) -> None:
    """Ends once nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@router.get("/v1/models", summary="List the models", responses=problems.responses(*SMALL))
def models(service: ServiceDep) -> ModelsAnswer:
    """The default first."""
    return ModelsAnswer(
        models=[
            ModelAnswer(
                name=model.name,
                summary=model.summary,
                output=model.output,
                working_size=model.working_size,
                stride=model.stride,
                default=model.name == service.models.default,
            )
            for model in service.models.list()
        ]
    )


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """Leads to the page, by a path that is right behind a proxy's prefix too."""
    return RedirectResponse("page/")


@router.get("/healthz", summary="Whether the server runs", response_class=PlainTextResponse)
async def healthz() -> str:
    """Says `ok`."""
    return "ok"


@router.get(
    "/readyz",
    summary="Whether pictures can be sent",
    response_class=PlainTextResponse,
    responses=problems.responses(503),
)
async def readyz(service: ServiceDep) -> str:
    """Says `ok` once the default model is open."""
    if not service.models.ready:
        raise ProblemError(503, "starting", "the model is being opened", "try again in 1 s")
    return "ok"


@router.get(
    "/metrics",
    summary="What Prometheus collects",
    response_class=PlainTextResponse,
    responses=problems.responses(*SMALL),
)
def metrics(service: ServiceDep) -> Response:
    """Requests by route and status, seconds, jobs running and waiting, memory."""
    return Response(generate_latest(service.meters.registry), media_type=CONTENT_TYPE_LATEST)


async def _tell(request: Request, error: Exception) -> Response:
    """The answer to what went wrong."""
    if isinstance(error, GoneError | ClientDisconnect):
        return Response(status_code=499)  # that nobody reads
    if isinstance(error, KddnError):
        error = problems.from_error(error)
    if isinstance(error, RequestValidationError):
        error = _of_parameters(error)
    if isinstance(error, HTTPException):
        error = ProblemError(
            error.status_code,
            "http",
            f"{request.method} {request.url.path}: {error.detail}",
            _SEE,
            dict(error.headers or {}),
        )
    assert isinstance(error, ProblemError)
    return error.response()


def _of_parameters(error: RequestValidationError) -> ProblemError:
    wrong = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
    return ProblemError(422, "parameters", "; ".join(wrong), _SEE)


async def _tell_of_a_fault(request: Request, error: Exception) -> Response:
    """The answer to what nobody expected, which is logged by the server that runs this."""
    if isinstance(error, MemoryError):
        cause, step = "there is not enough memory for it", "send a smaller picture"
        return ProblemError(503, "memory", cause, step, {"Retry-After": "5"}).response()
    cause = f"the server failed ({type(error).__name__})"
    return ProblemError(500, "fault", cause, "tell who runs the server").response()
