"""The ports of the job verbs: what the server process needs of the world.

Apart from `ports`, which the worker process uses: nothing here imports numpy, so the server
process stays small and answers within a second of its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.job import FrameDone, Job, JobEvent, JobState, Progress
from genai_fill_contract.plate import ColourSettings, Window
from genai_fill_contract.take import Take

Unsubscribe = Callable[[], None]


@dataclass(frozen=True)
class NewJob:
    """A job about to be queued. ``idempotency_key`` is empty when the client gave none."""

    id: str
    request: FillRequest
    takes: tuple[Take, ...]
    created_s: float
    idempotency_key: str = ""


class JobStore(Protocol):
    """Where jobs live through restarts. Safe to call from several threads.

    Every change appends a `JobEvent` with a higher id than any before, and wakes those who
    subscribed. Raises `JobNotFound` for an unknown id and `Internal` for a transition that
    `domain.job_states` does not allow.
    """

    def create(self, new: NewJob) -> Job:
        """Queue a job."""

    def find_by_key(self, idempotency_key: str) -> Job | None:
        """Return the job that was created with this key, if any."""

    def get(self, job_id: str) -> Job:
        """Return a job as it is now."""

    def recent(self, limit: int) -> tuple[Job, ...]:
        """Return the newest jobs, newest first."""

    def in_state(self, *states: JobState) -> tuple[Job, ...]:
        """Return every job in one of ``states``, oldest first."""

    def give_up_unreadable(self, *states: JobState) -> int:
        """Fail the jobs in ``states`` that this release cannot read; return how many.

        No other verb of this port knows of them: they would stay as they are for ever.
        """

    def claim_next(self) -> Job | None:
        """Move the oldest queued job to RUNNING and return it; None when none waits."""

    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        message: str = "",
        error: ErrorReport | None = None,
        expected: JobState | None = None,
    ) -> Job:
        """Move a job to ``state``.

        With ``expected``, nothing happens unless the job is in that state: the job as it is
        comes back, so that two who move it at once do not both succeed.
        """

    def set_progress(self, job_id: str, progress: Progress) -> None:
        """Record how far a job is."""

    def set_crop(self, job_id: str, crop: Window) -> None:
        """Record the crop at the first frame, the same for every take."""

    def add_frame(self, job_id: str, frame: FrameDone) -> None:
        """Record that a frame is complete on disk; again is free."""

    def drop_frames(self, job_id: str, take_index: int, frames: Sequence[int]) -> None:
        """Forget frames that turned out to be gone from disk."""

    def add_log(self, job_id: str, message: str) -> None:
        """Put a line into the job's log."""

    def count_worker_death(self, job_id: str) -> int:
        """Add one to the worker deaths of a job and return their number."""

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        """Return the job's events with ids above ``after``, in order."""

    def subscribe(self, job_id: str, wake: Callable[[], object]) -> Unsubscribe:
        """Call ``wake`` after each new event of the job, from any thread."""


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit log: who generated what, with which model, to where.

    ``event`` is "submitted" or "finished"; each line stands alone, so a log that was cut
    still tells everything of the jobs in it.
    """

    event: str
    time_s: float
    job: Job
    engine: EngineDescription


class AuditLog(Protocol):
    """The append-only record of every generation."""

    def append(self, entry: AuditEntry) -> None:
        """Write the entry to disk before returning. Raises `OutputError`."""


class EngineCatalogue(Protocol):
    """What engines the backend has, without loading any of them into this process."""

    def engines(self) -> tuple[EngineDescription, ...]:
        """Return every engine, the unavailable included. Raises `EngineError`."""


class RunningJobs(Protocol):
    """Where work runs."""

    def wake(self) -> None:
        """Look for queued jobs now."""

    def cancel(self, job_id: str) -> None:
        """Stop the job if it runs here. Returns at once."""


@dataclass(frozen=True)
class ThumbnailRequest:
    """A picture of one frame of a take: display-referred, ``width_px`` wide."""

    path: str
    frame: int
    width_px: int
    colour: ColourSettings


class ThumbnailMaker(Protocol):
    """Makes small display-referred pictures of frames."""

    def png(self, request: ThumbnailRequest) -> bytes:
        """Return a PNG file. Raises `UnreadableImage` or `UnknownColorspace`."""


TakeAllocator = Callable[[FillRequest, str], tuple[Take, ...]]
"""Makes the version folders of a request's takes: (request, job id) -> takes."""
