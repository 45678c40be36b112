"""One process that removes haze for minutes from several threads: memory and file descriptors.

    python benchmarks/soak.py --minutes 20 > results/security/soak.txt

Each thread takes at random a model and a picture: of five sizes, formats and depths, or cut short.
Every quarter of a minute all finish what they do, and what the process then has is written down: in
between it is what the pictures at hand need, by chance more or less. The command fails if memory in
the last fifth is above that of the second by more than 3%, or if descriptors are left open.
"""

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from kddn import Dehazer, KddnError
from kddn.io.encode import encode
from kddn.io.high_bit_depth import DeepPicture
from kddn.io.metadata import Metadata

PHOTOGRAPH = Path(__file__).parents[1] / "demo" / "aitzgorri.jpg"

MODELS = ("kddn-photo", "kddn-indoor", "kddn-paper", "dcp")

MOST = 0.03
"""By which memory may grow."""

ROUND = 15
"""Seconds from one measurement to the next."""


def pictures() -> dict[str, bytes]:
    """By file name."""
    with Image.open(PHOTOGRAPH) as image:
        photograph = image.convert("RGB")

    def shrunk(width: int) -> Image.Image:
        return photograph.resize((width, round(width * image.height / image.width)))

    deep = np.asarray(shrunk(320)).astype(np.uint16) * 257
    alpha = shrunk(400)
    alpha.putalpha(200)
    jpeg = encode(shrunk(550), "JPEG")
    return {
        "small.jpg": jpeg,
        "large.jpg": encode(shrunk(1200), "JPEG"),
        "alpha.png": encode(alpha, "PNG"),
        "lossy.webp": encode(shrunk(800), "WEBP"),
        "deep.tif": DeepPicture(deep, Metadata()).encode(deep, "TIFF"),
        "cut.jpg": jpeg[: len(jpeg) // 2],
    }


def sample() -> tuple[float, int]:
    """Megabytes that this process has, and how many open descriptors."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024, len(list(Path("/proc/self/fd").iterdir()))


def work(
    folder: Path, dehazers: list[Dehazer], chosen: random.Random, number: int, done: Counter[str]
) -> None:
    """Do pictures, from files and from memory, until the round is over."""
    end = time.monotonic() + ROUND
    files = sorted(folder.glob("*.*"))
    while time.monotonic() < end:
        dehazer, path = chosen.choice(dehazers), chosen.choice(files)
        output = folder / f"{number}" / path.name
        try:
            if chosen.random() < 0.5:
                dehazer.file(path, output, overwrite=True, strength=chosen.uniform(0, 1.5))
            else:
                dehazer.encoded(path.read_bytes())
            done["done"] += 1
        except KddnError:
            done["refused"] += 1


def report(samples: list[tuple[float, int]], done: Counter[str], seconds: float) -> bool:
    """Print what was seen; whether nothing grew."""
    size = len(samples) // 5
    fifths = [samples[place * size : (place + 1) * size] for place in range(5)]
    memory = [statistics.mean(megabytes for megabytes, _ in fifth) for fifth in fifths]
    descriptors = [max(count for _, count in fifth) for fifth in fifths]
    growth = memory[4] / memory[1] - 1
    print(f"{seconds / 60:.1f} minutes, {dict(done)}, models {', '.join(MODELS)}\n")
    print("fifth          " + "".join(f"{place + 1:>8}" for place in range(5)))
    print("memory, MB     " + "".join(f"{value:8.0f}" for value in memory))
    print("descriptors    " + "".join(f"{value:8}" for value in descriptors))
    print(f"\nmemory of the last fifth against the second: {growth:+.1%}")
    return growth <= MOST and descriptors[4] <= descriptors[1]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=4)
    asked = parser.parse_args()
    if 60 * asked.minutes < 5 * ROUND:
        parser.error(f"--minutes must be {5 * ROUND / 60:g} or more: a round for each fifth")
    began = time.monotonic()
    done = Counter[str]()
    samples = []
    dehazers = [Dehazer(model) for model in MODELS]
    chance = [random.Random(number) for number in range(asked.threads)]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(asked.threads) as pool:
        for file, content in pictures().items():
            (Path(name) / file).write_bytes(content)
        while time.monotonic() < began + 60 * asked.minutes:
            rounds = [
                pool.submit(work, Path(name), dehazers, chosen, number, done)
                for number, chosen in enumerate(chance)
            ]
            for each in rounds:
                each.result()
            samples.append(sample())
    if not report(samples, done, time.monotonic() - began):
        sys.exit("something grew")


if __name__ == "__main__":
    main()
