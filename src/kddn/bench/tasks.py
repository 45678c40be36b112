"""What is measured, and what comes of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["floor", "prior", "model", "compared"]
"""Decoding and encoding alone, what every system must do; a method without learning; a model that
`kddn.Dehazer` takes; a network of another paper, which works on all of a picture's pixels."""


@dataclass(frozen=True)
class System:
    """Something that makes hazy pictures clear, and what runs it."""

    kind: Kind
    name: str
    engine: str
    """`onnxruntime`, `openvino` or `torch` for networks, `numpy` for what is none."""
    weights: Path | None = None
    """Of a compared system; without, random ones take as long."""


FLOOR = System("floor", "JPEG alone", "pillow")
"""Decoding and encoding: no system can be faster."""


@dataclass(frozen=True)
class Limits:
    """How long and how much a measurement may take."""

    repeats: int = 3
    """Pictures after the first, at most."""
    seconds: float = 20.0
    """After which no further picture is begun."""
    memory: int | None = None
    """Bytes that a process may ask for."""


@dataclass(frozen=True)
class Measured:
    """What a system takes for pictures of one size."""

    start: float
    """Seconds from the start of the process until the system is ready for a picture."""
    first: float
    """Seconds that the first picture takes, from a JPEG file's bytes to those of another."""
    steady: float | None
    """The same for those that come after, the median; none if there was no time for any."""
    peak: float
    """Megabytes of memory that the process had at most, Python and libraries among them."""

    @property
    def seconds(self) -> float:
        """Of a picture among many, or of the first if there was no time for more."""
        return self.first if self.steady is None else self.steady


@dataclass(frozen=True)
class Network:
    """What a network alone takes, on an input of one size."""

    width: int
    height: int
    seconds: float
    """The median."""
    ceiling: float
    """GFLOP/s of the machine's matrix product in float32, measured by the same process."""
    gflop: float | None
    """Additions and multiplications, in thousand millions; a multiply-add is two. None where
    PyTorch, which counts them, is not installed."""

    @property
    def share(self) -> float | None:
        """The fraction of the ceiling that the network reaches."""
        return None if self.gflop is None else self.gflop / self.seconds / self.ceiling
