"""Measures one system and prints what it found as JSON; `run` starts it, in a process of its own.

Only so are the time to start and the peak of memory a system's own.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kddn.bench.engines import EngineDehazer
from kddn.bench.tasks import Limits, Measured, System
from kddn.dehazer import Dehazer
from kddn.filters import Floats
from kddn.io.files import open_picture
from kddn.io.image import from_pil
from kddn.io.limits import open_image

_PRODUCT = 2048
"""Rows and columns of the matrices whose product is the ceiling."""

_PRODUCTS = 8
"""How many, of which the fastest counts."""


def measure_pictures(system: System, picture: Path, limits: Limits, began: float) -> Measured:
    """A picture after another, from the bytes of a JPEG to those of a clear one.

    Args:
        system: What to measure.
        picture: The file.
        limits: When to stop.
        began: When this process was started, by `time.time`.
    """
    dehaze = open_system(system)
    start = time.time() - began
    content = picture.read_bytes()
    end = time.perf_counter() + limits.seconds
    first = seconds(lambda: dehaze(content))
    later: list[float] = []
    while len(later) < limits.repeats and time.perf_counter() < end:
        later.append(seconds(lambda: dehaze(content)))
    return Measured(start, first, statistics.median(later) if later else None, peak_memory())


def open_system(system: System) -> Callable[[bytes], bytes]:
    """A system ready for a picture file's bytes."""
    if system.kind == "floor":
        return _through(lambda pixels: pixels)
    if system.kind == "prior":
        return Dehazer(system.name).encoded
    if system.kind == "model":
        return EngineDehazer(system.name, system.engine).encoded
    from kddn.bench.torch_systems import compared_network, on_pixels

    return _through(on_pixels(compared_network(system)))


def _through(work: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Decode, do something to the pixels, encode."""

    def whole(content: bytes) -> bytes:
        opened = open_picture(content)
        photograph = opened.photograph
        return opened.encode(photograph.rebuild(work(photograph.pixels)), opened.format)

    return whole


def measure_network(system: System, picture: Path, limits: Limits) -> dict[str, float]:
    """A network alone: a model's at its working size, a compared one on all pixels.

    Returns:
        What a `Network` has, but for its arithmetic.
    """
    run, (width, height) = (_model if system.kind == "model" else _compared)(system, picture)
    first = seconds(run)
    times = [seconds(run) for _ in range(min(limits.repeats, int(limits.seconds / first)))]
    return {
        "width": width,
        "height": height,
        "seconds": statistics.median(times or [first]),
        "ceiling": matrix_product(),
    }


_Alone = tuple[Callable[[], Any], tuple[int, int]]
"""What runs a network once, and width and height of its input."""


def _model(system: System, picture: Path) -> _Alone:
    dehazer = EngineDehazer(system.name, system.engine)
    hazy, _ = dehazer.affine_map(from_pil(open_image(picture)))
    outputs = ["scale", "offset"] if dehazer.model.output == "affine" else ["clear"]
    return lambda: dehazer.network.run(hazy, outputs), _size(hazy)


def _compared(system: System, picture: Path) -> _Alone:
    from kddn.bench.torch_systems import compared_network, on_pixels

    run = on_pixels(compared_network(system))
    pixels = from_pil(open_image(picture)).pixels
    return lambda: run(pixels), _size(pixels)


def _size(pixels: Floats) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def matrix_product() -> float:
    """GFLOP/s of numpy's float32 matrix product on all cores, the best of several."""
    a = np.random.default_rng(0).random((_PRODUCT, _PRODUCT), np.float32)
    best = min(seconds(lambda: a @ a) for _ in range(_PRODUCTS))
    return 2 * _PRODUCT**3 / best / 1e9


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_memory() -> float:
    """Megabytes that this process had in memory at most."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what its parent had, too
        said = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(said["VmHWM"].split()[0]) / 1024
    if sys.platform == "win32":
        return _peak_on_windows()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def _peak_on_windows() -> float:
    """The same, by PROCESS_MEMORY_COUNTERS: two halves, and eight as long as pointers."""
    import ctypes

    counters = (ctypes.c_size_t * 9)()
    windows: Any = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
    process = ctypes.c_void_p(-1)  # this one
    windows.kernel32.K32GetProcessMemoryInfo(process, counters, ctypes.sizeof(counters))
    return counters[1] / 2**20


def limit_memory(allowed: int | None) -> None:
    """See that this process is refused memory beyond a number of bytes, where the system can."""
    if allowed is not None and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def main() -> None:
    """Do what standard input asks for."""
    asked = json.load(sys.stdin)
    weights = asked["system"].pop("weights")
    system = System(**asked["system"], weights=weights and Path(weights))
    limits, picture = Limits(**asked["limits"]), Path(asked["picture"])
    limit_memory(limits.memory)
    if asked["alone"]:
        found = measure_network(system, picture, limits)
    else:
        found = asdict(measure_pictures(system, picture, limits, asked["began"]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
