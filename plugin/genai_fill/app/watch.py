"""How a fill under way talks to whoever started it, and how it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from genai_fill_contract.job import JobState


class FillStopped(BaseException):
    """The artist cancelled before there was a job. A state, so no ``except Exception`` eats it."""


@dataclass(frozen=True)
class Stage:
    """What is going on now. ``fraction`` and ``eta_s`` are None when they are not known."""

    phase: str
    fraction: float | None = None
    eta_s: float | None = None
    state: JobState | None = None


class FillWatch:
    """One fill under way. `cancel` may come from any thread."""

    def __init__(
        self,
        report: Callable[[Stage], None],
        log: Callable[[str], None],
    ) -> None:
        """``report`` and ``log`` are called on the thread that does the work."""
        self.report = report
        self.log = log
        self._cancelled = threading.Event()
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the fill has come to its end, though its thread may still be tidying up."""
        return self._over.is_set()

    def finish(self) -> None:
        """Note that the fill has come to its end: the node may be filled again."""
        self._over.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the artist asked to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask to stop; what is under way stops at its next `check`."""
        self._cancelled.set()

    def pause(self, seconds: float) -> None:
        """Wait, but not for longer than until the artist asks to stop. Worker threads only."""
        self._cancelled.wait(seconds)

    def check(self) -> None:
        """Raise `FillStopped` when the artist asked to stop."""
        if self._cancelled.is_set():
            raise FillStopped
