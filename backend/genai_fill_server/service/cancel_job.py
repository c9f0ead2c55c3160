"""Cancel a job: at once when it waits, within a step when it runs."""

from __future__ import annotations

from genai_fill_contract.job import Job, JobState
from genai_fill_server.domain.job_states import state_asked_to_cancel
from genai_fill_server.service.allocate_takes import release_takes
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.job_ports import JobStore, RunningJobs


class CancelJob:
    """The verb. Cancelling again, or too late, changes nothing and is no error."""

    def __init__(self, store: JobStore, running: RunningJobs, conclude: ConcludeJob) -> None:
        """Cancel jobs of ``store``; ``running`` stops those that run."""
        self._store = store
        self._running = running
        self._conclude = conclude

    def cancel(self, job_id: str) -> Job:
        """Cancel the job and return it as it is after. Raises `JobNotFound`."""
        while True:
            job = self._store.get(job_id)
            wanted = state_asked_to_cancel(job.state)
            if wanted is job.state:
                self._running.cancel(job_id)
                return job
            after = self._store.transition(job_id, wanted, expected=job.state)
            if after.state is wanted:
                break  # else it moved on between the look and the move: look again
        if after.state is JobState.CANCELLED:
            release_takes(after.takes)
            self._conclude.recorded(after)
        else:
            self._running.cancel(job_id)
        return after
