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


def job_from(connection: sqlite3.Connection, row: sqlite3.Row) -> Job:
    """Return the job of a `SELECT_JOB` row with its takes.

    ``queue_position`` is 1 for the job that runs next.
    """
    state = JobState(row["state"])
    return Job(
        id=row["id"],
        state=state,
        request=codec.loads(FillRequest, row["request"], unknown="ignore"),
        takes=takes_of(connection, row["id"], row["crop"]),
        created_s=row["created_s"],
        progress=progress_from(row),
        started_s=row["started_s"],
        finished_s=row["finished_s"],
        queue_position=row["ahead"] if state is JobState.QUEUED else None,
        error=codec.loads(ErrorReport, row["error"], unknown="ignore") if row["error"] else None,
        last_event_id=row["last_event_id"] or 0,
    )


def readable_jobs(connection: sqlite3.Connection, found: Sequence[sqlite3.Row]) -> tuple[Job, ...]:
    """Return the jobs of `SELECT_JOB` rows without those that this release cannot read."""
    jobs: list[Job] = []
    for row in found:
        try:
            jobs.append(job_from(connection, row))
        except (InputError, MalformedMessage) as error:
            _LOG.warning("job %s is from another release: %s", row["id"], error.message)
    return tuple(jobs)


def progress_from(row: sqlite3.Row) -> Progress:
    """Return the progress that a job's row holds."""
    return Progress(row["phase"], row["fraction"], row["eta_s"])


def takes_of(connection: sqlite3.Connection, job_id: str, crop: str | None) -> tuple[Take, ...]:
    """Return a job's takes with the frames that are complete on disk.

    ``crop`` is the JSON of the window at the first frame, once known.
    """
    frames: dict[int, list[int]] = {}
    for row in connection.execute(
        "SELECT take_index, frame FROM frames WHERE job_id = ? ORDER BY frame", (job_id,)
    ):
        frames.setdefault(row["take_index"], []).append(row["frame"])
    rows = connection.execute(
        "SELECT * FROM takes WHERE job_id = ? ORDER BY take_index", (job_id,)
    ).fetchall()
    return tuple(
        dataclasses.replace(
            codec.loads(Take, row["take"], unknown="ignore"),
            frames_done=tuple(frames.get(row["take_index"], ())),
            crop=codec.loads(Window, crop) if crop else None,
        )
        for row in rows
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
