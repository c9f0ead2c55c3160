"""Take a request in: check everything that can be checked now, then queue it."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import GenAIFillError, InvalidRequest
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.job import Job, JobState
from genai_fill_server.service.allocate_takes import release_takes
from genai_fill_server.service.engine_policy import admit
from genai_fill_server.service.job_ports import (
    AuditEntry,
    AuditLog,
    EngineCatalogue,
    JobStore,
    NewJob,
    RunningJobs,
    TakeAllocator,
)
from genai_fill_server.service.path_policy import PathPolicy

_MAX_KEY_CHARACTERS = 200


@dataclass(frozen=True)
class Submission:
    """What became of a request. ``is_new`` is false when its key had a job already."""

    job: Job
    is_new: bool


class SubmitJob:
    """The verb. Safe to call from several threads."""

    def __init__(
        self,
        store: JobStore,
        engines: EngineCatalogue,
        paths: PathPolicy,
        allocate: TakeAllocator,
        audit: AuditLog,
        running: RunningJobs,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Queue into ``store``; ``running`` is told of each new job."""
        self._store = store
        self._engines = engines
        self._paths = paths
        self._allocate = allocate
        self._audit = audit
        self._running = running
        self._clock = clock
        self._keys = threading.Lock()

    def submit(self, request: FillRequest, idempotency_key: str = "") -> Submission:
        """Queue ``request``; the same key again gives the job that it gave first.

        Raises `InputError`, `EngineError` or `OutputError` when the request cannot run;
        then nothing is left on disk or in the queue.
        """
        if len(idempotency_key) > _MAX_KEY_CHARACTERS:
            raise InvalidRequest(
                f"The idempotency key has {len(idempotency_key)} characters.",
                hint=f"Use at most {_MAX_KEY_CHARACTERS}.",
            )
        known = self._store.find_by_key(idempotency_key) if idempotency_key else None
        if known is None:
            # Before the lock: looking at paths may take as long as a network disk pleases.
            engine = admit(request, self._engines.engines())
            self._paths.check_request(request, engine)
            with self._keys if idempotency_key else contextlib.nullcontext():
                known = self._store.find_by_key(idempotency_key) if idempotency_key else None
                if known is None:
                    job = self._queue(request, engine, idempotency_key)
                    return Submission(job, is_new=True)
        if known.request != request:
            raise InvalidRequest(
                f"The idempotency key of job {known.id} came with another request.",
                hint="Use a new key for a new request.",
                job=known.id,
            )
        return Submission(known, is_new=False)

    def _queue(self, request: FillRequest, engine: EngineDescription, key: str) -> Job:
        now = self._clock()
        job_id = new_job_id(now)
        takes = self._allocate(request, job_id)
        try:
            job = self._record(NewJob(job_id, request, takes, now, key), engine)
        except GenAIFillError:
            release_takes(takes)
            raise
        self._running.wake()
        return job

    def _record(self, new: NewJob, engine: EngineDescription) -> Job:
        # The audit line first: nothing may ever run without one.
        planned = Job(new.id, JobState.QUEUED, new.request, new.takes, new.created_s)
        self._audit.append(AuditEntry("submitted", new.created_s, planned, engine))
        return self._store.create(new)


def new_job_id(now_s: float) -> str:
    """Return an id that sorts by time and cannot be guessed from another one."""
    return f"{int(now_s * 1000):012x}{secrets.token_hex(5)}"
