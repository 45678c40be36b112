"""Pictures a second of `kddn batch` with two workers on this machine, beside one process.

python benchmarks/cluster.py path/to/photographs > results/scaling/cluster.txt
"""

import argparse
import tempfile
import time
from pathlib import Path

from PIL import Image

from kddn import Dehazer
from kddn.batch.manifest import Work
from kddn.batch.plan import Job
from kddn.batch.ray import Fleet, batch, start
from kddn.batch.run import run
from kddn.batch.store import Store
from kddn.inference.models import DEFAULT


def make(source: Path, target: Path, count: int) -> None:
    """Write photographs of 0.8 megapixels."""
    for number, path in enumerate(sorted(source.rglob("*.jpg"))[:count]):
        with Image.open(path) as image:
            scale = (0.8e6 / (image.width * image.height)) ** 0.5
            shape = round(image.width * scale), round(image.height * scale)
            image.resize(shape).save(target / f"{number}.jpg", quality=92)


def main() -> None:
    """Measure both, and print them with their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--count", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        make(arguments.source, folder / "in", arguments.count)
        jobs = [Job(path, folder / "one" / path.name) for path in (folder / "in").iterdir()]
        if not jobs:
            parser.error(f"{arguments.source} holds no .jpg")
        began = time.perf_counter()
        assert {row.status for _, row in run(Dehazer(threads=1), jobs)} == {"done"}
        alone = len(jobs) / (time.perf_counter() - began)
        start("local")
        began, ends = time.perf_counter(), []
        stores = Store.open(str(folder / "in")), Store.open(str(folder / "two"))
        for rows, _ in batch(*stores, Work(model=DEFAULT), Fleet(workers=2)):
            assert rows[0].status == "done", rows
            ends.append(time.perf_counter() - began)
    # Workers tell of a few pictures at a time.
    first = sum(end == ends[0] or end < ends[0] + 0.05 for end in ends)
    steady = (len(ends) - first) / (ends[-1] - ends[0])
    print(f"# python benchmarks/cluster.py: {len(jobs)} JPEGs of 0.8 megapixels, {DEFAULT}")
    print(f"one process, one core     {alone:6.2f} pictures/s")
    print(f"two workers, one core each{steady:6.2f} pictures/s, {steady / alone:.2f} times as many")
    print(f"until the first result    {ends[0]:6.2f} s")


if __name__ == "__main__":
    main()
