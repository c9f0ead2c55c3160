"""Rows of the job database to the contract's messages and back."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Iterable, Sequence

from genai_fill_contract import codec
from genai_fill_contract.errors import ErrorReport, InputError, JobNotFound, MalformedMessage
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.job import Job, JobEvent, JobState, Progress
from genai_fill_contract.plate import Window
from genai_fill_contract.take import Take

_LOG = logging.getLogger(__name__)
_LAST_EVENT = "(SELECT max(id) FROM events WHERE events.job_id = jobs.id)"
_AHEAD = (
    "(SELECT count(*) FROM jobs AS other WHERE other.state = 'queued' AND other.seq <= jobs.seq)"
)
# Only the two constants above go into the text; every value is a bound parameter.
SELECT_JOB = f"SELECT jobs.*, {_LAST_EVENT} AS last_event_id, {_AHEAD} AS ahead FROM jobs"  # noqa: S608


@dataclasses.dataclass(frozen=True)
class JobRows:
    """Everything that the database has of one job, not yet made into messages."""

    job: sqlite3.Row
    takes: Sequence[sqlite3.Row]
    frames: Sequence[sqlite3.Row]


def rows_of(connection: sqlite3.Connection, row: sqlite3.Row) -> JobRows:
    """Return a `SELECT_JOB` row with the rows of its takes and their finished frames."""
    key = (row["id"],)
    takes = connection.execute("SELECT * FROM takes WHERE job_id = ? ORDER BY take_index", key)
    frames = connection.execute(
        "SELECT take_index, frame FROM frames WHERE job_id = ? ORDER BY frame", key
    )
    return JobRows(row, takes.fetchall(), frames.fetchall())


def job_from(read: JobRows) -> Job:
    """Return the job of its rows. ``queue_position`` is 1 for the job that runs next."""
    row = read.job
    state = JobState(row["state"])
    return Job(
        id=row["id"],
        state=state,
        request=codec.loads(FillRequest, row["request"], unknown="ignore"),
        takes=_takes_of(read),
        created_s=row["created_s"],
        progress=progress_from(row),
        started_s=row["started_s"],
        finished_s=row["finished_s"],
        queue_position=row["ahead"] if state is JobState.QUEUED else None,
        error=codec.loads(ErrorReport, row["error"], unknown="ignore") if row["error"] else None,
        last_event_id=row["last_event_id"] or 0,
    )


def readable_jobs(found: Iterable[JobRows]) -> tuple[Job, ...]:
    """Return the jobs of their rows without those that this release cannot read."""
    jobs: list[Job] = []
    for read in found:
        try:
            jobs.append(job_from(read))
        except (InputError, MalformedMessage) as error:
            _LOG.warning("job %s is from another release: %s", read.job["id"], error.message)
    return tuple(jobs)


def progress_from(row: sqlite3.Row) -> Progress:
    """Return the progress that a job's row holds."""
    return Progress(row["phase"], row["fraction"], row["eta_s"])


def _takes_of(read: JobRows) -> tuple[Take, ...]:
    """Return a job's takes with the frames that are complete on disk, and its crop once known."""
    frames: dict[int, list[int]] = {}
    for row in read.frames:
        frames.setdefault(row["take_index"], []).append(row["frame"])
    crop = read.job["crop"]
    return tuple(
        dataclasses.replace(
            codec.loads(Take, row["take"], unknown="ignore"),
            frames_done=tuple(frames.get(row["take_index"], ())),
            crop=codec.loads(Window, crop) if crop else None,
        )
        for row in read.takes
    )


def insert_job(
    connection: sqlite3.Connection,
    job_id: str,
    request: FillRequest,
    created_s: float,
    idempotency_key: str,
) -> None:
    """Insert a queued job."""
    connection.execute(
        "INSERT INTO jobs (id, state, request, idempotency_key, created_s) VALUES (?, ?, ?, ?, ?)",
        (job_id, JobState.QUEUED.value, codec.dumps(request), idempotency_key or None, created_s),
    )


def insert_takes(connection: sqlite3.Connection, job_id: str, takes: Iterable[Take]) -> None:
    """Insert a new job's takes."""
    connection.executemany(
        "INSERT INTO takes (job_id, take_index, take) VALUES (?, ?, ?)",
        [(job_id, take.index, codec.dumps(take)) for take in takes],
    )


def delete_ended(connection: sqlite3.Connection, before_s: float, limit: int) -> int:
    """Delete at most ``limit`` jobs that ended before ``before_s``, oldest first."""
    ended = [state.value for state in JobState if state.is_final]
    marks = ", ".join("?" for _ in ended)
    found = connection.execute(
        f"SELECT id FROM jobs WHERE state IN ({marks}) AND finished_s < ? "  # noqa: S608 - marks
        "ORDER BY seq LIMIT ?",
        (*ended, before_s, limit),
    ).fetchall()
    ids = [(row["id"],) for row in found]
    connection.executemany("DELETE FROM events WHERE job_id = ?", ids)
    connection.executemany("DELETE FROM frames WHERE job_id = ?", ids)
    connection.executemany("DELETE FROM takes WHERE job_id = ?", ids)
    connection.executemany("DELETE FROM jobs WHERE id = ?", ids)
    return len(found)


def job_row(connection: sqlite3.Connection, job_id: str) -> sqlite3.Row:
    """Return the `SELECT_JOB` row of a job. Raises `JobNotFound`."""
    row: sqlite3.Row | None = connection.execute(
        f"{SELECT_JOB} WHERE jobs.id = ?", (job_id,)
    ).fetchone()
    if row is None:
        raise JobNotFound(
            f"There is no job {job_id[:64]!r} here.",
            hint="It may belong to another backend, or to another state folder.",
        )
    return row


def insert_event(connection: sqlite3.Connection, event: JobEvent) -> None:
    """Append an event; its id is given by the database and rises over all jobs."""
    connection.execute(
        "INSERT INTO events (job_id, kind, event) VALUES (?, ?, ?)",
        (event.job_id, event.kind.value, codec.dumps(event)),
    )


def events_from(rows: Sequence[sqlite3.Row]) -> tuple[JobEvent, ...]:
    """Return the events of rows of the events table."""
    return tuple(
        dataclasses.replace(
            codec.loads(JobEvent, row["event"], unknown="ignore"),
            id=row["id"],
        )
        for row in rows
    )
