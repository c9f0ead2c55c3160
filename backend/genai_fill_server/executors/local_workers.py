"""Jobs in worker processes on this machine: one lane a device, each with one warm worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genai_fill_server.executors.child_process import ChildProcess
from genai_fill_server.executors.lane import Lane, LaneTimes
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.job_ports import JobStore
from genai_fill_server.service.live_previews import LivePreviews

StartWorker = Callable[[str], ChildProcess]
"""Starts the worker of a device. Raises `ChildGone`."""


class LocalWorkers:
    """`RunningJobs` on this machine. Jobs are claimed in the order in which they came."""

    def __init__(
        self,
        store: JobStore,
        conclude: ConcludeJob,
        start_worker: StartWorker,
        devices: Sequence[str],
        times: LaneTimes,
        previews: LivePreviews | None = None,
    ) -> None:
        """Run the jobs of ``store`` with one worker for each of ``devices``.

        What they are making is kept in ``previews``; without, nobody looks.
        """
        seen = previews or LivePreviews()
        self._lanes = [
            Lane(device, store, conclude, start_worker, times, seen)
            for device in devices or ("auto",)
        ]

    def start(self) -> None:
        """Start to claim jobs."""
        for lane in self._lanes:
            lane.start()

    def wake(self) -> None:
        """Look for queued jobs now."""
        for lane in self._lanes:
            lane.wake()

    def cancel(self, job_id: str) -> None:
        """Stop the job if it runs here. Returns at once."""
        for lane in self._lanes:
            lane.cancel(job_id)

    def stop(self) -> None:
        """End every worker; what runs is queued again and resumes with the next server."""
        for lane in self._lanes:
            lane.ask_to_stop()
        for lane in self._lanes:
            lane.join()
