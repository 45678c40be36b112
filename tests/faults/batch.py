"""A batch of small pictures, done by the real command while something goes wrong."""

import contextlib
import hashlib
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from helpers import encoded, hazy_photograph


@dataclass(frozen=True)
class Outcome:
    """What is found after a fault, and after the run that follows it."""

    status: int
    """Of the command that met the fault; minus a signal's number, if it died of one."""
    whole: int
    """Results that are pictures of the right size."""
    partial: int
    """Files under a result's name that are not."""
    lost: int
    """Pictures that are gone or changed, but for those that the fault itself took."""
    tracebacks: int
    left: int
    """Temporary files."""
    left_after: int
    """Temporary files after the next run, which skips what exists."""
    whole_after: int
    """Results after the next run."""


class Batch:
    """Pictures in `folder/in`, whose results go to `folder/out`.

    Args:
        folder: An empty folder.
        count: How many pictures.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.out = folder / "out"
        (folder / "in").mkdir()
        self.taken: set[Path] = set()
        """Pictures that the fault itself takes away or changes."""
        content = [encoded(hazy_photograph(*size), "PNG") for size in ((96, 64), (200, 150))]
        for index in range(count):
            (folder / "in" / f"{index:03}.png").write_bytes(content[index % 2])
        self._before = {path: _sha256(path) for path in self.pictures}
        self.running: list[subprocess.Popen[str]] = []

    @property
    def pictures(self) -> list[Path]:
        """All that are there."""
        return sorted((self.folder / "in").iterdir())

    @property
    def results(self) -> list[Path]:
        """What is there under a result's name."""
        there = self.out.iterdir() if self.out.exists() else ()
        return sorted(path for path in there if not path.name.startswith("."))

    def start(self, *more: str, **options) -> subprocess.Popen[str]:
        """Start the command."""
        command = [sys.executable, "-m", "kddn", "dehaze", "in", "-o", "out", "--skip-existing"]
        how = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        how |= {"text": True, "preexec_fn": default_interrupts, **options}
        fast = ["--model", "kddn-indoor", "--working-size", "64"]
        self.running.append(subprocess.Popen([*command, *fast, *more], **how))
        return self.running[-1]

    def wait_for(self, count: int) -> None:
        """Wait until so many results are there, or the command is at its end."""
        while len(self.results) < count and self.running[-1].poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.running[-1].wait(0.005)

    def outcome(self) -> Outcome:
        """Wait for the command, look, run it again without the fault, and look again."""
        told = "".join(process.communicate(timeout=120)[1] or "" for process in self.running)
        status = max((process.returncode for process in self.running), key=abs)
        whole, left = self._whole(), self._left()
        partial = len(self.results) - whole
        lost = sum(
            not path.exists() or _sha256(path) != before
            for path, before in self._before.items()
            if path not in self.taken
        )
        if self.out.exists():
            self.out.chmod(0o777)
        self.start().communicate(timeout=120)
        return Outcome(
            status, whole, partial, lost, told.count("Traceback"), left, self._left(), self._whole()
        )

    def _whole(self) -> int:
        return sum(_is_whole(path) for path in self.results)

    def _left(self) -> int:
        return len(list(self.folder.rglob("*.part")))


def _is_whole(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
            return image.size in ((96, 64), (200, 150))
    except OSError:
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def default_interrupts() -> None:
    """Where tests run in the background, interrupts are ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
