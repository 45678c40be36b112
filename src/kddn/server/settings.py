"""What a server allows."""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of a server, with defaults that a small machine can bear."""

    models: tuple[str | Path, ...] = ()
    """Names of models, or `.onnx` files, the first of them the default. None stands for the trained
    ones inside the package."""
    device: str = "auto"
    """See `Dehazer`."""
    max_bytes: int = 64 << 20
    """What one request may send."""
    max_bytes_held: int = 512 << 20
    """What all requests that are being read, wait or are worked on may have sent together, with the
    results that are being sent."""
    max_pixels: int = 100_000_000
    """How many pixels a picture may have, as its header says."""
    max_pixels_full: int = 8_000_000
    """How many it may have at full resolution where the model's output is a picture: such a network
    takes seconds and a hundred megabytes for a few million pixels."""
    jobs: int = 2
    """Pictures worked on at a time."""
    queue: int = 16
    """Pictures that may wait; further ones are refused for the moment."""
    seconds: float = 60.0
    """How long a picture may wait and be worked on together."""
    receive_seconds: float = 60.0
    """How long a request's head, and then its body, may take to come in, and how long a client may
    take nothing of its result."""
    api_key: str | None = None
    """What requests must bring as `Authorization: Bearer KEY`; none asks for nothing."""
    origins: tuple[str, ...] = ()
    """Other sites, such as `https://example.org`, whose pages may ask (CORS)."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names that the server may be asked by, without ports: a page of another site, whose name was
    made to lead here, is refused. `*` allows any."""

    def __post_init__(self) -> None:
        least = {"queue": 0}
        for field in fields(self):
            value = getattr(self, field.name)
            bound = least.get(field.name, 1)
            if field.type in (int, float) and value < bound:
                raise ValueError(f"`{field.name}` must be {bound} or more, not {value}")
            if field.type is float and not math.isfinite(value):
                raise ValueError(f"`{field.name}` must be a number of seconds, not {value}")
        if self.api_key is not None and not re.fullmatch("[!-~]+", self.api_key):
            raise ValueError(
                "`api_key` must be of ASCII's letters, digits and signs, without blanks"
            )
        for origin in self.origins:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ValueError(
                    f"`origins` are like https://example.org, without more, not {origin!r}"
                )
        for host in self.hosts:
            if not re.fullmatch(r"\*|\[[^\]\s]+\]|[^/\s:*]+", host):
                raise ValueError(f"`hosts` are names without scheme and port, or *, not {host!r}")
