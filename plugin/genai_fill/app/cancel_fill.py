"""Cancel what is going on for a node."""

from __future__ import annotations

from genai_fill.app.ports import Host
from genai_fill.app.start_backend import BackendConnection
from genai_fill.app.watch import FillWatch
from genai_fill.domain.status_text import error_text, final_text
from genai_fill_contract.errors import GenAIFillError, JobNotFound
from genai_fill_contract.job import Job


class CancelFill:
    """Cancels fills, before or after they have become jobs."""

    def __init__(self, connection: BackendConnection) -> None:
        """``connection`` reaches the backend that runs the job."""
        self._connection = connection

    def __call__(self, job_id: str, watch: FillWatch | None) -> Job | None:
        """Cancel; waits for the backend's answer, so for worker threads.

        Without a job there is only the watch to tell. A job that the backend does not know
        needs no cancelling. Raises `BackendError` when the backend cannot be told.
        """
        if watch is not None:
            watch.cancel()
        if not job_id:
            return None
        try:
            return self._connection.connect(start=False).backend.cancel(job_id)
        except JobNotFound:
            return None

    def on_node(self, host: Host, uuid: str) -> Job | None:
        """Cancel the job that a node has kept, and say so on the node; follow nothing.

        For sessions without a GUI: main thread, waits for the backend's answer. Raises
        `GenAIFillError`, after the node has said so.
        """
        try:
            job = self(host.node(uuid).job_id, None)
        except GenAIFillError as error:
            host.say(uuid, error_text(error), is_error=True)
            raise
        if job is not None:
            ended = job.state.is_final
            host.say(uuid, final_text(job.state, job.takes) if ended else "Cancelling")
        return job
