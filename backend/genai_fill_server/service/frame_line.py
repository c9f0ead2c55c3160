"""Frames on their way from the engine to the disk, finished while the engine makes the next.

Finishing a 4K frame takes most of a second on the processor, in which a model's device would
stand still. So it happens on a thread of its own: one frame after the other, in the order in
which they were made, with few of them waiting.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

import numpy as np

from genai_fill_server.service.ports import EngineFrame, FillCancelled

_LOG = logging.getLogger(__name__)

IN_FLIGHT = 2
"""How many made frames are held at once: one that is being finished, and one that waits."""


class FinishingFailed(FillCancelled):
    """A frame could not be finished: the engine need not go on. `FrameLine` says why."""


class FrameLine:
    """Finishes frames in the background, for the time of a ``with``.

    Leaving it waits until every frame that was put is finished, whatever the reason. The first
    error wins: frames behind one that failed are dropped, `check` and `put` raise
    `FinishingFailed`, and leaving raises the error itself, unless something else went wrong
    before it was noticed.
    """

    def __init__(self, finish: Callable[[EngineFrame], None]) -> None:
        """Finish frames by ``finish``, which is called from one thread."""
        self._finish = finish
        self._room = threading.BoundedSemaphore(IN_FLIGHT)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._failure: BaseException | None = None

    def __enter__(self) -> FrameLine:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is in flight; raise what went wrong with it."""
        self._thread.shutdown(wait=True)
        if self._failure is None:
            return
        if error is None or isinstance(error, FinishingFailed):
            raise self._failure
        _LOG.warning("a frame that was made already could not be finished: %s", self._failure)

    def check(self) -> None:
        """Raise `FinishingFailed` when a frame could not be finished."""
        if self._failure is not None:
            raise FinishingFailed

    def put(self, made: EngineFrame) -> None:
        """Take a frame over; waits while too many are in flight.

        The frame is copied: an engine may use its buffers again for the next one.
        """
        self._room.acquire()
        if self._failure is not None:
            self._room.release()
            raise FinishingFailed
        own = replace(
            made,
            pixels=np.array(made.pixels),
            layers={name: np.array(plane) for name, plane in made.layers.items()},
        )
        # With the context of the caller: the job stands on every line that is logged.
        context = contextvars.copy_context()
        self._thread.submit(context.run, self._next, own).add_done_callback(self._ended)

    def _next(self, made: EngineFrame) -> None:
        if self._failure is None:
            self._finish(made)

    def _ended(self, future: Future[None]) -> None:
        """Note how it went, on the line's own thread and so before the next frame begins."""
        self._failure = self._failure or future.exception()
        self._room.release()
