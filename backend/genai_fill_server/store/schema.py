"""The job database's tables, its version, and how an older one is brought up to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from genai_fill_contract.errors import ConfigError
from genai_fill_server.store.os_files import open_private

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    created_s REAL NOT NULL,
    started_s REAL,
    finished_s REAL,
    phase TEXT NOT NULL DEFAULT '',
    fraction REAL NOT NULL DEFAULT 0,
    eta_s REAL,
    crop TEXT,
    error TEXT,
    worker_deaths INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE TABLE takes (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    take_index INTEGER NOT NULL,
    take TEXT NOT NULL,
    PRIMARY KEY (job_id, take_index)
);
CREATE TABLE frames (
    job_id TEXT NOT NULL,
    take_index INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (job_id, take_index, frame),
    FOREIGN KEY (job_id, take_index) REFERENCES takes (job_id, take_index)
) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    kind TEXT NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job_id, id);
"""

MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {}
"""Schema version n -> the step that turns a database of version n into one of n + 1."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the job database, making or migrating it.

    Raises `ConfigError` when the file is not a job database, is damaged, or was written by
    a newer release. A damaged file is never deleted or overwritten.
    """
    connection: sqlite3.Connection | None = None
    try:
        # Prompts are in it: made for this user alone before SQLite would make it for all.
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        connection = sqlite3.connect(
            path, timeout=10.0, isolation_level=None, check_same_thread=False
        )
        _prepare(connection, path)
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        raise _unusable(path, error) from error
    except ConfigError:
        if connection is not None:
            connection.close()
        raise
    return connection


def _unusable(path: Path, error: sqlite3.DatabaseError | OSError) -> ConfigError:
    return ConfigError(
        f"The job database {path} cannot be used: {error}.",
        hint="Move the file away to start with an empty queue (frames on disk are not touched), "
        "or choose another folder with backend.state_dir.",
        path=str(path),
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.row_factory = sqlite3.Row
    # WAL: readers never wait for the writer. NORMAL: a power cut may lose the last moments,
    # never the file; a job then resumes a few frames earlier.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # A file from somewhere else must not run code through its schema.
    connection.execute("PRAGMA trusted_schema = OFF")
    found = connection.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(str(found).splitlines()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == 0 and tables:
        raise sqlite3.DatabaseError("it belongs to another program")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"The job database {path} was written by a newer release (schema {version}, "
            f"this one knows {SCHEMA_VERSION}).",
            hint="Start the newer release, or choose another folder with backend.state_dir.",
        )
    _bring_up(connection, version)


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        else:
            for step in range(version, SCHEMA_VERSION):
                MIGRATIONS[step](connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
