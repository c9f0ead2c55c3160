"""Which job state may follow which, and what a restart or a dead worker makes of a job."""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_contract.errors import Internal
from genai_fill_contract.job import JobState

FOLLOWERS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(
        {JobState.RUNNING, JobState.CANCELLED, JobState.FAILED, JobState.LOST}
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.QUEUED,
            JobState.CANCELLING,
            JobState.DONE,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.LOST,
        }
    ),
    # A job may finish its last frame in the moment in which it is cancelled.
    JobState.CANCELLING: frozenset(
        {JobState.CANCELLED, JobState.DONE, JobState.FAILED, JobState.LOST}
    ),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.LOST: frozenset(),
}

MAX_WORKER_DEATHS = 2
"""A job is tried again after its worker died, but not after the second death."""


def require_transition(job_id: str, before: JobState, after: JobState) -> None:
    """Raise `Internal` unless ``after`` may follow ``before``; the same state may not."""
    if after not in FOLLOWERS[before]:
        raise Internal(
            f"Job {job_id} is {before.value} and cannot become {after.value}.",
            hint="Report this with the backend's log; nothing on disk was changed.",
            job=job_id,
        )


def state_asked_to_cancel(state: JobState) -> JobState:
    """Return what a cancel makes of ``state``; a final state stays as it is."""
    if state is JobState.QUEUED:
        return JobState.CANCELLED
    if state is JobState.RUNNING:
        return JobState.CANCELLING
    return state


def state_after_server_death(state: JobState) -> JobState:
    """Return where a job stands when the server that had it is gone.

    What ran is queued again and resumes at its first missing frame; what was being
    cancelled is cancelled. Nothing becomes done by a restart.
    """
    if state is JobState.RUNNING:
        return JobState.QUEUED
    if state is JobState.CANCELLING:
        return JobState.CANCELLED
    return state


def state_after_worker_death(state: JobState, deaths: int) -> JobState:
    """Return what becomes of a job whose worker died for the ``deaths``-th time under it.

    Nothing, of one that waits or has ended: the fault came after its state was stored.
    """
    if state is JobState.QUEUED or state.is_final:
        return state
    if state is JobState.CANCELLING:
        return JobState.CANCELLED
    return JobState.QUEUED if deaths < MAX_WORKER_DEATHS else JobState.FAILED
