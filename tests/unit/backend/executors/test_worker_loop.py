"""The worker's side of the protocol, over real pipes in this process."""

from __future__ import annotations

import os
import threading
import time

import pytest

from genai_fill_contract.errors import EmptyMatte
from genai_fill_contract.job import FrameDone, Job, JobState, Progress
from genai_fill_contract.settings import Settings
from genai_fill_server.executors import worker_loop
from genai_fill_server.executors.protocol import (
    Cancel,
    Describe,
    Engines,
    Finished,
    FrameWritten,
    Logged,
    MakeThumbnail,
    Ready,
    Refused,
    Reported,
    Run,
    Start,
    Thumbnail,
    read_from_child,
    to_line,
)
from genai_fill_server.executors.worker_loop import WorkerLoop
from genai_fill_server.executors.worker_watch import WorkerWatch
from genai_fill_server.service.ports import FillCancelled, FillInterrupted
from tests.fakes.job_stores import PAINT, Clock, request_in


class ScriptedDuties:
    """Does what the prompt of a job says."""

    def __init__(self):
        self.ended = []

    def describe(self):
        return [PAINT]

    def run(self, job, watch):
        try:
            self._act(job, watch)
        except FillCancelled as end:
            self.ended.append(type(end))
            raise

    def _act(self, job, watch):
        watch.log("begins")
        if job.request.prompt == "wait":
            while True:
                time.sleep(0.005)
                watch.check()
        if job.request.prompt == "stick":
            time.sleep(60)
        if job.request.prompt == "empty":
            raise EmptyMatte("Empty.", hint="Paint.")
        if job.request.prompt == "memory":
            raise MemoryError
        if job.request.prompt == "fault":
            raise KeyError("oh")
        watch.frame_done(FrameDone(0, 1001, "/x"))

    def thumbnail(self, request):
        if request.width_px == 13:
            raise ValueError("thirteen")
        return b"PNG" + request.path.encode()


class Child:
    """A `WorkerLoop` in a thread, with the server's end of its pipes."""

    def __init__(self) -> None:
        child_in, self._server_out = os.pipe()
        self._server_in, child_out = os.pipe()
        self.exited: list[int] = []
        self._files = [os.fdopen(child_in, "rb"), os.fdopen(child_out, "wb")]
        self.duties = ScriptedDuties()
        loop = WorkerLoop(*self._files, lambda start: self.duties, self.exited.append)
        self.thread = threading.Thread(target=loop.run, daemon=True)
        self.thread.start()
        self.lines = os.fdopen(self._server_in, "rb")
        self.say(Start(Settings(), "cpu", ()))
        assert isinstance(self.hear(), Ready)

    def say(self, *messages) -> None:
        os.write(self._server_out, b"".join(to_line(message) for message in messages))

    def hear(self):
        return read_from_child(self.lines.readline())

    def hear_until(self, kind):
        while not isinstance(message := self.hear(), kind):
            pass
        return message

    def hang_up(self) -> None:
        if self._server_out is not None:
            os.close(self._server_out)
            self._server_out = None

    def close(self) -> None:
        self.hang_up()
        self.thread.join(5)
        for file in (*self._files, self.lines):
            file.close()


@pytest.fixture
def child(monkeypatch):
    monkeypatch.setattr(worker_loop, "EXIT_GRACE_S", 0.3)
    child = Child()
    yield child
    child.close()


@pytest.fixture
def run(tmp_path):
    def make(prompt: str = "", job_id: str = "j") -> Run:
        return Run(Job(job_id, JobState.RUNNING, request_in(tmp_path, prompt=prompt), (), 1.0))

    return make


def test_a_job_is_run_and_told_of(child, run):
    child.say(run())
    assert child.hear() == Logged("j", "begins")
    assert child.hear() == FrameWritten("j", FrameDone(0, 1001, "/x"))
    assert child.hear() == Finished("j", JobState.DONE)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [("empty", "empty_matte"), ("memory", "out_of_memory"), ("fault", "internal")],
)
def test_a_failure_is_told_and_the_next_job_runs(child, run, prompt, code):
    child.say(run(prompt), run("", "k"))
    ended = child.hear_until(Finished)
    assert (ended.job_id, ended.state, ended.error.code) == ("j", JobState.FAILED, code)
    assert child.hear_until(Finished) == Finished("k", JobState.DONE)


def test_a_cancel_is_heard_while_the_job_runs(child, run):
    child.say(run("wait"))
    child.hear()
    child.say(Cancel("other"), Cancel("j"))
    assert child.hear() == Finished("j", JobState.CANCELLED)


def test_a_cancel_that_comes_before_its_job_begins_counts(child, run):
    child.say(run("wait"), run("", "k"), Cancel("k"))
    child.hear()
    child.say(Cancel("j"))
    assert child.hear() == Finished("j", JobState.CANCELLED)
    assert child.hear() == Finished("k", JobState.CANCELLED)


def test_questions_are_answered_or_refused(child):
    from genai_fill_contract.plate import ColourSettings

    child.say(Describe(1), MakeThumbnail(2, "/x", 1, 99, ColourSettings()))
    assert child.hear() == Engines(1, (PAINT,))
    assert child.hear() == Thumbnail(2, "UE5HL3g=")
    child.say(MakeThumbnail(3, "/x", 1, 13, ColourSettings()))
    refused = child.hear()
    assert isinstance(refused, Refused)
    assert "thirteen" in refused.error.message


def test_when_the_server_is_gone_a_running_job_ends_and_so_does_the_loop(child, run):
    child.say(run("wait"))
    child.hear()
    child.hang_up()
    child.thread.join(5)
    assert not child.thread.is_alive()
    assert child.duties.ended == [FillInterrupted]


def test_a_job_that_does_not_look_round_is_ended_with_the_process(child, run):
    child.say(run("stick"))
    child.hear()
    child.hang_up()
    deadline = time.monotonic() + 5
    while not child.exited and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.exited == [3]
    child.thread = threading.Thread()  # it sleeps on; the real process would be gone
    child.thread.start()


def test_a_line_that_is_no_message_ends_the_worker(child):
    os.write(child._server_out, b"hello\n")
    child.thread.join(5)
    assert not child.thread.is_alive()


def test_a_server_that_is_gone_interrupts_a_job_and_does_not_cancel_it():
    gone = WorkerWatch("j", [].append, lambda: False, is_orphaned=lambda: True)
    with pytest.raises(FillInterrupted):
        gone.check()
    cancelled = WorkerWatch("j", [].append, lambda: True, is_orphaned=lambda: True)
    with pytest.raises(FillCancelled) as raised:
        cancelled.check()
    assert not isinstance(raised.value, FillInterrupted)


def test_progress_is_told_a_few_times_a_second_and_a_new_phase_at_once():
    sent: list = []
    now = [0.0]
    watch = WorkerWatch("j", sent.append, lambda: False, lambda: now[0])
    for n in range(1000):
        now[0] = n * 0.001
        watch.report(Progress("reading" if n < 990 else "filling", n / 1000))
    assert 5 <= len(sent) <= 12
    assert sent[0] == Reported("j", Progress("reading", 0.0))
    assert [s.progress.phase for s in sent].count("filling") == 1
    assert sent[-1].progress == Progress("filling", 0.99)


def test_a_log_line_has_an_end():
    sent: list = []
    WorkerWatch("j", sent.append, lambda: False, Clock()).log("x" * 10**6)
    assert len(sent[0].message) == 2000


def test_check_raises_what_no_except_exception_catches():
    watch = WorkerWatch("j", lambda m: None, lambda: True, Clock())
    with pytest.raises(FillCancelled):
        watch.check()
    assert not issubclass(FillCancelled, Exception)
