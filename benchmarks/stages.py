"""Processor seconds of one core that each stage takes of a photograph of 12 megapixels.

python benchmarks/stages.py path/to/photographs > results/scaling/stages.csv
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from kddn import Dehazer
from kddn.io.files import open_picture

SIZE = (4000, 3000)


def seconds(do: Callable[[], object], rounds: int = 3) -> float:
    """Median time of this thread."""
    found = []
    for _ in range(rounds):
        began = time.thread_time()
        do()
        found.append(time.thread_time() - began)
    return statistics.median(found)


def main() -> None:
    """Measure each photograph, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not (paths := sorted(folder.glob("*.jpg"))):
        parser.error(f"{folder} holds no .jpg")
    dehazer = Dehazer(threads=1)
    rows = []
    for path in paths:
        buffer = io.BytesIO()
        with Image.open(path) as image:
            image.convert("RGB").resize(SIZE).save(buffer, "JPEG", quality=92)
        content = buffer.getvalue()
        opened = open_picture(content)
        photograph = opened.photograph
        read = seconds(partial(open_picture, content))
        rebuilt = photograph.rebuild(photograph.pixels)
        write = seconds(partial(opened.encode, rebuilt, "JPEG"))
        estimate = seconds(partial(dehazer.affine_map, photograph))
        whole = seconds(partial(dehazer.in_memory, content))
        made = len(dehazer.in_memory(content).content)
        rows.append((read, estimate, whole - read - estimate - write, write, len(content), made))
    print("stage,value,unit")
    units = ["s"] * 4 + ["bytes"] * 2
    names = ["read", "estimate", "apply", "write", "input", "output"]
    for name, unit, values in zip(names, units, zip(*rows, strict=True), strict=True):
        print(f"{name},{statistics.mean(values):.4g},{unit}")


if __name__ == "__main__":
    main()
