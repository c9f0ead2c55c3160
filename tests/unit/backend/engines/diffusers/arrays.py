"""A shot of given arrays."""

from __future__ import annotations

import numpy as np

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.plate import FrameRange, Window
from tests.fakes.given_inputs import GivenInputs


class ArrayShot(GivenInputs):
    """Implements the `Shot` port: the crop is the whole plate, in the display domain."""

    domain = ColourDomain.DISPLAY

    def __init__(self, plates, mattes, first=1001) -> None:
        self._plates = dict(enumerate(plates, first))
        self._mattes = dict(enumerate(mattes, first))
        self.frames = FrameRange(first, first + len(plates) - 1)
        self.reach = self.frames
        self.plate_window = Window(0, 0, plates[0].shape[1], plates[0].shape[0])

    def window(self, frame):
        return self.plate_window

    def has_frame(self, frame):
        return frame in self._plates

    def data_window(self, frame):
        return self.plate_window

    def plate(self, frame, window=None):
        assert window in (None, self.plate_window)
        return self._plates[frame].copy()

    def matte(self, frame, window=None):
        assert window in (None, self.plate_window)
        return self._mattes[frame].copy()


def noisy_shot(height=64, width=64, frame_count=1, seed=0) -> ArrayShot:
    """A shot of noise with a square hole a quarter of the picture in size."""
    rng = np.random.default_rng(seed)
    plates = [rng.random((height, width, 3), dtype=np.float32) for _ in range(frame_count)]
    matte = np.zeros((height, width), np.float32)
    matte[height // 4 : height - height // 4, width // 4 : width - width // 4] = 1
    return ArrayShot(plates, [matte] * frame_count)
