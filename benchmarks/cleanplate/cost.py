"""Seconds and memory of one call."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_MIB = 1024.0


def measured(call: Callable[[], T]) -> tuple[T, float, float]:
    """Return what ``call`` returns, its seconds, and the MiB that it needed on top at its peak.

    Memory is the highest resident size while it ran, less that before: it counts compiled
    code as well. Other processes are not in it. Not a number where the system does not tell.
    """
    gc.collect()
    before = _reset_peak()
    start = time.perf_counter()
    value = call()
    seconds = time.perf_counter() - start
    return value, seconds, (_status("VmHWM") - before) / _MIB


def _reset_peak() -> float:
    """Give free memory back, forget the peak so far and return the resident size in KiB."""
    if not sys.platform.startswith("linux"):
        return float("nan")
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return _status("VmRSS")


def _status(name: str) -> float:
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    for line in status.read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    return float("nan")
