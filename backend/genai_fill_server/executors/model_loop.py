"""The model child's side: one question or order, answered, and the process ends.

When the server closes stdin, the work stops at its next byte; where it hangs in a library's
call the process is ended. What has been fetched stays, and the same order goes on with it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Protocol

from genai_fill_contract.errors import DiskFull, ErrorReport, GenAIFillError, OutputNotWritable
from genai_fill_contract.job import Progress
from genai_fill_contract.models import ModelList, ModelVerb
from genai_fill_server.executors.protocol import (
    FromChild,
    ListModels,
    ModelBegan,
    ModelDone,
    ModelMoved,
    ModelRefused,
    Models,
    Ready,
    Start,
    WorkOnModel,
    read_to_child,
    to_line,
)
from genai_fill_server.executors.worker_loop import as_fill_error
from genai_fill_server.service.model_ports import ModelOrder, ModelOutcome, ModelWorkStopped

EXIT_GRACE_S = 3.0
_TELL_EVERY_S = 0.2
_ETA_AFTER_S = 1.5
_EXIT_CODE_OF_ORPHAN = 3
_ENOSPC = 28
# How the whole of a task divides among its phases, in the order in which they begin.
_SHARES = {ModelVerb.PULL: (0.9, 0.1)}


class ByteProgress(Protocol):
    """Who is told how far a long step is, in bytes."""

    def start(self, what: str, total_bytes: int) -> None:
        """Say what begins, and how much it is."""

    def advance(self, done_bytes: int) -> None:
        """Say that so much more is done."""


class ModelDuties(Protocol):
    """What a model child can do. The composition root fills it in."""

    def models(self) -> ModelList:
        """Return every model."""

    def carry_out(
        self, order: ModelOrder, progress: ByteProgress, began: Callable[[], None]
    ) -> ModelOutcome:
        """Do it."""


class ModelLoop:
    """One child from its first line to its last."""

    def __init__(
        self,
        lines_in: BinaryIO,
        lines_out: BinaryIO,
        make_duties: Callable[[Start], ModelDuties],
        exit_hard: Callable[[int], object] = os._exit,
    ) -> None:
        """Talk over the two pipes. ``exit_hard`` ends a process that is stuck in a call."""
        self._in = lines_in
        self._out = lines_out
        self._make_duties = make_duties
        self._exit_hard = exit_hard
        self._stopped = threading.Event()
        self._over = threading.Event()

    def run(self) -> None:
        """Do the one thing that is asked."""
        start = read_to_child(self._in.readline())
        if not isinstance(start, Start):
            return
        duties = self._make_duties(start)
        self._send(Ready(os.getpid()))
        line = self._in.readline()
        if not line:
            return
        asked = read_to_child(line)
        threading.Thread(target=self._await_end, name="lines-in", daemon=True).start()
        try:
            answer = self._answer(asked, duties)
        except ModelWorkStopped:
            return
        except Exception as error:  # noqa: BLE001 - the process boundary
            answer = ModelRefused(ErrorReport.of(_in_words(error)))
        finally:
            self._over.set()
        self._send(answer)

    def _answer(self, asked: object, duties: ModelDuties) -> FromChild:
        if isinstance(asked, ListModels):
            return Models(duties.models())
        assert isinstance(asked, WorkOnModel)
        teller = _Teller(self._send, self._stopped.is_set, _SHARES.get(asked.order.verb, (1.0,)))
        outcome = duties.carry_out(asked.order, teller, lambda: self._send(ModelBegan()))
        return ModelDone(outcome.model_id, outcome.message)

    def _await_end(self) -> None:
        while self._in.read(4096):
            pass
        self._stopped.set()
        if not self._over.wait(EXIT_GRACE_S):
            self._exit_hard(_EXIT_CODE_OF_ORPHAN)

    def _send(self, message: FromChild) -> None:
        try:
            self._out.write(to_line(message))
            self._out.flush()
        except (OSError, ValueError):
            self._stopped.set()  # the server is gone


class _Teller:
    """`ByteProgress` that tells the server now and then, and stops the work when told to."""

    def __init__(
        self,
        send: Callable[[FromChild], None],
        is_stopped: Callable[[], bool],
        shares: tuple[float, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._is_stopped = is_stopped
        self._shares = shares
        self._clock = clock
        self._phase = -1
        self._what, self._done, self._total = "", 0, 0
        self._told_s = float("-inf")
        self._first: tuple[float, int] | None = None

    def start(self, what: str, total_bytes: int) -> None:
        self._phase = min(self._phase + 1, len(self._shares) - 1)
        self._what, self._done, self._total = what, 0, max(total_bytes, 0)
        self._first = None
        self._tell()

    def advance(self, done_bytes: int) -> None:
        self._done += done_bytes
        if self._first is None:  # what was there already says nothing of the speed
            self._first = (self._clock(), self._done)
        if self._clock() - self._told_s >= _TELL_EVERY_S:
            self._tell()
        elif self._is_stopped():
            raise ModelWorkStopped

    def _tell(self) -> None:
        if self._is_stopped():
            raise ModelWorkStopped
        self._told_s = self._clock()
        part = min(self._done / self._total, 1.0) if self._total else 0.0
        whole = sum(self._shares[: self._phase]) + self._shares[self._phase] * part
        words = f"{self._what}: {_amount(self._done, self._total)}"
        self._send(ModelMoved(Progress(words, round(min(whole, 1.0), 4), self._eta_s())))

    def _eta_s(self) -> float | None:
        if self._first is None:
            return None
        since_s, since_bytes = self._first
        passed_s, came = self._clock() - since_s, self._done - since_bytes
        if passed_s < _ETA_AFTER_S or came <= 0:
            return None
        return round(max(self._total - self._done, 0) * passed_s / came, 1)


def _amount(done: int, total: int) -> str:
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{done / unit:.1f} of {total / unit:.1f} {name}"


def _in_words(error: Exception) -> GenAIFillError:
    if not isinstance(error, OSError):
        return as_fill_error(error)
    if error.errno == _ENOSPC:
        return DiskFull("The store's disk is full.", hint="Free some room, then try again.")
    where = f"{error.filename}: " if error.filename else ""
    return OutputNotWritable(
        f"{where}{error.strerror or error}.",
        hint="Look at the permissions and the room on its disk.",
    )
