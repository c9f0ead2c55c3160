"""The queue that brings a worker's calls to the main thread, as Nuke's event loop does."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One call waiting for the main thread; ``done`` is set when it was served or dropped."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    dropped: bool = False


class MainThreadQueue:
    """Calls in the order they came. ``errors`` gets the traceback of each that raised."""

    def __init__(self, errors: list[str]) -> None:
        self._calls: queue.Queue[Call] = queue.Queue()
        self._errors = errors
        self._closed = False

    def put(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Call:
        """Queue a call; what is not a tuple is taken as the one argument, as in Nuke."""
        if self._closed:
            raise RuntimeError("Nuke is shutting down")
        call = Call(function, args if isinstance(args, tuple) else (args,), dict(kwargs))
        self._calls.put(call)
        return call

    def serve(self) -> int:
        """Run everything queued; errors are printed and kept, and the caller gets None."""
        served = 0
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return served
            try:
                call.result = call.function(*call.args, **call.kwargs)
            except Exception:  # noqa: BLE001 - Nuke prints what a queued call raises and goes on
                self._errors.append(traceback.format_exc())
            call.done.set()
            served += 1

    def close(self) -> None:
        """Let go of whoever still waits: Nuke is gone."""
        self._closed = True
        while not self._calls.empty():
            call = self._calls.get_nowait()
            call.dropped = True
            call.done.set()
