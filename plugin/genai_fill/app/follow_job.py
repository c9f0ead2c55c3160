"""Follow a job to its end, through lost connections and restarts of the backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from genai_fill.app.ports import Backend, Clock, EventFeed
from genai_fill.app.start_backend import BackendConnection
from genai_fill_contract.errors import (
    BackendLost,
    BackendStartFailed,
    BackendTimeout,
    BackendUnreachable,
    JobNotFound,
)
from genai_fill_contract.job import EventKind, Job, JobEvent, JobState

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
PATIENCE_S = 60.0
"""How long the backend may be away before the job counts as out of reach."""


class JobListener(Protocol):
    """Who hears of a job. Called on the thread that follows."""

    def on_job(self, job: Job) -> None:
        """The whole job: at the beginning, after each reconnection, and at the end."""

    def on_event(self, event: JobEvent) -> None:
        """Something happened."""

    def on_idle(self) -> None:
        """The stream is alive and has nothing new."""

    def on_gap(self) -> None:
        """The connection broke; it is being tried again."""


class FollowJob:
    """Follows jobs. One instance serves any number of threads: it keeps no state."""

    def __init__(self, connection: BackendConnection, clock: Clock) -> None:
        """``connection`` finds the backend again when it has moved."""
        self._connection = connection
        self._clock = clock

    def __call__(self, job_id: str, listener: JobListener) -> Job:
        """Return the job at its end.

        A backend that does not know the job any more has lost it: the state is then LOST,
        if the job was ever seen, else `JobNotFound` is raised. Raises `BackendLost` when
        nothing answers for `PATIENCE_S`, a restart included.
        """
        follower = _Follower(job_id, listener)
        wait_s = FIRST_WAIT_S
        last_contact = self._clock.now()
        restarted = False
        while True:
            seen_before = follower.contacts
            try:
                if job := follower.follow(self._connection.connect(start=False).backend):
                    return job
            except (BackendUnreachable, BackendTimeout, BackendLost):
                listener.on_gap()
            if follower.contacts != seen_before:
                last_contact, wait_s, restarted = self._clock.now(), FIRST_WAIT_S, False
            elif self._clock.now() - last_contact > PATIENCE_S:
                raise BackendLost(
                    "The backend went away while the job was running.",
                    hint="Start it again: the job goes on at the first missing frame. "
                    "Finished frames are on disk.",
                    job=job_id,
                )
            elif wait_s >= LONGEST_WAIT_S / 2 and not restarted:
                # A backend that died takes up its jobs again when it is started.
                restarted = True
                self._try_restart()
            self._clock.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    def _try_restart(self) -> None:
        try:
            self._connection.connect(start=True)
        except (BackendUnreachable, BackendTimeout, BackendStartFailed):
            return  # the next attempts to connect say how it ends


class _Follower:
    """What is known of one job over all its connections."""

    def __init__(self, job_id: str, listener: JobListener) -> None:
        self._job_id = job_id
        self._listener = listener
        self._job: Job | None = None
        self._last_id = 0
        self.contacts = 0

    def follow(self, backend: Backend) -> Job | None:
        """Follow over one connection; return the job when it has come to its end."""
        job = self._ask(backend)
        if job.state.is_final:
            return job
        feed = backend.events(self._job_id, after=self._last_id or job.last_event_id)
        try:
            ended = self._read(feed)
        finally:
            feed.close()
        if not ended:
            return None
        job = self._ask(backend)
        return job if job.state.is_final else None

    def _ask(self, backend: Backend) -> Job:
        try:
            job = backend.job(self._job_id)
        except JobNotFound:
            if self._job is None:
                raise
            job = replace(self._job, state=JobState.LOST)
        self.contacts += 1
        self._job = job
        self._listener.on_job(job)
        return job

    def _read(self, feed: EventFeed) -> bool:
        """Read a feed; return whether the job ended."""
        for event in feed:
            self.contacts += 1
            if event is None:
                self._listener.on_idle()
            elif event.id > self._last_id:
                self._last_id = event.id
                self._listener.on_event(event)
                if event.kind is EventKind.STATE and event.state.is_final:
                    return True
        return False
