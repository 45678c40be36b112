"""Pictures a second of `kddn dehaze` on a folder, beside decoding and encoding alone.

    python benchmarks/folder.py path/to/photographs ... > results/scaling/folder.txt

Of the photographs in the folders, 200 JPEGs are made: 120 of 0.8 megapixels, 50 of 3 and 30 of 12.
Each way to do them has its turn in every round.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from kddn import Dehazer
from kddn.batch.plan import Job
from kddn.batch.run import run
from kddn.io.files import open_picture
from kddn.machine import cores

SIZES = {0.8: 120, 3.0: 50, 12.0: 30}
"""Megapixels, and how many pictures have them."""


def make(folders: list[Path], target: Path) -> list[Path]:
    """Write the photographs, of all sizes in turn."""
    found = sorted(path for folder in folders for path in folder.rglob("*.[jp][pn]g"))
    sizes = [size for size, count in SIZES.items() for _ in range(count)]
    step = max(1, len(found) // len(sizes))
    paths = []
    for number, (size, path) in enumerate(zip(sizes, itertools.cycle(found[::step]), strict=False)):
        with Image.open(path) as image:
            scale = (size * 1e6 / (image.width * image.height)) ** 0.5
            shape = round(image.width * scale), round(image.height * scale)
            paths.append(target / f"{number * 77 % 200:03}.jpg")
            image.convert("RGB").resize(shape).save(paths[-1], quality=92)
    return sorted(paths)


def on_every_core(do: Callable[[Path], object]) -> Callable[[list[Path]], None]:
    """Do something with many files at a time, and keep nothing of it."""

    def go(paths: list[Path]) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(lambda path: do(path) and None, paths):
                pass

    return go


def recode(path: Path) -> bytes:
    """Read a picture and write it again as it is."""
    opened = open_picture(path)
    return opened.encode(opened.photograph.rebuild(opened.photograph.pixels), opened.format)


def dehaze(dehazer: Dehazer, jobs: int) -> Callable[[list[Path]], None]:
    """Remove the haze, so many pictures at a time."""

    def go(paths: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as output:
            work = [Job(path, Path(output) / path.name) for path in paths]
            assert {row.status for _, row in run(dehazer, work, threads=jobs)} == {"done"}

    return go


def main() -> None:
    """Measure each way in turn, and print the best of its rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    ways = {
        "reading alone": on_every_core(open_picture),
        "reading and writing alone": on_every_core(recode),
        "one picture at a time, on all cores": dehaze(Dehazer(), 1),
        "a picture a core (the default)": dehaze(Dehazer(threads=1), cores()),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        if not (paths := make(arguments.folders, Path(folder))):
            parser.error("there are no .jpg or .png files in these folders")
        for name, way in list(ways.items()) * arguments.rounds:
            began, worked = time.perf_counter(), time.process_time()
            way(paths)
            found[name].append((time.perf_counter() - began, time.process_time() - worked))
    print(
        f"# python benchmarks/folder.py: {len(paths)} JPEGs, {cores()} cores, "
        f"best of {arguments.rounds} rounds"
    )
    print(f"{'':36} pictures/s  processor seconds a picture")
    for name, times in found.items():
        wall, worked = min(times)
        print(f"{name:36} {len(paths) / wall:10.2f} {worked / len(paths):11.3f}")


if __name__ == "__main__":
    main()
