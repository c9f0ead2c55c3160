from __future__ import annotations

import sqlite3
import threading

import pytest

from genai_fill_contract.errors import (
    ConfigError,
    DiskFull,
    ErrorReport,
    GenerationFailed,
    Internal,
    JobNotFound,
)
from genai_fill_contract.job import EventKind, FrameDone, JobState, Progress
from genai_fill_contract.plate import Window
from genai_fill_server.service.job_ports import NewJob
from genai_fill_server.store import job_rows, schema
from genai_fill_server.store.job_store import SqliteJobStore
from tests.fakes.job_stores import Clock, request_in, takes_in


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(path):
    store = SqliteJobStore(path, Clock())
    yield store
    store.close()


@pytest.fixture
def queue(store, tmp_path):
    """Queue a job of the given id."""

    def add(job_id: str, key: str = "", **changes):
        takes = takes_in(tmp_path / job_id, job_id)
        return store.create(NewJob(job_id, request_in(tmp_path, **changes), takes, 5.0, key))

    return add


def test_a_job_comes_back_as_it_was_put_in_also_from_another_run(store, queue, path):
    job = queue("a", prompt="a wall – “brick” ☃", seed=7)
    store.close()
    again = SqliteJobStore(path)
    assert again.get("a") == job
    again.close()


def test_jobs_are_claimed_in_the_order_in_which_they_came(store, queue):
    for job_id in "zab":
        queue(job_id)
    claimed = [store.claim_next().id for _ in range(3)]
    assert claimed == ["z", "a", "b"]
    assert store.claim_next() is None


def test_two_lanes_never_claim_the_same_job(store, queue):
    for n in range(40):
        queue(f"j{n}")
    claimed: list[str] = []

    def work() -> None:
        while job := store.claim_next():
            claimed.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"j{n}" for n in range(40))


def test_a_forbidden_transition_changes_nothing(store, queue):
    queue("a")
    before = store.events("a", 0)
    with pytest.raises(Internal, match="queued and cannot become done"):
        store.transition("a", JobState.DONE)
    assert store.get("a").state is JobState.QUEUED
    assert store.events("a", 0) == before


@pytest.mark.parametrize("final", ["done", "failed", "cancelled", "lost"])
def test_nothing_follows_a_final_state(store, queue, final):
    queue("a")
    store.claim_next()
    store.transition("a", JobState(final))
    for state in JobState:
        with pytest.raises(Internal):
            store.transition("a", state)


def test_a_move_from_a_state_that_has_passed_is_not_made(store, queue):
    queue("a")
    store.claim_next()
    after = store.transition("a", JobState.CANCELLED, expected=JobState.QUEUED)
    assert after.state is JobState.RUNNING


def test_the_error_of_a_job_comes_back(store, queue):
    queue("a")
    store.claim_next()
    report = ErrorReport.of(GenerationFailed("It broke.", hint="Again.", frame=3))
    store.transition("a", JobState.FAILED, error=report)
    assert store.get("a").error == report
    assert store.events("a", 0)[-1].error == report


def test_events_rise_over_jobs_and_tell_states_frames_and_logs(store, queue):
    queue("a")
    queue("b")
    store.claim_next()
    store.set_progress("a", Progress("reading", 0.25, 8.0))
    store.add_frame("a", FrameDone(0, 1002, "/x/1002"))
    store.add_frame("a", FrameDone(0, 1002, "/x/1002"))
    store.add_log("a", "hello")
    events = store.events("a", 0)
    assert [event.kind for event in events] == ["state", "state", "progress", "frame", "log"]
    assert events[2].progress == Progress("reading", 0.25, 8.0)
    assert events[3].frame == FrameDone(0, 1002, "/x/1002")
    assert events[4].message == "hello"
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    assert store.events("a", ids[2]) == events[3:]
    assert store.get("a").last_event_id == ids[-1]
    assert not {event.id for event in store.events("b", 0)} & set(ids)


def test_ids_are_not_used_again_after_progress_was_pruned(store, queue):
    queue("a")
    store.claim_next()
    for n in range(50):
        store.set_progress("a", Progress("x", n / 50))
    last = store.get("a").last_event_id
    store.transition("a", JobState.DONE)
    kinds = {event.kind for event in store.events("a", 0)}
    assert EventKind.PROGRESS not in kinds
    assert store.get("a").last_event_id > last


def test_frames_come_back_in_the_order_of_the_range_and_can_be_dropped(store, queue):
    queue("a")
    store.set_crop("a", Window(1, 2, 30, 40))
    for frame in (1003, 1001, 1002):
        store.add_frame("a", FrameDone(0, frame, "p"))
    store.drop_frames("a", 0, [1002])
    take = store.get("a").takes[0]
    assert take.frames_done == (1001, 1003)
    assert take.crop == Window(1, 2, 30, 40)


def test_queue_positions_count_from_one(store, queue):
    for job_id in "abc":
        queue(job_id)
    store.claim_next()
    assert [store.get(j).queue_position for j in "abc"] == [None, 1, 2]


def test_a_key_finds_its_job_and_cannot_be_used_twice(store, queue, tmp_path):
    job = queue("a", key="k")
    assert store.find_by_key("k") == job
    assert store.find_by_key("") is None
    with pytest.raises(Internal):
        store.create(NewJob("b", request_in(tmp_path), (), 5.0, "k"))
    with pytest.raises(JobNotFound):
        store.get("b")


def test_jobs_without_a_key_do_not_clash(queue):
    queue("a")
    queue("b")


@pytest.mark.parametrize("call", ["get", "events", "claim"])
def test_an_unknown_job_is_named(store, call):
    with pytest.raises(JobNotFound, match="nobody"):
        {
            "get": lambda: store.get("nobody"),
            "events": lambda: store.events("nobody", 0),
            "claim": lambda: store.transition("nobody", JobState.RUNNING),
        }[call]()


def test_followers_are_woken_after_the_change_and_not_after_they_left(store, queue):
    queue("a")
    seen: list[JobState] = []
    leave = store.subscribe("a", lambda: seen.append(store.get("a").state))
    store.subscribe("b", lambda: seen.append("wrong job"))
    store.claim_next()
    leave()
    leave()
    store.transition("a", JobState.DONE)
    assert seen == [JobState.RUNNING]


def test_worker_deaths_are_counted_through_a_restart(store, queue, path):
    queue("a")
    assert store.count_worker_death("a") == 1
    store.close()
    again = SqliteJobStore(path)
    assert again.count_worker_death("a") == 2
    again.close()


def test_times_are_those_of_the_first_start_and_the_end(store, queue):
    queue("a")
    started = store.claim_next().started_s
    store.transition("a", JobState.QUEUED)
    assert store.claim_next().started_s == started
    done = store.transition("a", JobState.DONE)
    assert done.finished_s > started
    assert done.progress.fraction == 1.0
    assert done.progress.eta_s is None


def test_the_database_is_this_users_alone(store, path):
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\0" * 80]
)
def test_a_damaged_file_is_refused_by_name_and_kept(path, content):
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"jobs\.sqlite") as caught:
        SqliteJobStore(path)
    assert "Move the file away" in caught.value.hint
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE pictures (id)")
    other.close()
    with pytest.raises(ConfigError, match="another program"):
        SqliteJobStore(path)


def test_a_newer_schema_is_refused(store, path):
    store.close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    raw.close()
    with pytest.raises(ConfigError, match="newer release"):
        SqliteJobStore(path)


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path):
    with pytest.raises(ConfigError, match=r"missing"):
        SqliteJobStore(tmp_path / "missing" / "jobs.sqlite")


def test_an_older_schema_is_brought_up_step_by_step_or_not_at_all(store, queue, path, monkeypatch):
    queue("a")
    store.close()
    steps = {
        1: lambda db: db.execute("ALTER TABLE jobs ADD COLUMN note TEXT DEFAULT 'old'"),
        2: lambda db: db.execute("UPDATE nowhere SET x = 1"),
    }
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    with pytest.raises(ConfigError, match="nowhere"):
        SqliteJobStore(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone()[0] == 1
    assert "note" not in [row[1] for row in raw.execute("PRAGMA table_info(jobs)")]
    raw.close()
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 2)
    again = SqliteJobStore(path)
    assert again.get("a").state is JobState.QUEUED
    again.close()
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT note FROM jobs").fetchone()[0] == "old"
    raw.close()


def test_a_job_that_this_release_cannot_read_does_not_hold_up_the_queue(store, queue, path):
    queue("a")
    queue("b")
    raw = sqlite3.connect(path)
    raw.execute("UPDATE jobs SET request = '{\"seed\": -1}' WHERE id = 'a'")
    raw.commit()
    raw.close()
    assert [job.id for job in store.recent(10)] == ["b"]
    assert store.claim_next().id == "b"
    assert store.claim_next() is None
    states = [event.state for event in store.events("a", 0)]
    assert states[-1] is JobState.FAILED


def test_a_full_disk_is_said_as_such_and_leaves_the_job_as_it_was(store, queue):
    queue("a")
    store._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(DiskFull):
        store.add_log("a", "x" * 200_000)
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.claim_next().id == "a"


def test_jobs_that_ended_long_ago_are_forgotten_and_open_ones_never(store, queue, tmp_path):
    for job_id in ("old", "new", "open"):
        queue(job_id)
        store.add_frame(job_id, FrameDone(0, 1001, "x"))
    store.transition("old", JobState.CANCELLED)
    between = store._clock()
    store.transition("new", JobState.CANCELLED)

    assert store.forget_finished(between) == 1

    assert [job.id for job in store.recent(10)] == ["open", "new"]
    with pytest.raises(JobNotFound):
        store.get("old")
    with pytest.raises(JobNotFound):
        store.events("old", 0)
    assert store.get("new").takes[0].frames_done == (1001,)
    assert (tmp_path / "old" / "takes" / "fill_v001").is_dir()
    assert store.forget_finished(between) == 0


def test_more_old_jobs_than_are_forgotten_at_once_all_go(store, queue):
    for number in range(120):
        queue(f"job-{number}")
        store.transition(f"job-{number}", JobState.CANCELLED)
    assert store.forget_finished(1e12) == 120
    assert store.recent(10) == ()


def test_listing_jobs_lets_others_at_the_store_meanwhile(store, queue, monkeypatch):
    for number in range(20):
        queue(f"job-{number}")
    other = threading.Thread(target=lambda: store.add_log("job-0", "between"))
    decode = job_rows.job_from

    def slow(read):
        if not other.ident:
            other.start()
            other.join(10)
            assert not other.is_alive(), "the store was held while messages were made"
        return decode(read)

    monkeypatch.setattr(job_rows, "job_from", slow)
    assert len(store.recent(20)) == 20
    assert other.ident
