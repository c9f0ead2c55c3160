"""What every engine must do. Subclass `EngineCompliance` and give it an engine.

The suite drives an engine through its port alone, on a small moving shot held in arrays.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import InvalidOption
from genai_fill_server.service.ports import MAX_PREVIEW_PX, Engine, EngineJob, FillCancelled
from tests.compliance.engines.moving_shot import MovingShot


class RecordingWatch:
    """A watch that keeps what it is told and can be cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.fractions: list[tuple[str, float]] = []
        self.lines: list[str] = []
        self.notes: dict[str, object] = {}
        self.previews: list[tuple[int, int, np.ndarray]] = []
        self.longest_silence_s = 0.0
        self._last = time.monotonic()

    def check(self) -> None:
        now = time.monotonic()
        self.longest_silence_s = max(self.longest_silence_s, now - self._last)
        self._last = now
        if self.cancelled.is_set():
            raise FillCancelled

    def progress(self, phase: str, done: float, total: float) -> None:
        self.check()
        assert phase
        assert 0 <= done <= total
        self.fractions.append((phase, done / total if total else 1.0))

    def log(self, message: str) -> None:
        self.lines.append(message)

    def preview(self, take_index: int, frame: int, rgb) -> None:
        assert rgb.dtype == np.float32
        assert rgb.shape[2:] == (3,)
        assert 0 < max(rgb.shape) <= MAX_PREVIEW_PX
        assert rgb.min() >= 0
        assert rgb.max() <= 1
        self.previews.append((take_index, frame, rgb))

    def note(self, key: str, value: object) -> None:
        import json

        json.dumps(value, allow_nan=False)
        self.notes[key] = value


class EngineCompliance:
    """Subclass as ``class TestMine(EngineCompliance)`` and define `make_engine`."""

    size_px = (96, 64)
    frame_count = 5
    options: dict[str, object] = {}  # noqa: RUF012 - overridden, never changed

    @classmethod
    def make_engine(cls) -> Engine:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls):
        engine = cls.make_engine()
        engine.prepare(RecordingWatch())
        yield engine
        engine.release()

    def shot(self, **changes) -> MovingShot:
        return MovingShot(self.size_px, self.frame_count, **changes)

    def job(self, engine: Engine, takes: int = 1, done=()) -> EngineJob:
        return EngineJob(
            seeds=tuple(range(7, 7 + takes)),
            prompt="a brick wall in soft light",
            options=engine.description.resolve(self.options),
            done=done,
        )

    def run(self, engine, shot, job, watch=None):
        return list(engine.fill(shot, job, watch or RecordingWatch()))

    def test_the_description_is_complete(self, engine):
        description = engine.description

        assert isinstance(description, EngineDescription)
        assert description.id
        assert description.label
        assert description.help.endswith(".")
        assert description.available
        assert description.size_multiple_px >= 1
        names = [option.name for option in description.options]
        assert len(set(names)) == len(names)
        for option in description.options:
            assert option.help, option.name
            assert option.label, option.name

    def test_every_default_is_a_valid_value(self, engine):
        assert set(engine.description.resolve({})) == {o.name for o in engine.description.options}

    def test_an_unknown_option_is_refused(self, engine):
        with pytest.raises(InvalidOption):
            engine.description.resolve({"no_such_option_": 1})

    def test_every_frame_of_every_take_comes_once_and_in_order(self, engine):
        shot = self.shot()

        frames = self.run(engine, shot, self.job(engine, takes=2))

        for take in range(2):
            assert [f.frame for f in frames if f.take_index == take] == list(shot.frames)
        assert len(frames) == 2 * len(shot.frames)

    def test_pixels_are_finite_float32_of_the_crop(self, engine):
        shot = self.shot()

        for filled in self.run(engine, shot, self.job(engine)):
            window = shot.window(filled.frame)
            assert filled.window == window
            assert filled.pixels.shape == (window.height, window.width, 3)
            assert filled.pixels.dtype == np.float32
            assert np.isfinite(filled.pixels[shot.matte(filled.frame) > 0]).all()
            for plane in filled.layers.values():
                assert plane.dtype == np.float32
                assert plane.shape[:2] == (window.height, window.width)

    def test_the_matte_is_filled_with_something_else(self, engine):
        shot = self.shot()

        for filled in self.run(engine, shot, self.job(engine)):
            inside = shot.matte(filled.frame) >= 1
            assert not np.array_equal(filled.pixels[inside], shot.plate(filled.frame)[inside])

    def test_the_shot_is_not_changed(self, engine):
        shot = self.shot()
        before = shot.fingerprint()

        self.run(engine, shot, self.job(engine))

        assert shot.fingerprint() == before

    def test_the_same_seed_gives_the_same_bits(self, engine):
        first = self.run(engine, self.shot(), self.job(engine))
        second = self.run(engine, self.shot(), self.job(engine))

        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)

    def test_a_resumed_job_gives_the_same_bits(self, engine):
        shot = self.shot()
        whole = {f.frame: f.pixels for f in self.run(engine, shot, self.job(engine))}
        done = frozenset([shot.frames.first, shot.frames.first + 2])

        rest = self.run(engine, self.shot(), self.job(engine, done=(done,)))

        assert [f.frame for f in rest] == [f for f in shot.frames if f not in done]
        for filled in rest:
            np.testing.assert_array_equal(filled.pixels, whole[filled.frame])

    def test_cancel_passes_through_and_the_engine_still_works(self, engine):
        watch = RecordingWatch()
        watch.cancelled.set()

        with pytest.raises(FillCancelled):
            self.run(engine, self.shot(), self.job(engine), watch)

        assert self.run(engine, self.shot(), self.job(engine))

    def test_cancel_in_the_middle_stops_before_the_next_frame(self, engine):
        watch = RecordingWatch()
        came = []

        def cancel_after_the_first():
            for filled in engine.fill(self.shot(), self.job(engine, takes=2), watch):
                came.append(filled)
                watch.cancelled.set()

        with pytest.raises(FillCancelled):
            cancel_after_the_first()

        # A video engine may hand out the rest of a window that was finished already.
        assert 1 <= len(came) < 2 * self.frame_count

    def test_progress_is_told(self, engine):
        watch = RecordingWatch()

        self.run(engine, self.shot(), self.job(engine), watch)

        assert watch.fractions
        assert watch.fractions[-1][1] > 0

    def test_frames_without_matte_are_yielded_too(self, engine):
        shot = self.shot(empty_frames=(1,))

        frames = self.run(engine, shot, self.job(engine))

        assert [f.frame for f in frames] == list(shot.frames)

    def test_a_shot_of_one_frame_is_filled(self, engine):
        shot = MovingShot(self.size_px, 1)

        (filled,) = self.run(engine, shot, self.job(engine))

        assert np.isfinite(filled.pixels[shot.matte(filled.frame) > 0]).all()

    def test_release_and_prepare_again(self, engine):
        before = self.run(engine, self.shot(), self.job(engine))
        engine.release()
        engine.prepare(RecordingWatch())

        after = self.run(engine, self.shot(), self.job(engine))

        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)
