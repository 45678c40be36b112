"""How the server bears minutes of mixed load, and what it costs beside the bare `Dehazer`.

    python benchmarks/server.py --minutes 10

On loopback: several clients send photographs of three sizes, small copies for maps, and what is no
picture, as fast as they are answered.
"""

import argparse
import io
import itertools
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from PIL import Image

from kddn import Dehazer

PHOTOGRAPH = Path(__file__).parents[1] / "demo" / "aitzgorri.jpg"


def picture(width: int) -> bytes:
    """The demo's photograph at a width, as JPEG."""
    with Image.open(PHOTOGRAPH) as image:
        height = round(width * image.height / image.width)
        buffer = io.BytesIO()
        image.resize((width, height)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


KINDS = (
    ("picture of 0.2 Mpx", "/v1/dehaze", picture(550)),
    ("small copy, for its map", "/v1/map", picture(320)),
    ("picture of 1.1 Mpx", "/v1/dehaze", picture(1280)),
    ("no picture", "/v1/dehaze", picture(550)[:5000]),
    ("picture of 1.1 Mpx, as PNG", "/v1/dehaze?format=png", picture(1280)),
    ("list of models", "/v1/models", None),
)


def ask(address: str, path: str, content: bytes | None) -> int:
    """Send one request; its status, 0 where there is no answer."""
    request = Request(address + path, content, {"Content-Type": "image/jpeg"})
    try:
        with urlopen(request, timeout=120) as answer:
            answer.read()
            return int(answer.status)
    except HTTPError as error:
        error.read()
        return error.code
    except OSError:
        return 0


def memory(process: subprocess.Popen[str]) -> float:
    """Megabytes that a process has."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def load(address: str, process: subprocess.Popen[str], minutes: float, clients: int) -> None:
    """Send mixed requests, and print what became of them."""
    end = time.monotonic() + 60 * minutes
    seconds: dict[str, list[float]] = {name: [] for name, *_ in KINDS}
    statuses: Counter[tuple[str, int]] = Counter()

    def client(first: int) -> None:
        for name, path, content in itertools.islice(itertools.cycle(KINDS), first, None):
            if time.monotonic() > end:
                return
            began = time.perf_counter()
            statuses[name, ask(address, path, content)] += 1
            seconds[name].append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(k,)) for k in range(clients)]
    for thread in threads:
        thread.start()
    used = []
    while time.monotonic() < end:
        used.append(memory(process))
        time.sleep(1)
    for thread in threads:
        thread.join()
    print(f"{minutes:g} minutes, {clients} clients, {sum(statuses.values())} requests\n")
    print(f"{'':28}{'count':>7}{'p50':>9}{'p95':>9}{'p99':>9}  statuses")
    for name, found in seconds.items():
        if len(found) < 2:
            print(f"{name:28}{len(found):7}")
            continue
        parts = statistics.quantiles(found, n=100)
        told = {status: count for (kind, status), count in statuses.items() if kind == name}
        times = "".join(f"{parts[k - 1]:7.2f} s" for k in (50, 95, 99))
        print(f"{name:28}{len(found):7}{times}  {told}")
    second, last = (statistics.mean(part) for part in (used[60:120], used[-60:]))
    print(f"\nmemory: {second:.0f} MB in the second minute, {last:.0f} MB in the last", end=" ")
    print(f"({100 * (last / second - 1):+.1f}%), {max(used):.0f} MB at most")


def compare(address: str, width: int, times: int) -> None:
    """Print what the server takes of the bare `Dehazer`'s time, one after the other in turn."""
    dehazer, content = Dehazer(), picture(width)
    bare, served = [], []
    for _ in range(times + 1):
        began = time.perf_counter()
        dehazer.in_memory(content)
        between = time.perf_counter()
        if (status := ask(address, "/v1/dehaze", content)) != 200:
            sys.exit(f"the server answered {status}, not 200")
        bare.append(between - began)
        served.append(time.perf_counter() - between)
    alone, with_server = (statistics.median(times[1:]) for times in (bare, served))
    print(
        f"{width} px wide: {alone:.2f} s bare, {with_server:.2f} s over HTTP "
        f"({100 * (with_server / alone - 1):+.0f}%), median of {times}"
    )


def main() -> None:
    """Start a server, and use it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args()
    if asked.minutes < 3:
        parser.error("--minutes must be 3 or more: the second is compared with the last")
    if asked.clients < 1:
        parser.error("--clients must be 1 or more")
    own = {name: value for name, value in os.environ.items() if name != "KDDN_API_KEY"}
    command = [sys.executable, "-m", "kddn", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[-1]
        for width in (1600, 4000):
            compare(address, width, 9)
        print(flush=True)
        load(address, process, asked.minutes, asked.clients)
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
