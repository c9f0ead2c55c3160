"""What the backend runs, and what it tells while it runs."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.take import Take


class JobState(enum.StrEnum):
    """Where a job is. A job that the backend lost is LOST, never DONE."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.LOST)


@dataclass(frozen=True)
class Progress:
    """How far a job is: a phase in words, a fraction 0 to 1 of the whole job, an ETA."""

    phase: str = ""
    fraction: float = 0.0
    eta_s: float | None = None


@dataclass(frozen=True)
class Job:
    """A job as the backend sees it now. Times are seconds since the epoch, UTC."""

    id: str
    state: JobState
    request: FillRequest
    takes: tuple[Take, ...]
    created_s: float
    progress: Progress = Progress()
    started_s: float | None = None
    finished_s: float | None = None
    queue_position: int | None = None
    error: ErrorReport | None = None
    last_event_id: int = 0


class EventKind(enum.StrEnum):
    """What a `JobEvent` tells."""

    STATE = "state"
    PROGRESS = "progress"
    FRAME = "frame"
    LOG = "log"


@dataclass(frozen=True)
class FrameDone:
    """A frame of a take is complete on disk."""

    take_index: int
    frame: int
    path: str


@dataclass(frozen=True)
class JobEvent:
    """One entry of a job's event stream; ids rise, so a follower can resume after one."""

    id: int
    job_id: str
    kind: EventKind
    time_s: float
    state: JobState
    progress: Progress = Progress()
    frame: FrameDone | None = None
    message: str = ""
    error: ErrorReport | None = None
