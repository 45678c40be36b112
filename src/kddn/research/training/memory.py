"""Memory of large tensors on a CPU."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""As glibc's malloc.h numbers them."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for what it makes next.

    Every step of training makes and frees the same large tensors. glibc gives blocks of 32 MB and
    more back to the system at once, and fetching them anew, page by page, can take longer than
    computing what is in them.

    Returns:
        Whether it could be done: only on Linux with glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
