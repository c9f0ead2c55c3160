"""The child's side: read the server's lines, run one thing at a time, answer.

A reader thread takes the lines in, so that a cancel is heard while the main thread works.
When the server's end of stdin closes, however the server ended, the child exits.
"""

from __future__ import annotations

import base64
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import (
    ErrorReport,
    GenAIFillError,
    Internal,
    MalformedMessage,
    OutOfMemory,
)
from genai_fill_contract.job import Job, JobState
from genai_fill_server.executors.protocol import (
    Cancel,
    Describe,
    Engines,
    Finished,
    FromChild,
    MakeThumbnail,
    Ready,
    Refused,
    Run,
    Start,
    Thumbnail,
    ToChild,
    read_to_child,
    to_line,
)
from genai_fill_server.executors.worker_watch import WorkerWatch
from genai_fill_server.service.job_log import logging_job
from genai_fill_server.service.job_ports import ThumbnailRequest
from genai_fill_server.service.ports import FillCancelled

_LOG = logging.getLogger(__name__)
EXIT_GRACE_S = 4.0
_EXIT_CODE_OF_ORPHAN = 3


class Duties(Protocol):
    """What a child can do. The composition root fills it in."""

    def describe(self) -> Sequence[EngineDescription]:
        """Return every engine."""

    def run(self, job: Job, watch: WorkerWatch) -> None:
        """Run a job to its last frame. Raises as `run_fill` does."""

    def thumbnail(self, request: ThumbnailRequest) -> bytes:
        """Return a PNG file."""


MakeDuties = Callable[[Start], Duties]


class WorkerLoop:
    """The loop of one child process, from its first line to the end of stdin."""

    def __init__(
        self,
        lines_in: BinaryIO,
        lines_out: BinaryIO,
        make_duties: MakeDuties,
        exit_hard: Callable[[int], object] = os._exit,
    ) -> None:
        """Talk over the two pipes. ``exit_hard`` ends a process that is stuck in a call."""
        self._in = lines_in
        self._out = lines_out
        self._make_duties = make_duties
        self._exit_hard = exit_hard
        self._writing = threading.Lock()
        self._todo: queue.Queue[ToChild | None] = queue.Queue()
        self._cancelled: set[str] = set()
        self._orphaned = threading.Event()

    def run(self) -> None:
        """Work until stdin ends."""
        threading.Thread(target=self._read, name="lines-in", daemon=True).start()
        first = self._todo.get()
        if not isinstance(first, Start):
            return
        duties = self._make_duties(first)
        self._send(Ready(os.getpid()))
        while (message := self._todo.get()) is not None:
            self._handle(message, duties)

    def _read(self) -> None:
        try:
            for line in self._in:
                message = read_to_child(line)
                if isinstance(message, Cancel):
                    self._cancelled.add(message.job_id)
                else:
                    self._todo.put(message)
        except (OSError, ValueError, MalformedMessage):
            _LOG.exception("the server's lines cannot be read")
        self._orphaned.set()
        self._todo.put(None)
        # The main thread sees the flag at its next check. One that sits in a library's call
        # for longer is ended with the process: nobody waits for it any more.
        timer = threading.Timer(EXIT_GRACE_S, self._exit_hard, (_EXIT_CODE_OF_ORPHAN,))
        timer.daemon = True
        timer.start()

    def _handle(self, message: ToChild, duties: Duties) -> None:
        if isinstance(message, Run):
            self._run_job(message.job, duties)
        elif isinstance(message, Describe):
            self._answer(
                message.request_id,
                lambda: Engines(message.request_id, tuple(duties.describe())),
            )
        elif isinstance(message, MakeThumbnail):
            request = ThumbnailRequest(
                message.path, message.frame, message.width_px, message.colour
            )
            self._answer(
                message.request_id,
                lambda: Thumbnail(
                    message.request_id, base64.b64encode(duties.thumbnail(request)).decode("ascii")
                ),
            )

    def _answer(self, request_id: int, make: Callable[[], FromChild]) -> None:
        try:
            answer = make()
        except Exception as error:  # noqa: BLE001 - the process boundary
            answer = Refused(request_id, ErrorReport.of(as_fill_error(error)))
        self._send(answer)

    def _run_job(self, job: Job, duties: Duties) -> None:
        watch = WorkerWatch(
            job.id,
            self._send,
            lambda: job.id in self._cancelled,
            is_orphaned=self._orphaned.is_set,
        )
        try:
            watch.check()
            with logging_job(job.id):
                duties.run(job, watch)
        except FillCancelled:
            ended = Finished(job.id, JobState.CANCELLED)
        except Exception as error:  # noqa: BLE001 - the process boundary
            ended = Finished(job.id, JobState.FAILED, ErrorReport.of(as_fill_error(error)))
        else:
            ended = Finished(job.id, JobState.DONE)
        self._cancelled.discard(job.id)
        self._send(ended)

    def _send(self, message: FromChild) -> None:
        line = to_line(message)
        try:
            with self._writing:
                self._out.write(line)
                self._out.flush()
        except (OSError, ValueError):
            # The server is gone; stdin says the same and ends the process.
            _LOG.debug("nobody reads: %s", type(message).__name__)


def as_fill_error(error: Exception) -> GenAIFillError:
    """Return ``error`` as one of the tree; the traceback of a strange one goes to the log."""
    if isinstance(error, GenAIFillError):
        return error
    _LOG.error("fault in the worker", exc_info=error)
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "The worker ran out of memory.",
            hint="Use a smaller crop, fewer frames or a smaller engine.",
        )
    return Internal(
        f"The worker had a fault: {type(error).__name__}: {error}"[:500],
        hint="Report this with the worker's log.",
    )
