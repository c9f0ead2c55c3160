"""Small versions that will be asked for are begun with while others are asked for."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Event

import numpy as np

from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.proxies import Proxies
from tests.fakes.array_shot import ArrayShot, QuietWatch

FRAMES = 12


class AtOnce(Executor):
    """Runs at once what is given to it, and remembers how much that was."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, function, /, *arguments, **named):
        self.count += 1
        future: Future = Future()
        future.set_result(function(*arguments, **named))
        return future


def proxies() -> tuple[Proxies, ArrayShot]:
    random = np.random.default_rng(1)
    plates = random.uniform(0.1, 1, (FRAMES, 24, 32, 3)).astype(np.float32)
    shot = ArrayShot(plates, np.zeros(plates.shape[:3], np.float32))
    return Proxies(shot, QuietWatch(), NumbaDevice(), 40), shot


def test_what_is_expected_follows_what_is_looked_ahead_for():
    made, shot = proxies()
    threads = AtOnce()
    made.expect(range(1001, 1005))

    made.look_ahead((1010,), threads)
    read = shot.pixels_read

    assert threads.count == 5
    for frame in (1010, 1003, 1001, 1004, 1002):
        assert made.get(frame).frame == frame
    assert shot.pixels_read == read


def test_frames_asked_for_in_order_are_begun_with_before_they_are():
    made, _ = proxies()
    threads = AtOnce()
    made.look_ahead((), threads)

    made.get(1003)
    made.get(1004)
    begun = threads.count

    assert begun == 3
    assert made.get(1005).frame == 1005


def test_nothing_is_begun_with_beyond_the_shot():
    made, _ = proxies()
    threads = AtOnce()
    made.look_ahead((), threads)

    for frame in (1010, 1011, 1012):
        made.get(frame)

    # Asked in order from 1010 on: only 1012 was left to begin with.
    assert threads.count == 1


def test_a_small_version_made_ahead_is_that_made_when_asked_for():
    ahead, _ = proxies()
    ahead.look_ahead((1004,), AtOnce())
    asked, _ = proxies()

    one, other = ahead.get(1004), asked.get(1004)

    for name in ("levels", "valid", "hole", "light", "light_valid"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_what_ended_threads_never_began_with_is_made_by_others():
    made, shot = proxies()
    gate = Event()

    class Held(ArrayShot):
        def matte(self, frame, window=None):
            gate.wait(10)
            return shot.matte(frame, window)

        def plate(self, frame, window=None):
            return shot.plate(frame, window)

    made._shot = Held(np.zeros((FRAMES, 24, 32, 3), np.float32), np.zeros((FRAMES, 24, 32)))
    with ThreadPoolExecutor(1) as first:
        made.look_ahead(range(1001, 1005), first)
        first.shutdown(wait=False, cancel_futures=True)
        gate.set()

    # Some were cancelled and will never be: waiting for them would have no end.
    with ThreadPoolExecutor(1) as second:
        made.look_ahead(range(1001, 1005), second)
        assert [made.get(frame).frame for frame in range(1001, 1005)] == [1001, 1002, 1003, 1004]


def test_threads_that_end_are_used_no_more():
    made, _ = proxies()
    with ThreadPoolExecutor(1) as threads:
        made.look_ahead((1001,), threads)
        made.forget_threads()

    assert made.get(1002).frame == 1002
    assert made.get(1003).frame == 1003, "asked in order, which begins with what follows"
    assert made.get(1001).frame == 1001
