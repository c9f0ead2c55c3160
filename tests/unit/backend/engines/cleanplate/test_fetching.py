"""Pixels of a hole fetched from sources: whom it asks, and that asking less changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate import transfer
from genai_fill_server.engines.cleanplate.device import Gathered, Source
from genai_fill_server.engines.cleanplate.transfer import Lookup, gather
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one

HEIGHT, WIDTH = 80, 120


class Plates:
    """Frames with a matte each; counts whose pixels were read."""

    def __init__(self, mattes: list[np.ndarray]) -> None:
        random = np.random.default_rng(2)
        self._pixels = random.uniform(0.01, 3, (len(mattes), HEIGHT, WIDTH, 3)).astype(np.float32)
        self._mattes = mattes
        self.read: list[int] = []

    def sources(self) -> list[Source]:
        return [self._source(number) for number in range(len(self._mattes))]

    def _source(self, number: int) -> Source:
        def pixels(window: Window) -> tuple[np.ndarray, np.ndarray]:
            self.read.append(number)
            return self._pixels[number][_at(window)], covered(window)

        def covered(window: Window) -> np.ndarray:
            return np.ascontiguousarray(self._mattes[number][_at(window)]).view(np.uint8)

        shift = np.full((HEIGHT, WIDTH, 2), (1.3, -0.4), np.float32)
        gain = np.full((HEIGHT // 2, WIDTH // 2, 3), 0.1 * number, np.float32)
        return Source(number + 1, shift, lambda: gain, WIDTH, HEIGHT, pixels, covered)


def _at(window: Window) -> tuple[slice, slice]:
    return slice(window.y0, window.y1), slice(window.x0, window.x1)


def matte(x0: int, x1: int) -> np.ndarray:
    made = np.zeros((HEIGHT, WIDTH), np.bool_)
    made[20:60, x0:x1] = True
    return made


def fetched(sources: list[Source], run: Runner = one_by_one) -> Gathered:
    """Return what they give for a hole that the first source is to fill alone."""
    rows, columns = np.nonzero(matte(30, 90))
    lookup = Lookup(columns.astype(np.float32), rows.astype(np.float32))
    weights = np.zeros((len(sources), HEIGHT, WIDTH), np.float32)
    weights[0] = 1.0
    return gather(sources, weights, lookup, 1, run)


def test_a_source_whose_matte_covers_what_is_missing_is_not_read():
    plates = Plates([matte(70, 100), matte(60, 110), matte(0, 78), matte(50, 105)])

    gathered = fetched(plates.sources())

    # The first hides some; the second and the last hide all of that, the third a part.
    assert plates.read == [0, 2]
    assert set(np.unique(gathered.origin)) == {0.0, 1.0, 3.0}
    assert 0.0 < (gathered.mass <= 0).mean() < 0.3


def test_asking_mattes_first_changes_no_bit():
    plates = Plates([matte(70, 100), matte(0, 78), matte(60, 88), matte(85, 120)])
    sources = plates.sources()

    quick = fetched(sources)
    slow = fetched([replace(source, covered=None) for source in sources])

    assert len(np.unique(quick.origin)) > 2
    for name in ("encoded", "mass", "origin"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name))


def test_a_large_hole_is_fetched_in_parts_that_change_no_bit(monkeypatch):
    mattes = [matte(70, 100), matte(0, 78), matte(60, 88)]
    whole = fetched(Plates(mattes).sources())
    monkeypatch.setattr(transfer, "_PART_PX", 100)
    plates, jobs = Plates(mattes), []

    def run(given):
        jobs.append(len(given))
        return one_by_one(given)

    parted = fetched(plates.sources(), run)

    assert max(jobs) >= 24  # 2,400 pixels
    assert plates.read.count(0) == 24
    for name in ("encoded", "mass", "origin"):
        np.testing.assert_array_equal(getattr(parted, name), getattr(whole, name))
