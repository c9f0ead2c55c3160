"""The same shot, job and seed give the same bits: any thread count, any resume point."""

from __future__ import annotations

import time

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.levels import pyramid
from genai_fill_server.service.ports import EngineJob, FillCancelled
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import KnownShot, known_shot

COUNT = 20
"""More than one block of keys, so that resuming has an earlier key to find again."""


@pytest.fixture(scope="module")
def shot() -> KnownShot:
    """A hole with real pixels and pixels that no frame shows."""
    made = known_shot(frames=COUNT, width=160, height=100, pan=(1.3, 0.0), speed=2.0, radius=11.0)
    made.mattes[:, :, :14] = 1.0
    return made


def fill(shot: KnownShot, threads: int = 2, **job) -> dict[tuple[int, int], np.ndarray]:
    engine = create({"worker.threads": threads})[0]
    arguments = {"seeds": (5,), **job}
    frames = engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob(**arguments), QuietWatch())
    return {(f.take_index, f.frame): f.pixels for f in frames}


@pytest.fixture(scope="module")
def whole(shot) -> dict[tuple[int, int], np.ndarray]:
    return fill(shot)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_matter(shot, whole, threads):
    again = fill(shot, threads)

    assert again.keys() == whole.keys()
    for key, pixels in whole.items():
        np.testing.assert_array_equal(again[key], pixels)


@pytest.mark.parametrize("done", [(1001,), tuple(range(1001, 1019)), (1003, 1009, 1018)])
def test_the_resume_point_does_not_matter(shot, whole, done):
    rest = fill(shot, done=(frozenset(done),))

    assert sorted(frame for _, frame in rest) == [f for f in range(1001, 1021) if f not in done]
    for key, pixels in rest.items():
        np.testing.assert_array_equal(pixels, whole[key])


def test_takes_share_what_is_real_and_differ_in_what_is_invented(shot):
    takes = fill(shot, seeds=(5, 6), options={"reach_frames": 4})

    first = np.array([takes[0, f] for f in range(1001, 1021)])
    second = np.array([takes[1, f] for f in range(1001, 1021)])
    same = (first == second).all(axis=-1)
    hole = shot.mattes > 0
    assert same[~hole].all()
    assert 0.05 < same[hole].mean() < 1.0


def test_a_take_does_not_depend_on_the_takes_beside_it(shot, whole):
    beside = fill(shot, seeds=(9, 5))

    for (_, frame), pixels in whole.items():
        np.testing.assert_array_equal(beside[1, frame], pixels)


def test_frames_of_a_take_come_in_order_and_only_those_not_done(shot):
    engine = create({"worker.threads": 2})[0]
    job = EngineJob((1, 2), done=(frozenset({1002}), frozenset(range(1001, 1020))))

    told = [
        (f.take_index, f.frame)
        for f in engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch())
    ]

    assert [f for t, f in told if t == 0] == [f for f in range(1001, 1021) if f != 1002]
    assert [f for t, f in told if t == 1] == [1020]


class TimingWatch(QuietWatch):
    """Remembers the longest time between two checks."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_s = 0.0
        self._last = time.thread_time()

    def check(self) -> None:
        # The thread's own time: a busy machine must not fail the test.
        now = time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now


def test_cancel_is_looked_for_often():
    shot = known_shot(frames=3, width=500, height=320, radius=70.0, speed=3.0, pan=(1.0, 0.0))
    engine = create({"worker.threads": 2})[0]
    engine.prepare(QuietWatch())
    watch = TimingWatch()

    list(engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob((1,)), watch))

    assert watch.longest_s < 0.5


def test_a_cancel_is_noticed_while_the_sizes_of_a_picture_are_made():
    checks = []

    hole = np.zeros((200, 300), np.bool_)
    hole[60:140, 80:220] = True
    picture = np.ones((200, 300, 3), np.float32)
    levels = pyramid(picture, picture, hole, lambda: checks.append(1))

    assert len(levels) > 2
    assert len(checks) >= 3 * (len(levels) - 1)


@pytest.mark.parametrize("checks", [1, 20, 60])
def test_a_cancelled_fill_stops_and_can_be_started_again(shot, whole, checks):
    engine = create({"worker.threads": 2})[0]
    job = EngineJob((5,))

    with pytest.raises(FillCancelled):
        list(engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch(checks)))

    frame = next(iter(engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch())))
    np.testing.assert_array_equal(frame.pixels, whole[0, frame.frame])
