"""What a shot needs of memory does not grow with its length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import disc, picture

WIDTH, HEIGHT, SPEED = 96, 64, 2
REACH = 8
COUNT = 200


class ScrollingShot(ArrayShot):
    """A ground that scrolls for ever behind a disc that stands still.

    All frames but the first and last few see everything; there a part is missing. Frames are
    made when asked for, so that none of the shot itself counts.
    """

    def __init__(self, count: int) -> None:
        super().__init__(
            np.zeros((1, HEIGHT, WIDTH, 3), np.float32), np.zeros((1, HEIGHT, WIDTH), np.float32)
        )
        self._reach = self._frames = FrameRange(1, count)
        self._ground = picture(width=400, height=HEIGHT)
        self._disc = disc(WIDTH / 2, HEIGHT / 2, 10.0, WIDTH, HEIGHT)

    def plate(self, frame: int, window: Window | None = None) -> np.ndarray:
        columns = (np.arange(WIDTH) + SPEED * frame) % self._ground.shape[1]
        seen = np.where(self._disc[..., None] > 0, np.float32(0.9), self._ground[:, columns])
        return self._cut(seen, window or self._crop)

    def matte(self, frame: int, window: Window | None = None) -> np.ndarray:
        return self._cut(self._disc, window or self._crop)


@pytest.fixture(scope="module")
def held() -> dict[str, np.ndarray]:
    """MiB of arrays held after each frame, the peak while each was made, and what was invented."""
    engine = create({"worker.threads": 2})[0]
    engine.prepare(QuietWatch())
    job = EngineJob(
        (1,),
        options={
            "reach_frames": REACH,
            "report_layers": True,
            "detail": "draft",
            "motion": "affine",
        },
    )
    after, peaks, invented = [], [], []
    tracemalloc.start()
    try:
        for made in engine.fill(ScrollingShot(COUNT), job, QuietWatch()):
            invented.append(int(made.layers["invented"].sum()))
            del made
            now, peak = tracemalloc.get_traced_memory()
            after.append(now / 2**20)
            peaks.append(peak / 2**20)
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    return {"after": np.array(after), "peak": np.array(peaks), "invented": np.array(invented)}


def test_the_shot_misses_something_at_both_ends_and_nothing_between(held):
    missing = np.flatnonzero(held["invented"])
    assert missing[0] == 0
    assert missing[-1] == COUNT - 1
    assert np.diff(missing).max() > 150


def test_what_is_held_between_frames_does_not_grow(held):
    settled = held["after"][60:180]
    slope_mib = np.polyfit(np.arange(len(settled)), settled, 1)[0] * 1000

    assert slope_mib < 2.0  # in 1,000 frames; a proxy kept for each would be 70 MiB


def test_a_hole_at_the_end_needs_no_more_than_one_at_the_beginning(held):
    # A key at the beginning must not be followed through the shot with all its frames.
    assert held["peak"][180:].max() < 1.3 * held["peak"][:180].max()
