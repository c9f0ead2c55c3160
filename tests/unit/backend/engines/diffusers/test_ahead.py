"""One frame ahead: order, threads, errors and cancel, without a model."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from genai_fill_contract.errors import GenerationFailed, MissingFrames
from genai_fill_server.engines.diffusers import runtime
from genai_fill_server.engines.diffusers.ahead import in_turn, one_ahead
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of


def nothing():
    """Begin the thread with nothing."""


def doubled(unit, scene, watch):
    return scene * 2


def test_ahead_gives_what_in_turn_gives():
    units = list(range(5))

    ahead = list(one_ahead(units, lambda u: u + 1, doubled, RecordingWatch(), nothing))

    assert ahead == list(in_turn(units, lambda u: u + 1, doubled, RecordingWatch()))
    assert ahead == [(u, 2 * (u + 1)) for u in units]


def test_nothing_to_do_is_nothing():
    assert list(one_ahead([], lambda u: u, doubled, RecordingWatch(), nothing)) == []


def test_the_next_unit_is_made_while_this_one_is_worked_on():
    began = {n: threading.Event() for n in range(3)}

    def make(unit, scene, watch):
        began[unit].set()
        return unit

    frames = one_ahead(range(3), lambda u: u, make, RecordingWatch(), nothing)

    next(frames)
    assert began[1].wait(5)
    assert not began[2].is_set()
    assert [unit for unit, _ in frames] == [1, 2]


def test_only_making_is_in_the_other_thread():
    here = threading.get_ident()
    reads, makes, begins = [], [], []

    def read(unit):
        reads.append(threading.get_ident())

    def make(unit, scene, watch):
        makes.append(threading.get_ident())

    list(
        one_ahead(
            range(3), read, make, RecordingWatch(), lambda: begins.append(threading.get_ident())
        )
    )

    assert set(reads) == {here}
    assert len(set(makes)) == 1
    assert begins == makes[:1]
    assert here not in makes


class Threads(RecordingWatch):
    """Remembers which thread spoke to it."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def progress(self, phase, done, total):
        self.threads.add(threading.get_ident())
        super().progress(phase, done, total)

    def log(self, message):
        self.threads.add(threading.get_ident())
        super().log(message)


def test_what_the_thread_says_is_told_in_order_and_by_the_one_who_asked():
    watch = Threads()

    def make(unit, scene, told):
        told.progress("generating", unit, 3)
        told.log(f"line {unit}")
        told.note("unit", unit)
        told.preview(0, unit, np.zeros((2, 2, 3), np.float32))

    list(one_ahead(range(3), lambda u: u, make, watch, nothing))

    assert watch.threads == {threading.get_ident()}
    assert watch.lines == ["line 0", "line 1", "line 2"]
    assert watch.notes["unit"] == 2
    assert watch.fractions == [("generating", unit / 3) for unit in range(3)]


def test_a_unit_that_cannot_be_read_fails_after_those_before_it():
    def read(unit):
        if unit == 2:
            raise MissingFrames("Frame 2 is gone.", hint="Bring it back.")
        return unit

    frames = one_ahead(range(4), read, doubled, RecordingWatch(), nothing)

    assert [next(frames)[0], next(frames)[0]] == [0, 1]
    with pytest.raises(MissingFrames):
        next(frames)


def test_a_call_that_fails_fails_here():
    def make(unit, scene, watch):
        if unit == 1:
            raise GenerationFailed("no", hint="no")
        return unit

    frames = one_ahead(range(3), lambda u: u, make, RecordingWatch(), nothing)

    assert next(frames)[0] == 0
    with pytest.raises(GenerationFailed):
        next(frames)


def busy(started, left):
    def make(unit, scene, watch):
        started.set()
        try:
            while True:
                watch.check()
                time.sleep(0.005)
        finally:
            left.set()

    return make


def test_cancel_stops_the_call_and_waits_until_it_left_the_device():
    watch, started, left = RecordingWatch(), threading.Event(), threading.Event()
    threading.Thread(target=lambda: started.wait(5) and watch.cancelled.set()).start()
    before = time.monotonic()

    with pytest.raises(FillCancelled):
        list(one_ahead(range(3), lambda u: u, busy(started, left), watch, nothing))

    assert left.is_set()
    assert time.monotonic() - before < 5


def test_leaving_early_stops_the_call_that_runs_ahead():
    started, left = threading.Event(), threading.Event()
    endless = busy(started, left)

    def make(unit, scene, watch):
        return unit if unit == 0 else endless(unit, scene, watch)

    frames = one_ahead(range(3), lambda u: u, make, RecordingWatch(), nothing)
    next(frames)
    assert started.wait(5)
    frames.close()

    assert left.is_set()


def test_a_model_gives_the_same_bits_a_frame_ahead(tiny, monkeypatch):
    engine = engine_of(tiny("stable-diffusion"))
    shot, watch = noisy_shot(64, 64, 3), Threads()
    job = job_of(engine, seeds=(1, 2), sampler="euler_a", noise="per_frame")
    expected = fill(engine, shot, job)

    monkeypatch.setattr(runtime, "works_beside", lambda device: True)
    made = fill(engine, shot, job, watch)

    assert [(f.take_index, f.frame) for f in made] == [(f.take_index, f.frame) for f in expected]
    for a, b in zip(made, expected, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
    assert watch.threads == {threading.get_ident()}


def test_a_model_that_is_cancelled_a_frame_ahead_can_be_used_again(tiny, monkeypatch):
    monkeypatch.setattr(runtime, "works_beside", lambda device: True)
    engine = engine_of(tiny("stable-diffusion"))
    shot, job = noisy_shot(64, 64, 3), job_of(engine, steps=3)
    expected = fill(engine, shot, job)

    frames = engine.fill(shot, job, RecordingWatch())
    next(frames)
    frames.close()

    for a, b in zip(fill(engine, shot, job), expected, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
