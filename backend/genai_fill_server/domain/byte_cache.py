"""A least-recently-used cache of arrays, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class ByteCache:
    """Keeps float32 arrays until their bytes exceed a budget, then drops the oldest used.

    Arrays that are kept are made read-only, since many callers share them. One array larger
    than the whole budget is handed through and not kept. Safe between threads; two threads
    that miss the same key at once may both make it.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held = 0
        self._arrays: OrderedDict[Hashable, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """How many bytes are held now; never more than the budget."""
        return self._held

    def get(self, key: Hashable, make: Callable[[], FloatArray]) -> FloatArray:
        """Return the array under ``key``, calling ``make`` if it is not (or no longer) kept."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = make()
        array.flags.writeable = False
        if array.nbytes <= self._budget:
            self._keep(key, array)
        return array

    def _keep(self, key: Hashable, array: FloatArray) -> None:
        with self._lock:
            previous = self._arrays.pop(key, None)
            self._held += array.nbytes - (previous.nbytes if previous is not None else 0)
            self._arrays[key] = array
            while self._held > self._budget:
                _, dropped = self._arrays.popitem(last=False)
                self._held -= dropped.nbytes
