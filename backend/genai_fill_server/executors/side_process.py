"""A child process beside the workers for short questions: engines, thumbnails.

Questions need libraries that the server must not load, and open files that may be hostile:
a decoder that crashes takes this child with it, not the server.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import threading
import time
from collections.abc import Callable

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import Internal, WorkerDied
from genai_fill_server.executors.child_process import ChildGone, ChildProcess
from genai_fill_server.executors.protocol import (
    Answer,
    Describe,
    Engines,
    MakeThumbnail,
    Refused,
    Thumbnail,
)
from genai_fill_server.service.job_ports import ThumbnailRequest

ANSWER_TIMEOUT_S = 90.0
IDLE_TIMEOUT_S = 60.0


class SideProcess:
    """Answers questions one after the other; the child starts on the first and rests away."""

    def __init__(
        self,
        start_child: Callable[[], ChildProcess],
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Ask a child that ``start_child`` starts."""
        self._start_child = start_child
        self._idle_timeout_s = idle_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._idle: threading.Timer | None = None

    def describe(self) -> tuple[EngineDescription, ...]:
        """Return every engine. Raises `WorkerDied` or whatever the child refuses with."""
        answer = self._ask(Describe(next(self._ids)))
        if not isinstance(answer, Engines):
            raise _unexpected(answer)
        return answer.engines

    def png(self, request: ThumbnailRequest) -> bytes:
        """Return a PNG file of the frame. Raises as `describe` does."""
        answer = self._ask(
            MakeThumbnail(
                next(self._ids), request.path, request.frame, request.width_px, request.colour
            )
        )
        if not isinstance(answer, Thumbnail):
            raise _unexpected(answer)
        try:
            return base64.b64decode(answer.png_base64, validate=True)
        except binascii.Error as error:
            raise _unexpected(answer) from error

    def stop(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _ask(self, question: Describe | MakeThumbnail) -> Answer:
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            try:
                answer = self._exchange(question)
            except ChildGone as gone:
                self._end()
                raise WorkerDied(
                    f"The process that looks at files and engines died: {gone}.",
                    hint="Look at its log; a damaged file or engine may be the cause.",
                ) from gone
            self._idle = threading.Timer(self._idle_timeout_s, self.stop)
            self._idle.daemon = True
            self._idle.start()
        if isinstance(answer, Refused):
            raise answer.error.to_error()
        return answer

    def _exchange(self, question: Describe | MakeThumbnail) -> Answer:
        if self._child is None or not self._child.is_alive:
            self._end()
            self._child = self._start_child()
        self._child.send(question)
        deadline = time.monotonic() + self._answer_timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self._child.receive(left)
            if (
                isinstance(message, Engines | Thumbnail | Refused)
                and message.request_id == question.request_id
            ):
                return message
        raise ChildGone(f"process {self._child.pid} did not answer in {self._answer_timeout_s} s")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(grace_s=1.0)


def _unexpected(answer: Answer) -> Internal:
    return Internal(
        f"A child process answered with {type(answer).__name__}.",
        hint="Report this with the backend's log.",
    )
