"""Jobs of long ago leave the list when a server starts; what they made stays."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from genai_fill_contract.plate import path_at
from genai_fill_server.store.state_dir import StateDir
from tests.fakes.backend_process import wait_until

DAY_S = 86_400.0


def finished(backend, request):
    """Submit a job and return it as it is when it is over."""
    client = backend.client()
    job = client.submit(request)
    list(client.follow(job.id))
    return client.job(job.id)


def ids(backend) -> set[str]:
    return {job.id for job in backend.client().jobs(20)}


def test_a_job_of_long_ago_is_forgotten_and_what_it_made_is_not(backend_in, request_for):
    first = backend_in()
    old, new = (finished(first, request_for(seed=seed)) for seed in (1, 2))
    first.stop()
    state = StateDir(first.state_dir)
    with contextlib.closing(sqlite3.connect(state.jobs_path)) as database, database:
        database.execute(
            "UPDATE jobs SET finished_s = ? WHERE id = ?", (time.time() - 91 * DAY_S, old.id)
        )

    keeps_all = backend_in(backend_keep_jobs_days=0)
    third = finished(keeps_all, request_for(seed=3))  # by then it would have been forgotten
    assert ids(keeps_all) == {old.id, new.id, third.id}
    keeps_all.stop()
    audit = state.audit_path.read_bytes()
    last = backend_in()

    wait_until(lambda: ids(last) == {new.id, third.id})
    (take,) = old.takes
    assert take.frames_done
    assert all(Path(path_at(take.path_pattern, frame)).is_file() for frame in take.frames_done)
    assert Path(take.recipe_path).is_file()
    assert state.audit_path.read_bytes() == audit
