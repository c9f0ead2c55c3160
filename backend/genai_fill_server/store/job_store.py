"""Jobs in SQLite: they survive a restart, and their events can be followed from anywhere."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genai_fill_contract import codec
from genai_fill_contract.errors import (
    DiskFull,
    ErrorReport,
    GenAIFillError,
    InputError,
    Internal,
    MalformedMessage,
)
from genai_fill_contract.job import EventKind, FrameDone, Job, JobEvent, JobState, Progress
from genai_fill_contract.plate import Window
from genai_fill_server.domain.job_states import require_transition
from genai_fill_server.service.job_ports import NewJob, Unsubscribe
from genai_fill_server.store import job_rows as rows
from genai_fill_server.store.schema import open_database

Wake = Callable[[], object]

_FORGOTTEN_AT_ONCE = 50


class SqliteJobStore:
    """`JobStore` in one SQLite file.

    One connection behind one lock: a statement takes tens of microseconds, and one writer
    can never meet another one's lock. Subscribers are called after the commit, by whoever
    made the change; they must return at once.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or make the database at ``path``. Raises `ConfigError` when it is unusable."""
        self._path = path
        self._clock = clock
        self._connection = open_database(path)
        self._lock = threading.RLock()
        self._subscribers: dict[str, list[Wake]] = {}

    def close(self) -> None:
        """Close the file; the store must not be used after."""
        with self._lock:
            self._connection.close()

    def create(self, new: NewJob) -> Job:
        """Queue a job. Raises `Internal` when the id or the key is taken."""
        with self._writing() as db:
            rows.insert_job(db, new.id, new.request, new.created_s, new.idempotency_key)
            rows.insert_takes(db, new.id, new.takes)
            self._append(db, new.id, EventKind.STATE)
            return self._job(db, new.id)

    def find_by_key(self, idempotency_key: str) -> Job | None:
        """Return the job that was created with this key, if any."""
        with self._reading() as db:
            row = db.execute(
                f"{rows.SELECT_JOB} WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
            return rows.job_from(rows.rows_of(db, row)) if row else None

    def get(self, job_id: str) -> Job:
        """Return a job as it is now. Raises `JobNotFound`."""
        with self._reading() as db:
            return self._job(db, job_id)

    def recent(self, limit: int) -> tuple[Job, ...]:
        """Return the newest jobs, newest first."""
        with self._reading() as db:
            found = db.execute(f"{rows.SELECT_JOB} ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
        return self._jobs(found)

    def in_state(self, *states: JobState) -> tuple[Job, ...]:
        """Return every job in one of ``states``, oldest first."""
        return self._jobs(self._rows_in(states))

    def give_up_unreadable(self, *states: JobState) -> int:
        """Fail the jobs in ``states`` that this release cannot read; return how many."""
        given_up = 0
        for row in self._rows_in(states):
            with self._lock:
                try:
                    self.get(row["id"])
                except (InputError, MalformedMessage) as error:
                    self._give_up(row["id"], error)
                    given_up += 1
        return given_up

    def _rows_in(self, states: Sequence[JobState]) -> list[sqlite3.Row]:
        with self._reading() as db:
            marks = ", ".join("?" for _ in states)
            return db.execute(
                f"{rows.SELECT_JOB} WHERE state IN ({marks}) ORDER BY seq",
                tuple(state.value for state in states),
            ).fetchall()

    def claim_next(self) -> Job | None:
        """Move the oldest queued job to RUNNING and return it; None when none waits."""
        with self._lock:
            while job_id := self._next_queued():
                try:
                    return self.transition(job_id, JobState.RUNNING)
                except (InputError, MalformedMessage) as error:
                    self._give_up(job_id, error)
        return None

    def _next_queued(self) -> str | None:
        with self._reading() as db:
            row = db.execute(
                "SELECT id FROM jobs WHERE state = ? ORDER BY seq LIMIT 1",
                (JobState.QUEUED.value,),
            ).fetchone()
            return row["id"] if row else None

    def _give_up(self, job_id: str, error: GenAIFillError) -> None:
        """Fail a job that another release queued and this one cannot read.

        By hand, as it cannot be made a `Job`: one such row must not hold up the queue.
        """
        report = ErrorReport.of(error)
        with self._writing(wake=job_id) as db:
            db.execute(
                "UPDATE jobs SET state = ?, error = ?, finished_s = ? WHERE id = ?",
                (JobState.FAILED.value, codec.dumps(report), self._clock(), job_id),
            )
            self._append(db, job_id, EventKind.STATE, error=report)

    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        message: str = "",
        error: ErrorReport | None = None,
        expected: JobState | None = None,
    ) -> Job:
        """Move a job to ``state``; with ``expected``, only if it is in that state."""
        with self._writing(wake=job_id) as db:
            before = JobState(rows.job_row(db, job_id)["state"])
            if expected is not None and before is not expected:
                return self._job(db, job_id)
            require_transition(job_id, before, state)
            now = self._clock()
            db.execute(
                "UPDATE jobs SET state = ?, error = ?, started_s = coalesce(started_s, ?), "
                "finished_s = ?, fraction = CASE WHEN ? THEN 1.0 ELSE fraction END, "
                "eta_s = CASE WHEN ? THEN NULL ELSE eta_s END WHERE id = ?",
                (
                    state.value,
                    codec.dumps(error) if error else None,
                    now if state is JobState.RUNNING else None,
                    now if state.is_final else None,
                    state is JobState.DONE,
                    state.is_final,
                    job_id,
                ),
            )
            if state.is_final:
                # Who follows a finished job wants frames and states, not every percent.
                db.execute(
                    "DELETE FROM events WHERE job_id = ? AND kind = ?",
                    (job_id, EventKind.PROGRESS.value),
                )
            self._append(db, job_id, EventKind.STATE, message=message, error=error)
            return self._job(db, job_id)

    def set_progress(self, job_id: str, progress: Progress) -> None:
        """Record how far a job is."""
        with self._writing(wake=job_id) as db:
            db.execute(
                "UPDATE jobs SET phase = ?, fraction = ?, eta_s = ? WHERE id = ?",
                (progress.phase, progress.fraction, progress.eta_s, job_id),
            )
            self._append(db, job_id, EventKind.PROGRESS)

    def set_crop(self, job_id: str, crop: Window) -> None:
        """Record the crop at the first frame, the same for every take."""
        with self._writing() as db:
            db.execute("UPDATE jobs SET crop = ? WHERE id = ?", (codec.dumps(crop), job_id))

    def add_frame(self, job_id: str, frame: FrameDone) -> None:
        """Record that a frame is complete on disk; again is free."""
        with self._writing(wake=job_id) as db:
            added = db.execute(
                "INSERT OR IGNORE INTO frames (job_id, take_index, frame) VALUES (?, ?, ?)",
                (job_id, frame.take_index, frame.frame),
            ).rowcount
            if added:
                self._append(db, job_id, EventKind.FRAME, frame=frame)

    def drop_frames(self, job_id: str, take_index: int, frames: Sequence[int]) -> None:
        """Forget frames that turned out to be gone from disk."""
        with self._writing() as db:
            db.executemany(
                "DELETE FROM frames WHERE job_id = ? AND take_index = ? AND frame = ?",
                [(job_id, take_index, frame) for frame in frames],
            )

    def add_log(self, job_id: str, message: str) -> None:
        """Put a line into the job's log."""
        with self._writing(wake=job_id) as db:
            self._append(db, job_id, EventKind.LOG, message=message)

    def count_worker_death(self, job_id: str) -> int:
        """Add one to the worker deaths of a job and return their number."""
        with self._writing() as db:
            db.execute("UPDATE jobs SET worker_deaths = worker_deaths + 1 WHERE id = ?", (job_id,))
            return int(rows.job_row(db, job_id)["worker_deaths"])

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        """Return the job's events with ids above ``after``, in order. Raises `JobNotFound`."""
        with self._reading() as db:
            rows.job_row(db, job_id)
            found = db.execute(
                "SELECT id, event FROM events WHERE job_id = ? AND id > ? ORDER BY id",
                (job_id, after),
            ).fetchall()
        return rows.events_from(found)

    def forget_finished(self, before_s: float) -> int:
        """Forget jobs that ended before ``before_s`` (Unix time); return how many.

        Their takes, recipes and audit lines are not touched. Some at a time, so that nobody
        waits long for the store.
        """
        forgotten = 0
        while True:
            with self._writing() as db:
                gone = rows.delete_ended(db, before_s, _FORGOTTEN_AT_ONCE)
            forgotten += gone
            if gone < _FORGOTTEN_AT_ONCE:
                return forgotten

    def subscribe(self, job_id: str, wake: Wake) -> Unsubscribe:
        """Call ``wake`` after each new event of the job, from any thread."""
        with self._lock:
            self._subscribers.setdefault(job_id, []).append(wake)

        def unsubscribe() -> None:
            with self._lock:
                waiting = self._subscribers.get(job_id, [])
                if wake in waiting:
                    waiting.remove(wake)
                if not waiting:
                    self._subscribers.pop(job_id, None)

        return unsubscribe

    def _jobs(self, found: Sequence[sqlite3.Row]) -> tuple[Job, ...]:
        """Return the readable jobs of `SELECT_JOB` rows.

        Thousands take seconds: the store is held for one of them at a time, and not while they
        are made into messages.
        """
        read = []
        for row in found:
            with self._reading() as db:
                read.append(rows.rows_of(db, row))
        return rows.readable_jobs(read)

    def _job(self, db: sqlite3.Connection, job_id: str) -> Job:
        return rows.job_from(rows.rows_of(db, rows.job_row(db, job_id)))

    def _append(
        self,
        db: sqlite3.Connection,
        job_id: str,
        kind: EventKind,
        *,
        message: str = "",
        error: ErrorReport | None = None,
        frame: FrameDone | None = None,
    ) -> None:
        row = rows.job_row(db, job_id)
        rows.insert_event(
            db,
            JobEvent(
                id=0,
                job_id=job_id,
                kind=kind,
                time_s=self._clock(),
                state=JobState(row["state"]),
                progress=rows.progress_from(row),
                frame=frame,
                message=message,
                error=error,
            ),
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._failure(error) from error

    @contextmanager
    def _writing(self, wake: str = "") -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing. Then wake who follows the job ``wake``."""
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # SQLite rolls back by itself when the disk is full
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            waiting = tuple(self._subscribers.get(wake, ()))
        for call in waiting:
            call()

    def _failure(self, error: sqlite3.Error) -> DiskFull | Internal:
        if "full" in str(error):
            return DiskFull(
                f"The disk of the job database {self._path} is full.",
                hint="Free some room; queued jobs go on by themselves.",
            )
        return Internal(
            f"The job database {self._path} failed: {error}.",
            hint="See whether its disk is healthy, then start the backend again.",
        )
