"""A lane against scripted workers and a real store: what it does when things go wrong."""

from __future__ import annotations

import threading
import time

import pytest

from genai_fill_contract.errors import DiskFull, ErrorReport, JobNotFound, OutOfMemory
from genai_fill_contract.job import EventKind, JobState, Progress
from genai_fill_server.executors import lane as lane_module
from genai_fill_server.executors.child_process import ChildGone
from genai_fill_server.executors.lane import LaneTimes
from genai_fill_server.executors.local_workers import LocalWorkers
from genai_fill_server.executors.protocol import (
    Cancel,
    Finished,
    Logged,
    Previewed,
    Reported,
    Run,
)
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.job_ports import NewJob
from genai_fill_server.service.live_previews import LivePreviews
from genai_fill_server.store.job_store import SqliteJobStore
from tests.fakes.backend_process import wait_until
from tests.fakes.job_stores import FixedEngines, ListAudit, request_in, takes_in


class ScriptedWorker:
    """Answers a job with a script: messages to send, "die", "hang", or "heed" a cancel."""

    def __init__(self, script) -> None:
        self.script = script
        self.pid = id(self)
        self.is_alive = True
        self.ended = ""
        self.sent = []
        self._poked = threading.Event()

    def send(self, message) -> None:
        self.sent.append(message)
        if isinstance(message, Run):
            self.todo = list(self.script)

    def receive(self, timeout_s):
        step = self.todo[0] if self.todo else "hang"
        job_id = next(m for m in reversed(self.sent) if isinstance(m, Run)).job.id
        if step == "heed" and any(isinstance(m, Cancel) for m in self.sent):
            return Finished(job_id, JobState.CANCELLED)
        if step in ("hang", "heed"):
            self._poked.wait(timeout_s)
            self._poked.clear()
            return None
        self.todo.pop(0)
        if step == "die":
            self.is_alive = False
            raise ChildGone("it died")
        return step(job_id)

    def poke(self) -> None:
        self._poked.set()

    def end(self, grace_s=0.0) -> None:
        self.is_alive, self.ended = False, "ended"

    def kill(self) -> None:
        self.is_alive, self.ended = False, "killed"


def progress(job_id):
    return Reported(job_id, Progress("filling", 0.5))


def cancelled_unasked(job_id):
    return Finished(job_id, JobState.CANCELLED)


def out_of_memory(job_id):
    error = OutOfMemory("No room.", hint="Less.")
    return Finished(job_id, JobState.FAILED, ErrorReport.of(error))


def no_reason(job_id):
    return Finished(job_id, JobState.FAILED)


class Floor:
    """Workers made from scripts, one after the other; the last script is used again."""

    def __init__(self, folder, scripts, **times) -> None:
        self.folder = folder
        self.store = SqliteJobStore(folder / "jobs.sqlite")
        self.scripts = scripts
        self.made: list[ScriptedWorker] = []
        conclude = ConcludeJob(self.store, ListAudit(), FixedEngines())
        self.previews = LivePreviews()
        self.workers = LocalWorkers(
            self.store,
            conclude,
            self.start_worker,
            ("cpu",),
            LaneTimes(**{"idle_timeout_s": 30.0, "poll_s": 0.02, **times}),
            self.previews,
        )
        self.workers.start()

    def start_worker(self, device):
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if script == "no start":
            raise ChildGone("it cannot be started")
        self.made.append(ScriptedWorker(script))
        return self.made[-1]

    def queue(self, job_id="a"):
        takes = takes_in(self.folder / job_id, job_id)
        self.store.create(NewJob(job_id, request_in(self.folder), takes, 1.0))
        self.workers.wake()
        return job_id

    def state(self, job_id="a"):
        return self.store.get(job_id).state

    def states(self, job_id="a"):
        return [e.state for e in self.store.events(job_id, 0) if e.kind is EventKind.STATE]

    def wait_for(self, state, job_id="a"):
        wait_until(lambda: self.state(job_id) is state, timeout_s=10)


@pytest.fixture
def floor(tmp_path, monkeypatch):
    monkeypatch.setattr(lane_module, "_PAUSE_AFTER_FAULT_S", 0.05)
    made: list[Floor] = []

    def make(*scripts, **times) -> Floor:
        made.append(Floor(tmp_path, list(scripts), **times))
        return made[-1]

    yield make
    for each in made:
        each.workers.stop()
        each.store.close()


def test_a_worker_that_does_not_heed_a_cancel_is_killed_after_the_grace(floor):
    it = floor([progress, "hang"], cancel_grace_s=0.2)
    it.queue()
    it.wait_for(JobState.RUNNING)
    it.store.transition("a", JobState.CANCELLING)
    began = time.monotonic()
    it.workers.cancel("a")
    it.wait_for(JobState.CANCELLED)
    assert 0.2 <= time.monotonic() - began < 5
    assert it.made[0].ended == "killed"


def test_a_worker_that_heeds_it_is_told_once_and_kept(floor):
    it = floor([progress, "heed"])
    it.queue()
    it.wait_for(JobState.RUNNING)
    it.store.transition("a", JobState.CANCELLING)
    it.workers.cancel("other")
    it.workers.cancel("a")
    it.wait_for(JobState.CANCELLED)
    assert [m for m in it.made[0].sent if isinstance(m, Cancel)] == [Cancel("a")]
    assert it.made[0].is_alive


def test_a_cancel_between_the_claim_and_the_run_is_not_lost(floor):
    it = floor(["heed"])
    claim = it.store.claim_next

    def claim_and_cancel():
        job = claim()
        if job is not None:
            it.store.transition(job.id, JobState.CANCELLING)
        return job

    it.store.claim_next = claim_and_cancel
    it.queue()
    it.wait_for(JobState.CANCELLED)
    assert it.made[0].ended == ""


def test_a_worker_out_of_memory_is_ended_for_the_next_job_to_have_a_fresh_one(floor):
    it = floor([out_of_memory], [no_reason])
    it.queue("a")
    it.queue("b")
    it.wait_for(JobState.FAILED, "b")
    assert it.store.get("a").error.code == "out_of_memory"
    assert it.store.get("b").error.code == "internal"
    assert it.made[0].ended == "ended"
    assert len(it.made) == 2


def test_workers_that_cannot_be_started_fail_jobs_one_by_one_and_never_hang_the_queue(floor):
    it = floor("no start")
    it.queue("a")
    it.queue("b")
    it.wait_for(JobState.FAILED, "a")
    it.wait_for(JobState.FAILED, "b")
    assert it.store.get("b").error.code == "worker_died"


def test_a_warm_worker_that_died_before_the_job_began_costs_it_nothing(floor):
    it = floor([no_reason], ["die"], [progress, no_reason])
    it.queue("a")
    it.wait_for(JobState.FAILED, "a")
    it.made[0].script = ["die"]
    it.scripts = [[progress, no_reason]]
    it.queue("b")
    it.wait_for(JobState.FAILED, "b")
    assert it.states("b") == ["queued", "running", "failed"]
    assert it.store.count_worker_death("b") == 1


def test_a_job_cancelled_while_its_worker_dies_is_cancelled_not_tried_again(floor):
    it = floor([progress, "hang"], cancel_grace_s=30)
    it.queue()
    it.wait_for(JobState.RUNNING)
    it.store.transition("a", JobState.CANCELLING)
    it.made[0].todo.insert(0, "die")
    it.workers.cancel("a")
    it.wait_for(JobState.CANCELLED)


def test_a_store_that_fails_under_a_job_does_not_leave_it_running_for_ever(floor):
    it = floor([progress, "hang"])
    real = it.store.set_progress
    failed = []

    def set_progress(*args) -> None:
        if not failed:
            failed.append(True)
            raise DiskFull("The disk is full.", hint="Free some.")
        real(*args)

    it.store.set_progress = set_progress
    it.queue()
    wait_until(lambda: it.states().count(JobState.RUNNING) == 2, timeout_s=10)
    assert it.states() == ["queued", "running", "queued", "running"]
    assert it.made[0].ended == "ended"


def fails_once_after(really):
    """Return what does as ``really`` and then, the first time, has a fault of its own."""
    failed = []

    def call(*args, **kwargs):
        result = really(*args, **kwargs)
        if not failed:
            failed.append(True)
            raise OSError("a folder is gone")
        return result

    return call


@pytest.mark.parametrize(
    ("script", "state"), [(no_reason, JobState.FAILED), (cancelled_unasked, JobState.CANCELLED)]
)
def test_a_fault_after_a_jobs_end_does_not_hold_up_the_queue(floor, monkeypatch, script, state):
    recorded = fails_once_after(ConcludeJob.recorded)
    monkeypatch.setattr(ConcludeJob, "recorded", lambda *args: recorded(*args))
    it = floor([script])
    it.queue("a")
    it.wait_for(state, "a")
    it.queue("b")
    it.wait_for(state, "b")
    assert it.states("a") == ["queued", "running", state]
    assert it.store.count_worker_death("a") == 1  # none before this one


def test_a_job_that_is_forgotten_after_a_fault_does_not_hold_up_the_queue(floor, monkeypatch):
    it = floor([no_reason])

    def forget(conclude, job):
        if job.id == "a":
            it.store.forget_finished(float("inf"))
            raise OSError("a folder is gone")

    monkeypatch.setattr(ConcludeJob, "recorded", forget)
    it.queue("a")
    it.queue("b")
    it.wait_for(JobState.FAILED, "b")
    with pytest.raises(JobNotFound):
        it.store.get("a")


def test_a_fault_after_a_job_was_put_back_does_not_hold_up_the_queue(floor):
    it = floor(["die"], ["die"], [no_reason])
    really = it.store.transition
    faulty = fails_once_after(really)

    def transition(job_id, state, **kwargs):
        move = faulty if state is JobState.QUEUED else really
        return move(job_id, state, **kwargs)

    it.store.transition = transition
    it.queue("a")
    it.wait_for(JobState.FAILED, "a")
    assert it.states("a") == ["queued", "running", "queued", "running", "failed"]


def test_stopping_puts_the_running_job_back_and_ends_the_worker(floor):
    it = floor([progress, "hang"])
    it.queue()
    it.wait_for(JobState.RUNNING)
    it.workers.stop()
    assert it.state() is JobState.QUEUED
    assert it.made[0].ended == "ended"


def test_an_idle_worker_ends_and_one_that_works_does_not(floor):
    it = floor([progress, "hang"], [no_reason], idle_timeout_s=0.1)
    it.queue("a")
    it.wait_for(JobState.RUNNING, "a")
    time.sleep(0.3)
    assert it.made[0].is_alive
    it.made[0].todo.insert(0, no_reason)
    it.made[0].poke()
    wait_until(lambda: it.made[0].ended == "ended", timeout_s=10)
    assert it.state("a") is JobState.FAILED


def test_a_line_of_the_worker_reaches_the_artist(floor):
    it = floor([lambda job_id: Logged(job_id, "reading the plate"), no_reason])
    it.queue()
    it.wait_for(JobState.FAILED)
    said = [e.message for e in it.store.events("a", 0) if e.kind is EventKind.LOG]
    assert said == ["reading the plate"]


def shows(png_base64):
    return lambda job_id: Previewed(job_id, 0, 1001, png_base64)


def test_what_a_take_looks_like_so_far_is_kept_while_its_job_runs(floor):
    made = floor([shows("b2xk"), shows("bmV3"), shows("no base64!"), "heed"])
    made.queue()

    wait_until(lambda: made.previews.newest("a", 0) == b"new", timeout_s=10)
    assert made.state() is JobState.RUNNING
    made.store.transition("a", JobState.CANCELLING)
    made.workers.cancel("a")

    made.wait_for(JobState.CANCELLED)
    wait_until(lambda: made.previews.newest("a", 0) is None, timeout_s=10)


def test_a_worker_that_falls_silent_is_told_of_and_can_still_be_cancelled(floor):
    it = floor([progress, "heed"], silence_s=0.2)
    it.queue()

    def lines():
        return [e.message for e in it.store.events("a", 0) if e.kind is EventKind.LOG]

    wait_until(lambda: len(lines()) >= 2, timeout_s=10)
    assert "told nothing for 0.2 seconds" in lines()[0]
    assert "Cancel" in lines()[0]
    assert it.state() is JobState.RUNNING
    it.store.transition("a", JobState.CANCELLING)
    it.workers.cancel("a")
    it.wait_for(JobState.CANCELLED)


def test_a_worker_that_talks_is_not_called_silent(floor):
    it = floor([progress, progress, "heed"], silence_s=30.0)
    it.queue()
    it.wait_for(JobState.RUNNING)
    wait_until(lambda: it.store.get("a").progress.phase, timeout_s=10)
    assert not [e for e in it.store.events("a", 0) if e.kind is EventKind.LOG]
