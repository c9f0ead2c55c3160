"""Put the jobs of a server that is gone back where they can go on."""

from __future__ import annotations

import os

from genai_fill_contract.job import Job, JobState
from genai_fill_server.domain.job_states import state_after_server_death
from genai_fill_server.service.conclude_job import ConcludeJob, frames_gone
from genai_fill_server.service.job_ports import JobStore

_OPEN = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


class RecoverJobs:
    """The verb: called once, before any job is claimed."""

    def __init__(self, store: JobStore, conclude: ConcludeJob) -> None:
        """Recover the jobs of ``store``."""
        self._store = store
        self._conclude = conclude

    def recover(self) -> tuple[Job, ...]:
        """Return the jobs that were touched, as they are after.

        Running ones are queued again and resume at their first missing frame; those being
        cancelled are cancelled; those whose version folders vanished are lost. Jobs of another
        release that this one cannot read fail.
        """
        self._store.give_up_unreadable(*_OPEN)
        open_jobs = self._store.in_state(*_OPEN)
        touched = [self._recover(job) for job in open_jobs]
        return tuple(job for job in touched if job is not None)

    def _recover(self, job: Job) -> Job | None:
        after = state_after_server_death(job.state)
        if after is JobState.CANCELLED:
            return self._conclude.cancelled(job.id)
        if _folders_gone(job):
            return self._conclude.lost(job.id, sum(len(take.frames_done) for take in job.takes))
        for take in job.takes:
            self._store.drop_frames(job.id, take.index, frames_gone(take))
        if after is job.state:
            return None
        return self._store.transition(
            job.id, after, message="The backend was started again; the job resumes."
        )


def _folders_gone(job: Job) -> bool:
    folders = {os.path.dirname(take.path_pattern) for take in job.takes}  # noqa: PTH120
    return any(not os.path.isdir(folder) for folder in folders)  # noqa: PTH112
