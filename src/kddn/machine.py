"""What this process may use of the machine."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use."""

_UNKNOWN_MEMORY = 4 << 30
"""Bytes, where the system does not say."""


def cores() -> int:
    """Cores that this process may use: those of the machine, its affinity and its container."""
    known = getattr(os, "sched_getaffinity", None)
    there = len(known(0)) if known else os.cpu_count() or 1
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return max(1, min(there, int(quota) // int(period)))
    except (OSError, ValueError):  # there is no such file, or no limit in it
        return there


def memory() -> int:
    """Bytes that this process may use: those of the machine and its container."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows
        return _UNKNOWN_MEMORY
    try:
        return min(there, int((_CGROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        return there
