"""Engines with behaviour, for tests of everything round an engine."""

import time
from dataclasses import replace

import numpy as np

from genai_fill_contract.engine import ColourDomain, EngineDescription, EngineKind
from genai_fill_server.service.ports import EngineFrame


def describe(**changes):
    """A description that asks for nothing; ``changes`` override its fields."""
    description = EngineDescription(
        id="fake",
        label="Fake",
        kind=EngineKind.IMAGE,
        domain=ColourDomain.SCENE_LINEAR,
        help="Paints a constant.",
        context_px=8,
        matches_seams=True,
        matches_grain=True,
    )
    return replace(description, **changes)


class FakeEngine:
    """Gives the plate with its matte painted over; remembers how it was used.

    ``paint`` is what goes where the matte is not 0: three numbers in the engine's domain, or
    a function (shot, frame, window, seed) -> (h, w, 3).
    """

    def __init__(self, description=None, paint=(0.25, 0.5, 0.75)):
        self.description = description or describe()
        self.paint = paint
        self.prepared = 0
        self.asked = []
        self.made = []
        self.jobs = []
        self.closed = 0

    def prepare(self, watch):
        watch.check()
        self.prepared += 1

    def release(self):
        self.prepared = 0

    def fill(self, shot, job, watch):
        self.jobs.append(job)
        try:
            for take_index, seed in enumerate(job.seeds):
                for frame in shot.frames:
                    if frame not in job.done[take_index]:
                        watch.check()
                        yield self.frame(shot, take_index, seed, frame, watch)
                        self.made.append((take_index, frame))
        finally:
            self.closed += 1

    def frame(self, shot, take_index, seed, frame, watch):
        window = shot.window(frame)
        pixels = shot.plate(frame)
        paint = self.paint
        if callable(paint):
            paint = paint(shot, frame, window, seed)
        hole = shot.matte(frame) > 0
        pixels[hole] = np.broadcast_to(np.asarray(paint, np.float32), pixels.shape)[hole]
        return EngineFrame(take_index, frame, window, pixels)


class FailingEngine(FakeEngine):
    """Raises ``error`` when it comes to frame ``at``."""

    def __init__(self, at, error, **kwargs):
        super().__init__(**kwargs)
        self.at = at
        self.error = error

    def frame(self, shot, take_index, seed, frame, watch):
        if frame == self.at:
            raise self.error
        return super().frame(shot, take_index, seed, frame, watch)


class SlowEngine(FakeEngine):
    """Takes ``seconds`` a frame, checking for cancel as engines must."""

    def __init__(self, seconds=5.0, **kwargs):
        super().__init__(**kwargs)
        self.seconds = seconds

    def frame(self, shot, take_index, seed, frame, watch):
        steps = max(1, round(self.seconds / 0.02))
        for step in range(steps):
            watch.progress("Sampling", step, steps)
            time.sleep(0.02)
        return super().frame(shot, take_index, seed, frame, watch)


class ForgetfulEngine(FakeEngine):
    """Stops after ``count`` frames without a word."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def fill(self, shot, job, watch):
        for made, frame in enumerate(super().fill(shot, job, watch)):
            if made == self.count:
                return
            yield frame


class WatchRecorder:
    """A `JobWatch` that remembers; cancels once ``cancel_after`` frames are done."""

    def __init__(self, cancel_after=None):
        self.cancel_after = cancel_after
        self.reports = []
        self.lines = []
        self.crops = []
        self.previews = []
        self.frames = []
        self.cancelled = False

    def check(self):
        from genai_fill_server.service.ports import FillCancelled

        if self.cancelled:
            raise FillCancelled

    def report(self, progress):
        self.reports.append(progress)

    def log(self, message):
        self.lines.append(message)

    def preview(self, take_index, frame, rgb):
        self.previews.append((take_index, frame, rgb))

    def crop_known(self, window):
        self.crops.append(window)

    def frame_done(self, frame):
        self.frames.append((frame.take_index, frame.frame))
        if self.cancel_after is not None and len(self.frames) >= self.cancel_after:
            self.cancelled = True
