"""End a job: only what is on disk counts as done, and every end is recorded."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from genai_fill_contract.engine import ColourDomain, EngineDescription, EngineKind
from genai_fill_contract.errors import (
    BackendLost,
    ErrorReport,
    GenAIFillError,
    GenerationFailed,
)
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take
from genai_fill_server.service.allocate_takes import release_takes, tidy_takes
from genai_fill_server.service.job_ports import AuditEntry, AuditLog, EngineCatalogue, JobStore

_LOG = logging.getLogger(__name__)


class ConcludeJob:
    """The verbs that bring a job to a final state."""

    def __init__(
        self,
        store: JobStore,
        audit: AuditLog,
        engines: EngineCatalogue,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Write final states to ``store`` and to ``audit``."""
        self._store = store
        self._audit = audit
        self._engines = engines
        self._clock = clock

    def finished(self, job_id: str) -> Job:
        """End a job whose worker says that every frame is made.

        DONE only if every frame of every take is on disk now: FAILED when the worker left
        frames out, LOST when frames that it had told of are gone.
        """
        job = self._store.get(job_id)
        never_made = {take.index: _not_told(take) for take in job.takes}
        gone = {take.index: frames_gone(take) for take in job.takes}
        if any(gone.values()):
            return self.lost(job_id, _count(gone))
        if any(never_made.values()):
            return self.failed(
                job_id,
                GenerationFailed(
                    f"The engine {job.request.engine_id!r} left out {_count(never_made)} "
                    f"frame(s) of job {job_id}.",
                    hint="Submit it again; if it happens again, report it with the log.",
                ),
            )
        return self._end(job_id, JobState.DONE)

    def failed(self, job_id: str, error: GenAIFillError) -> Job:
        """End a job with an error; its finished frames stay on disk."""
        return self._end(job_id, JobState.FAILED, error)

    def cancelled(self, job_id: str) -> Job:
        """End a job that was cancelled; its finished frames stay on disk."""
        return self._end(job_id, JobState.CANCELLED)

    def lost(self, job_id: str, frame_count: int) -> Job:
        """End a job whose files vanished under it."""
        job = self._store.get(job_id)
        place = os.path.dirname(job.takes[0].path_pattern) if job.takes else "?"  # noqa: PTH120
        return self._end(
            job_id,
            JobState.LOST,
            BackendLost(
                f"Files of job {job_id} vanished from {place} ({frame_count} frame(s)).",
                hint="See who moved or deleted the folder, or whether its disk is mounted, "
                "and generate it again.",
            ),
        )

    def _end(self, job_id: str, state: JobState, error: GenAIFillError | None = None) -> Job:
        report = ErrorReport.of(error) if error else None
        job = self._store.transition(job_id, state, error=report)
        _LOG.info("job %s: %s%s", job_id, state.value, f": {error.code}" if error else "")
        # Tidied after the state is kept: a power cut in between leaves an empty folder, and not
        # a running job whose version somebody else may take.
        if state in (JobState.FAILED, JobState.CANCELLED):
            release_takes(job.takes)  # folders that never got a file; their versions are free
        else:
            tidy_takes(job.takes)
        self.recorded(job)
        return job

    def recorded(self, job: Job) -> None:
        """Write the end of a job that is in a final state already to the audit log."""
        engine = self._engine_of(job)
        try:
            self._audit.append(AuditEntry("finished", self._clock(), job, engine))
        except GenAIFillError as error:
            # The job did end; its line from the submission is there already.
            _LOG.error("job %s: the audit log lacks its end: %s", job.id, error)

    def _engine_of(self, job: Job) -> EngineDescription:
        try:
            known = {engine.id: engine for engine in self._engines.engines()}
        except Exception:  # noqa: BLE001 - whatever is wrong with engines, the job did end
            _LOG.exception("job %s: the engines cannot be asked", job.id)
            known = {}
        return known.get(job.request.engine_id) or _unlisted(job.request.engine_id)


def frames_gone(take: Take) -> tuple[int, ...]:
    """Return the frames of ``take`` that were told of as complete and are not on disk."""
    return tuple(
        frame
        for frame in take.frames_done
        if not os.path.exists(path_at(take.path_pattern, frame))  # noqa: PTH110 - hot loop
    )


def _not_told(take: Take) -> tuple[int, ...]:
    done = set(take.frames_done)
    return tuple(frame for frame in take.frame_range if frame not in done)


def _count(frames: dict[int, tuple[int, ...]]) -> int:
    return sum(len(numbers) for numbers in frames.values())


def _unlisted(engine_id: str) -> EngineDescription:
    return EngineDescription(
        id=engine_id,
        label=engine_id,
        kind=EngineKind.SHOT,
        domain=ColourDomain.SCENE_LINEAR,
        help="Not installed any more.",
    )
