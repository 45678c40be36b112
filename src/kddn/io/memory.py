"""Memory that is free, given back to the system."""

import ctypes
import sys


def give_back() -> None:
    """Give back what was freed, where the C library is GNU's, which keeps it for each thread.

    After pictures of many sizes in a few threads that would be three times what is in use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
