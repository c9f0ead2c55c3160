"""A small shot in arrays: smooth texture under a moving camera, a soft matte on top."""

from __future__ import annotations

import hashlib

import numpy as np

from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.plate import FrameRange, Window
from tests.fakes.given_inputs import GivenInputs

FIRST = 1001


class MovingShot(GivenInputs):
    """Implements the `Shot` port. Plate values are 0 to 1, so both colour domains fit."""

    def __init__(self, size_px=(96, 64), frame_count=5, *, empty_frames=()) -> None:
        self._width, self._height = size_px
        self.frames = FrameRange(FIRST, FIRST + frame_count - 1)
        self.reach = self.frames
        self.plate_window = Window(0, 0, self._width, self._height)
        self._plates = {f: self._paint(f) for f in self.frames}
        self._mattes = {
            f: self._roto(f) * (0 if f - FIRST in empty_frames else 1) for f in self.frames
        }

    def _paint(self, frame: int) -> np.ndarray:
        shift = 2.0 * (frame - FIRST)
        y, x = np.mgrid[: self._height, : self._width].astype(np.float32)
        x = x + shift
        rng = np.random.default_rng(3)
        plate = np.full((self._height, self._width, 3), 0.4, np.float32)
        for _ in range(24):
            fx, fy = rng.uniform(-0.5, 0.5, 2)
            phase = rng.uniform(0, 6.3, 3)
            wave = np.sin(fx * x[..., None] + fy * y[..., None] + phase)
            plate += (rng.uniform(0.005, 0.04, 3) * wave).astype(np.float32)
        plate = np.clip(plate, 0.02, 0.98).astype(np.float32)
        # The object to remove: bright, in the middle, standing still in the frame.
        plate[self._roto(frame) > 0] = (0.9, 0.1, 0.1)
        return plate

    def _roto(self, frame: int) -> np.ndarray:
        y, x = np.mgrid[: self._height, : self._width].astype(np.float32)
        distance = np.hypot(x - self._width / 2, y - self._height / 2)
        radius = min(self._width, self._height) / 6
        return np.clip((radius + 3 - distance) / 3, 0, 1).astype(np.float32)

    def window(self, frame: int) -> Window:
        return Window(16, 0, self._width - 16, self._height)

    def has_frame(self, frame: int) -> bool:
        return frame in self._plates

    def data_window(self, frame: int) -> Window:
        if frame not in self._plates:
            raise MissingFrames(f"Frame {frame} is missing.", hint="Ask for another.")
        return self.plate_window

    def plate(self, frame: int, window: Window | None = None) -> np.ndarray:
        if frame not in self._plates:
            raise MissingFrames(f"Frame {frame} is missing.", hint="Ask for another.")
        return self._cut(self._plates[frame], window or self.window(frame))

    def matte(self, frame: int, window: Window | None = None) -> np.ndarray:
        return self._cut(self._mattes[frame], window or self.window(frame))

    def _cut(self, image: np.ndarray, window: Window) -> np.ndarray:
        cut = np.zeros((window.height, window.width, *image.shape[2:]), np.float32)
        inside = window.intersection(self.plate_window)
        if not inside.is_empty:
            cut[
                inside.y0 - window.y0 : inside.y1 - window.y0,
                inside.x0 - window.x0 : inside.x1 - window.x0,
            ] = image[inside.y0 : inside.y1, inside.x0 : inside.x1]
        return cut

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for frame in self.frames:
            digest.update(self._plates[frame].tobytes())
            digest.update(self._mattes[frame].tobytes())
        return digest.hexdigest()
