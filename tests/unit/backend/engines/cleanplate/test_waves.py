"""Work shared out to threads in waves gives the bits of work done in scan order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import heap, settling
from genai_fill_server.engines.cleanplate import waves as waves_module
from genai_fill_server.engines.cleanplate.encoding import encode
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.engines.cleanplate.waves import one_by_one, waves
from tests.fakes.array_shot import QuietWatch


def ragged(height: int = 90, width: int = 130) -> np.ndarray:
    """Centres of a ring with a spur, in scan order: gaps in rows, rows of one pixel."""
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot(rows - height / 2, columns - width / 2)
    inside = ((away < 40) & (away > 18)) | (rows == columns) | (columns == 5)
    return np.argwhere(inside).astype(np.int32)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("chunk", [7, 100, 4000])
def test_every_centre_is_done_once_and_after_those_it_needs(monkeypatch, forward, chunk):
    monkeypatch.setattr(waves_module, "CHUNK", chunk)
    centres = ragged() if forward else np.ascontiguousarray(ragged()[::-1])
    step = -1 if forward else 1
    wave_of = {}
    part_of = {}
    for number, wave in enumerate(waves(centres, forward)):
        for part, places in enumerate(wave):
            assert (np.diff(places) > 0).all()
            for place in places:
                centre = tuple(centres[place])
                assert centre not in wave_of
                wave_of[centre], part_of[centre] = number, part

    assert len(wave_of) == len(centres)
    for (y, x), number in wave_of.items():
        for needed in ((y, x + step), (y + step, x)):
            if needed in wave_of:
                same_part = wave_of[needed] == number and part_of[needed] == part_of[y, x]
                assert same_part or wave_of[needed] < number


def test_a_run_without_centres_has_no_waves():
    assert waves(np.zeros((0, 2), np.int32), forward=True) == []


@pytest.fixture(scope="module")
def torn() -> tuple[np.ndarray, np.ndarray]:
    """A grainy picture with stripes, encoded, and a hole in it."""
    random = np.random.default_rng(4)
    rows, columns = np.mgrid[:120, :150]
    stripes = 0.4 + 0.2 * np.sin(columns / 4.0 + rows / 9.0)
    picture = stripes[..., None] * (1 + 0.1 * random.standard_normal((120, 150, 3)))
    hole = np.hypot(rows - 60, columns - 75) < 32
    return encode(picture.astype(np.float32)), hole


@pytest.mark.parametrize("threads", [2, 5])
def test_texture_is_the_same_on_any_number_of_threads(torn, threads, monkeypatch):
    # Small chunks, so that a small picture has many waves that could get in each other's way.
    monkeypatch.setattr(waves_module, "CHUNK", 300)
    picture, hole = torn
    alone = synthesise(picture, hole, hole, 3, 2, QuietWatch(), one_by_one)

    with ThreadPoolExecutor(threads) as pool:

        def shared(jobs):
            return [future.result() for future in [pool.submit(job) for job in jobs]]

        together = synthesise(picture, hole, hole, 3, 2, QuietWatch(), shared)

    np.testing.assert_array_equal(together, alone)


def test_how_finely_work_is_cut_does_not_matter(torn, monkeypatch):
    picture, hole = torn
    coarse = synthesise(picture, hole, hole, 3, 2, QuietWatch())

    monkeypatch.setattr(waves_module, "CHUNK", 170)
    monkeypatch.setattr(waves_module, "STRIPS", 7)

    np.testing.assert_array_equal(synthesise(picture, hole, hole, 3, 2, QuietWatch()), coarse)


def visits(torn, monkeypatch) -> dict[int, int]:
    """Return how often each level (by its depth) is searched while a picture is made."""
    picture, hole = torn
    found: dict[int, int] = {}
    search = settling._Search.run

    def counted(self, seed):
        found[self.depth] = found.get(self.depth, 0) + 1
        return search(self, seed)

    monkeypatch.setattr(settling._Search, "run", counted)
    synthesise(picture, hole, hole, 3, 3, QuietWatch())
    monkeypatch.setattr(settling._Search, "run", search)
    return found


def test_only_a_level_larger_than_others_is_searched_less_often(torn, monkeypatch):
    usual = visits(torn, monkeypatch)
    monkeypatch.setattr(settling, "VISITS", 6000)
    large = visits(torn, monkeypatch)

    assert usual[0] == 3
    assert large[0] == 1
    assert large[max(large)] == usual[max(usual)]


def test_memory_is_given_back_where_the_system_has_a_call_for_it(monkeypatch):
    heap.giver_back()()

    class Bare:
        """A C library without it."""

        def __init__(self, name) -> None: ...

    monkeypatch.setattr(heap.ctypes, "CDLL", Bare)
    assert heap.giver_back() is heap.nothing_to_give
