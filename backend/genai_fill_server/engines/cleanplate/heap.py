"""Memory that was freed, given back to the system.

Between the large arrays of one frame, which come and go, lie small ones that stay for a whole
shot. The C library keeps what is free between them: half as much again as is in use, and more
with every hundred frames. Where the library has a call for it, it lets go.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def nothing_to_give() -> None:
    """Do nothing: there is no such call here."""


def giver_back() -> Callable[[], object]:
    """Return a call that gives freed memory back; where there is none, it does nothing.

    glibc has one (``malloc_trim``), which takes some milliseconds. Other systems' libraries
    do without being asked, or cannot.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return nothing_to_give
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)
