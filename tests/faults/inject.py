"""What may go wrong while a batch runs: each as a function that does it to one."""

import contextlib
import ctypes
import fcntl
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.batch import Batch, default_interrupts


@dataclass(frozen=True)
class Fault:
    """A fault, and how the command may end."""

    name: str
    happen: Callable[[Batch], None]
    statuses: tuple[int, ...]
    """Of the command; minus a signal's number, if it died of one."""
    complete: bool = True
    """Whether every picture has a result after the next run."""
    late: bool = False
    """Whether all may be done before it happens."""


def full_disk(batch: Batch) -> None:
    """No file may become larger than what fits a small result."""
    limits = (12_000, 12_000)
    batch.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))


def full_file_system(batch: Batch) -> None:
    """A file system of 100 kB, made larger for the next run."""
    batch.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(batch.out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise NotImplementedError("file systems cannot be mounted here")
    batch.start().wait()
    subprocess.run(["mount", "-o", "remount,size=100m", str(batch.out)], check=True)


def _held_by_permissions() -> None:
    """Root too: without the right to override them, nor to act as any file's owner."""
    default_interrupts()
    for capability in (1, 2, 3):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def read_only_target(batch: Batch) -> None:
    """Nobody may write to the folder of the results."""
    batch.out.mkdir()
    batch.out.chmod(0o555)
    batch.start(preexec_fn=_held_by_permissions)


def permission_lost(batch: Batch) -> None:
    """Once some are done, nobody may write there."""
    batch.out.mkdir()
    batch.out.chmod(0o777)
    batch.start(preexec_fn=_held_by_permissions)
    batch.wait_for(batch.count // 3)
    batch.out.chmod(0o555)


def _maps(process: subprocess.Popen[str]) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process.pid}/maps").read_text()
    return ""


def interrupted(number: signal.Signals) -> Callable[[Batch], None]:
    """A signal at a random moment, more often than not while pictures are done."""

    def happen(batch: Batch) -> None:
        process = batch.start()
        while process.poll() is None and "numpy" not in _maps(process):
            time.sleep(0.005)  # until then it is Python that begins, not the command
        if random.random() < 0.7:
            batch.wait_for(random.randrange(1, batch.count))
            time.sleep(random.random() / 10)
        else:
            time.sleep(random.random() / 2)  # the model is being opened
        process.send_signal(number)

    return happen


def two_runs(batch: Batch) -> None:
    """Both skip what the other has done."""
    batch.start()
    batch.start()


def sources_removed(batch: Batch) -> None:
    """While others are done."""
    batch.start()
    batch.wait_for(2)
    for path in batch.pictures[batch.count // 2 :]:
        batch.taken.add(path)
        path.unlink()


def sources_changed(batch: Batch) -> None:
    """Cut short, byte by byte, while they are done."""
    batch.start()
    batch.wait_for(2)
    for path in batch.pictures[batch.count // 2 :]:
        batch.taken.add(path)
        path.write_bytes(path.read_bytes()[: random.randrange(2000)])


def clock_set_back(batch: Batch) -> None:
    """By an hour at every look at it, and pictures are of tomorrow."""
    for path in batch.pictures:
        os.utime(path, times=(time.time() + 86_400,) * 2)
    code = "import itertools, time; hours = itertools.count()\n"
    code += "real = time.time; time.time = lambda: real() - 3600 * next(hours)\n"
    _start_with(batch, code)


def no_temporary_folder(batch: Batch) -> None:
    """There is none that could be written to."""
    _start_with(batch, "import tempfile; tempfile._candidate_tempdir_list = lambda: []\n")


def _start_with(batch: Batch, code: str) -> None:
    (batch.folder / "sitecustomize.py").write_text(code)
    batch.start(env=os.environ | {"PYTHONPATH": str(batch.folder)})


def no_home(batch: Batch) -> None:
    """An empty environment, and a user whom the system does not know."""
    code = "import pwd\ndef unknown(number): raise KeyError(number)\npwd.getpwuid = unknown\n"
    (batch.folder / "sitecustomize.py").write_text(code)
    batch.start(env={"PATH": os.defpath, "PYTHONPATH": str(batch.folder)})


def no_terminal(batch: Batch) -> None:
    """No input, no output, no place for errors, a session of its own."""

    def close() -> None:
        default_interrupts()
        os.setsid()
        for number in range(3):
            os.close(number)

    batch.start(preexec_fn=close, stderr=None, stdout=None)


def closed_pipe(batch: Batch) -> None:
    """Whoever reads the names goes away after the first."""
    process = batch.start(stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None


def full_pipe(batch: Batch) -> None:
    """Nobody reads for a while, and then somebody does."""
    process = batch.start("--json", stdout=subprocess.PIPE)
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    output, process.stdout = process.stdout, None
    time.sleep(3)
    assert process.poll() is None  # it waits
    lines = output.read().splitlines()
    assert len(lines) == batch.count
    output.close()


def full_output(batch: Batch) -> None:
    """Names go where nothing can be written."""
    with Path("/dev/full").open("w") as full:
        batch.start(stdout=full)


def full_report(batch: Batch) -> None:
    """The report goes where nothing can be written."""
    batch.start("--report", "/dev/full")


INT, TERM, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL

FAULTS = (
    Fault("disk full (RLIMIT_FSIZE)", full_disk, (1,)),
    Fault("disk full (file system of 100 kB)", full_file_system, (1,)),
    Fault("target read-only", read_only_target, (1,)),
    Fault("permission lost halfway", permission_lost, (1,), late=True),
    Fault("SIGINT at a random moment", interrupted(INT), (130, 0, -INT)),
    Fault("SIGTERM at a random moment", interrupted(TERM), (-TERM, 0)),
    Fault("SIGKILL at a random moment", interrupted(KILL), (-KILL, 0)),
    Fault("two runs on one folder", two_runs, (0,)),
    Fault("pictures removed meanwhile", sources_removed, (0, 1), complete=False),
    Fault("pictures cut short meanwhile", sources_changed, (0, 1), complete=False),
    Fault("clock set back", clock_set_back, (0,)),
    Fault("no temporary folder", no_temporary_folder, (0,)),
    Fault("no home, no environment", no_home, (0,)),
    Fault("no terminal, all streams closed", no_terminal, (0,)),
    Fault("pipe closed by its reader", closed_pipe, (1,), late=True),
    Fault("pipe full for a while", full_pipe, (0,)),
    Fault("standard output on a full disk", full_output, (1,)),
    Fault("report on a full disk", full_report, (1,)),
)


@contextlib.contextmanager
def unmounted(batch: Batch):
    """Takes away what a fault mounted."""
    try:
        yield
    finally:
        if batch.out.is_mount():
            subprocess.run(["umount", str(batch.out)], check=True)
