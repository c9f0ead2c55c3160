"""A least-recently-used cache of arrays, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])


class ByteCache:
    """Keeps arrays until their bytes exceed a budget, then drops the oldest used.

    Arrays that are kept are made read-only, since many callers share them. One array larger
    than the whole budget is handed through and not kept. Safe between threads; two threads
    that miss the same key at once may both make it.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held = 0
        self._arrays: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """How many bytes are held now; never more than the budget."""
        return self._held

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """Return the array under ``key``, calling ``make`` if it is not (or no longer) kept.

        Every array under one key is of the type that ``make`` returns.
        """
        kept = self.find(key)
        if kept is not None:
            return cast("Array", kept)
        array = make()
        self.put(key, array)
        return array

    def find(self, key: Hashable) -> npt.NDArray[Any] | None:
        """Return the array under ``key``, None if it is not (or no longer) kept."""
        with self._lock:
            if key not in self._arrays:
                return None
            self._arrays.move_to_end(key)
            return self._arrays[key]

    def put(self, key: Hashable, array: npt.NDArray[Any]) -> None:
        """Keep ``array`` under ``key`` as one used just now, if there is room for it at all."""
        array.flags.writeable = False
        if array.nbytes > self._budget:
            return
        with self._lock:
            previous = self._arrays.pop(key, None)
            self._held += array.nbytes - (previous.nbytes if previous is not None else 0)
            self._arrays[key] = array
            while self._held > self._budget:
                _, dropped = self._arrays.popitem(last=False)
                self._held -= dropped.nbytes
