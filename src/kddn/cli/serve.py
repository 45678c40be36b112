"""`kddn serve`."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from kddn.cli._libraries import hush_libraries, optional
from kddn.cli._options import AT_LEAST_ONE, POSITIVE, Several
from kddn.errors import KddnError
from kddn.server.settings import Settings


def serve(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    model: Several = None,
    device: str = "auto",
    jobs: Annotated[int, POSITIVE] = Settings.jobs,
    queue: Annotated[int, Parameter(validator=Number(gte=0))] = Settings.queue,
    seconds: Annotated[float, AT_LEAST_ONE] = Settings.seconds,
    receive_seconds: Annotated[float, AT_LEAST_ONE] = Settings.receive_seconds,
    max_bytes: Annotated[int, POSITIVE] = Settings.max_bytes,
    max_bytes_held: Annotated[int, POSITIVE] = Settings.max_bytes_held,
    max_pixels: Annotated[int, POSITIVE] = Settings.max_pixels,
    max_pixels_full: Annotated[int, POSITIVE] = Settings.max_pixels_full,
    api_key: Annotated[str | None, Parameter(env_var="KDDN_API_KEY")] = None,
    hosts: Several = None,
    origins: Several = None,
) -> None:
    """Serve a page that removes haze, and an interface for programs.

    Open http://127.0.0.1:8000 in a browser. Needs pip install 'kddn[serve]'.

    Args:
        host: Address to listen at; 0.0.0.0 is every one of this machine.
        port: Port to listen at; 0 is any free one.
        model: A model to offer, or an .onnx file; may be given several times, the default one
            first. Without, all trained ones inside the package.
        device: auto, cpu, cuda, directml or coreml.
        jobs: Pictures worked on at a time.
        queue: Pictures that may wait; further ones are refused for the moment.
        seconds: How long a picture may wait and be worked on together.
        receive_seconds: How long a request's head, and then its body, may take to come in, and how
            long a client may take nothing of its result.
        max_bytes: What one request may send.
        max_bytes_held: What all requests that are being done may have sent together, with the
            results that are being sent.
        max_pixels: How many pixels a picture may have.
        max_pixels_full: How many it may have at full resolution, by models whose output is a
            picture (kddn-paper).
        api_key: What requests must bring as `Authorization: Bearer KEY`.
        hosts: A name the server goes by, beside localhost; may be given several times.
        origins: Another site, such as https://example.org, whose pages may ask; may be given
            several times.
    """
    run = optional("kddn.server.run", "serve").run
    try:
        settings = Settings(
            models=tuple(model or ()),
            device=device,
            jobs=jobs,
            queue=queue,
            seconds=seconds,
            receive_seconds=receive_seconds,
            max_bytes=max_bytes,
            max_bytes_held=max_bytes_held,
            max_pixels=max_pixels,
            max_pixels_full=max_pixels_full,
            api_key=api_key or None,  # an empty variable stands for none
            hosts=(*Settings.hosts, *(hosts or ())),
            origins=tuple(origins or ()),
        )
    except ValueError as error:
        raise KddnError(str(error)) from error
    hush_libraries()
    run(settings, host, port, tell=lambda address: print(f"kddn is at {address}", flush=True))
