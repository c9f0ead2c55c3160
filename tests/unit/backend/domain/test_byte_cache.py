import threading

import numpy as np
import pytest

from genai_fill_contract.plate import Window
from genai_fill_server.domain.byte_cache import ByteCache
from genai_fill_server.domain.pixel_windows import recut, support

KILOBYTE = 256  # float32 values


def array(value):
    return np.full(KILOBYTE, value, np.float32)


def test_the_least_recently_used_goes_first():
    cache = ByteCache(3 * 1024)
    made = []
    for key in (1, 2, 3, 1, 4, 1, 2):
        cache.get(key, lambda key=key: made.append(key) or array(key))
    assert made == [1, 2, 3, 4, 2]
    assert cache.held_bytes == 3 * 1024


def test_the_budget_holds_however_long_the_shot_is():
    cache = ByteCache(10 * 1024)
    for frame in range(1000):
        cache.get(frame, lambda: array(0))
        assert cache.held_bytes <= 10 * 1024


def test_what_is_larger_than_the_budget_is_handed_through():
    cache = ByteCache(100)
    assert cache.get(1, lambda: array(5))[0] == 5
    assert cache.held_bytes == 0


def test_shared_arrays_cannot_be_written_into():
    shared = ByteCache(10_000).get(1, lambda: array(1))
    with pytest.raises(ValueError, match="read-only"):
        shared[0] = 2


def test_threads_may_share_it():
    cache = ByteCache(5 * 1024)

    def work():
        for step in range(300):
            assert cache.get(step % 9, lambda step=step: array(step % 9))[0] == step % 9

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.held_bytes <= 5 * 1024


def test_recutting_pads_what_is_not_there():
    have, want = Window(2, 2, 4, 4), Window(0, 3, 3, 6)
    cut = recut(np.ones((2, 2), np.float32), have, want)
    assert cut.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_the_support_is_tight_and_empty_for_nothing():
    matte = np.zeros((6, 8), np.float32)
    assert support(matte, Window(10, 20, 18, 26)).is_empty
    matte[2, 3] = 1e-30
    matte[4, 1] = 1
    assert support(matte, Window(10, 20, 18, 26)) == Window(11, 22, 14, 25)
