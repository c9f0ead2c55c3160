"""How far a job is: frames on disk, and what the engine says of its own work."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from genai_fill_contract.job import FrameDone, Progress
from genai_fill_server.domain.recipe import plain
from genai_fill_server.service.frame_ports import JobWatch
from genai_fill_server.service.ports import FloatImage

REPORT_EVERY_S = 0.1
CHECKING_SHARE, PREPARING_SHARE = 0.02, 0.05
"""Which part of the bar is full when checking ends, when preparing ends."""


class JobProgress:
    """A `Watch` for engines over a `JobWatch`: one bar for the whole job, never going back.

    Notes that the engine takes are kept for the recipe. The engine and the thread that finishes
    frames may tell at the same time.
    """

    def __init__(
        self, watch: JobWatch, total_frames: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.notes: dict[str, object] = {}
        self._watch = watch
        self._also: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._clock = clock
        self._total = max(1, total_frames)
        self._done = 0
        self._resumed = 0
        self._phase = ""
        self._fraction = 0.0
        self._span = (0.0, CHECKING_SHARE)
        self._span_began_s = clock()
        self._reported_s = float("-inf")

    def also_check(self, check: Callable[[], None]) -> None:
        """Ask ``check``, too, whether the engine is to stop."""
        self._also = check

    def check(self) -> None:
        """Raise `FillCancelled` if the job was cancelled or need not go on."""
        self._watch.check()
        self._also()

    def progress(self, phase: str, done: float, total: float) -> None:
        """Tell how far the engine is in its own work; also checks for cancel."""
        self.check()
        share = done / total if total > 0 else 0.0
        share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
        self._tell(phase, share)

    def log(self, message: str) -> None:
        """Put a line into the job's log."""
        self._watch.log(message)

    def note(self, key: str, value: object) -> None:
        """Keep a fact for the recipes."""
        self.notes[key] = plain(value)

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Show what is being made of a frame."""
        self._watch.preview(take_index, frame, rgb)

    def begin_checking(self) -> None:
        """The inputs are being looked at."""
        self._begin("Checking plate and matte", (0.0, CHECKING_SHARE))

    def begin_preparing(self) -> None:
        """The engine loads its weights."""
        self._begin("Preparing the engine", (CHECKING_SHARE, PREPARING_SHARE))

    def begin_filling(self) -> None:
        """The engine starts to make frames."""
        self._resumed = self._done
        self._begin("Filling", (PREPARING_SHARE, 1.0))

    def frame_done(self, frame: FrameDone) -> None:
        """A frame is on disk."""
        with self._lock:
            self._done += 1
            self._watch.frame_done(frame)
            self._tell(self._phase, 0.0, force=True)

    def finish(self) -> None:
        """Everything is on disk."""
        self._fraction = 1.0
        self._watch.report(Progress("Done", 1.0, 0.0))

    def _begin(self, phase: str, span: tuple[float, float]) -> None:
        self._span = span
        self._span_began_s = self._clock()
        self._tell(phase, 0.0, force=True)

    def _tell(self, phase: str, share: float, *, force: bool = False) -> None:
        with self._lock:
            self._tell_locked(phase, share, force=force)

    def _tell_locked(self, phase: str, share: float, *, force: bool) -> None:
        now = self._clock()
        filling = self._span[1] >= 1.0
        if filling:
            share = max(share, self._done / self._total)
        low, high = self._span
        self._fraction = max(self._fraction, low + (high - low) * share)
        if not force and phase == self._phase and now - self._reported_s < REPORT_EVERY_S:
            return
        self._phase = phase
        self._reported_s = now
        eta = self._eta_s(share, now) if filling else None
        self._watch.report(Progress(phase, min(self._fraction, 1.0), eta))

    def _eta_s(self, share: float, now: float) -> float | None:
        """Return the seconds left at the pace since filling began; None while it is a guess."""
        before = self._resumed / self._total
        if share - before < 0.01 or share >= 1:
            return None
        return (now - self._span_began_s) * (1 - share) / (share - before)
