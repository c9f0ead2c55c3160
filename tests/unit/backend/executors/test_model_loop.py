"""The model child's loop over real pipes, with duties that do as the test says."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager

import pytest

from genai_fill_contract.errors import ModelMissing
from genai_fill_contract.models import ModelList, ModelVerb
from genai_fill_contract.settings import Settings
from genai_fill_server.executors import model_loop
from genai_fill_server.executors.model_loop import ModelLoop, _Teller
from genai_fill_server.executors.protocol import (
    ListModels,
    ModelBegan,
    ModelDone,
    ModelMoved,
    ModelRefused,
    Models,
    Ready,
    Start,
    WorkOnModel,
    read_from_child,
    to_line,
)
from genai_fill_server.service.model_ports import ModelOrder, ModelOutcome, ModelWorkStopped

START = Start(Settings(), "", ("/show",))
PULL = WorkOnModel(ModelOrder(ModelVerb.PULL, "flux"))


class Duties:
    def __init__(self, do=None) -> None:
        self.do = do

    def models(self) -> ModelList:
        return ModelList((), ("/models",))

    def carry_out(self, order, progress, began) -> ModelOutcome:
        began()
        return self.do(order, progress) or ModelOutcome(order.model_id, "Installed.")


@contextmanager
def child(do=None):
    """Run a loop on a thread; gives (to it, from it, what it exited hard with)."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    to_it, from_it = os.fdopen(write_in, "wb", 0), os.fdopen(read_out, "rb")
    its_in, its_out = os.fdopen(read_in, "rb"), os.fdopen(write_out, "wb")
    exits = []
    loop = ModelLoop(its_in, its_out, lambda start: Duties(do), exits.append)

    def run() -> None:
        loop.run()
        its_out.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield to_it, from_it, exits
    finally:
        to_it.close()
        thread.join(10)
        for reader in threading.enumerate():
            if reader.name == "lines-in":
                reader.join(10)
        its_in.close()
        from_it.close()
        assert not thread.is_alive()


def told(from_it) -> list:
    return [read_from_child(line) for line in from_it]


def ask(to_it, message) -> None:
    to_it.write(to_line(START) + to_line(message))


def test_the_models_are_listed():
    with child() as (to_it, from_it, _):
        ask(to_it, ListModels())
        ready, answer = told(from_it)
    assert isinstance(ready, Ready)
    assert answer == Models(ModelList((), ("/models",)))


def test_an_order_tells_of_its_beginning_its_way_and_its_end():
    def do(order, progress):
        progress.start("Fetching flux", 4_000_000)
        progress.advance(4_000_000)
        progress.start("Verifying", 4_000_000)

    with child(do) as (to_it, from_it, _):
        ask(to_it, PULL)
        _, began, *moved, done = told(from_it)
    assert began == ModelBegan()
    assert done == ModelDone("flux", "Installed.")
    assert all(isinstance(one, ModelMoved) for one in moved)
    assert [one.progress.fraction for one in moved] == [0.0, 0.9]
    assert moved[0].progress.phase == "Fetching flux: 0.0 of 4.0 MB"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelMissing("Gone.", hint="Look."), "model_missing"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied", "/models/x"), "output_not_writable"),
        (ZeroDivisionError("oops"), "internal"),
    ],
)
def test_what_goes_wrong_is_told_as_one_of_our_errors(error, code):
    def do(order, progress):
        raise error

    with child(do) as (to_it, from_it, _):
        ask(to_it, PULL)
        *_, answer = told(from_it)
    assert isinstance(answer, ModelRefused)
    assert answer.error.code.value == code


def test_the_end_of_stdin_stops_the_work_at_its_next_byte():
    begun, seen = threading.Event(), []

    def do(order, progress):
        progress.start("Fetching", 100)
        begun.set()
        try:
            while True:
                progress.advance(0)
        except ModelWorkStopped:
            seen.append("stopped")
            raise

    with child(do) as (to_it, from_it, exits):
        ask(to_it, PULL)
        assert begun.wait(10)
        to_it.close()
        assert not any(isinstance(one, ModelDone | ModelRefused) for one in told(from_it))
    assert (seen, exits) == (["stopped"], [])


def test_work_that_hangs_in_a_call_is_ended_with_the_process(monkeypatch):
    monkeypatch.setattr(model_loop, "EXIT_GRACE_S", 0.05)
    hangs, ended = threading.Event(), threading.Event()

    def do(order, progress):
        hangs.set()
        ended.wait(10)

    with child(do) as (to_it, _, exits):
        ask(to_it, PULL)
        assert hangs.wait(10)
        to_it.close()
        for _ in range(400):
            if exits:
                break
            threading.Event().wait(0.01)
        assert exits == [3]
        ended.set()


def test_the_time_left_leaves_out_what_was_there_already():
    now, lines = [0.0], []
    teller = _Teller(lines.append, lambda: False, (1.0,), lambda: now[0])
    teller.start("Fetching", 10_000_000_000)
    teller.advance(5_000_000_000)  # from the last time
    now[0] = 10.0
    teller.advance(1_000_000_000)
    assert lines[-1].progress.eta_s == 40.0
    assert lines[-1].progress.phase == "Fetching: 6.0 of 10.0 GB"
