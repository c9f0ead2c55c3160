"""A `Shot` held in numpy arrays, for engines without files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.service.ports import FillCancelled
from tests.fakes.given_inputs import GivenInputs


class ArrayShot(GivenInputs):
    """Plates (n, h, w, 3) and mattes (n, h, w) as a shot.

    ``first`` is the number of the first frame; ``frames`` narrows what is to be filled;
    ``missing`` frames are not on disk; ``crop`` is the window that engines return;
    ``data_windows`` are those of single frames, outside which their plates read as 0.
    ``pixels_read`` counts plate reads, so that tests can see how much an engine asks for.
    """

    def __init__(
        self,
        plates: np.ndarray,
        mattes: np.ndarray,
        *,
        first: int = 1001,
        frames: FrameRange | None = None,
        missing: frozenset[int] = frozenset(),
        crop: Window | None = None,
        origin: tuple[int, int] = (0, 0),
        data_windows: Mapping[int, Window] | None = None,
    ) -> None:
        self._plates = np.asarray(plates, np.float32)
        self._mattes = np.asarray(mattes, np.float32)
        self._first = first
        height, width = self._plates.shape[1:3]
        x0, y0 = origin
        self._plate_window = Window(x0, y0, x0 + width, y0 + height)
        self._reach = FrameRange(first, first + len(self._plates) - 1)
        self._frames = frames or self._reach
        self._missing = missing
        self._crop = crop or self._plate_window
        self._data_windows = dict(data_windows or {})
        self.pixels_read = 0

    @property
    def frames(self) -> FrameRange:
        return self._frames

    @property
    def reach(self) -> FrameRange:
        return self._reach

    @property
    def plate_window(self) -> Window:
        return self._plate_window

    def window(self, frame: int) -> Window:
        return self._crop

    def has_frame(self, frame: int) -> bool:
        return frame in self._reach and frame not in self._missing

    def data_window(self, frame: int) -> Window:
        self._must_have(frame)
        return self._data_windows.get(frame, self._plate_window)

    def plate(self, frame: int, window: Window | None = None) -> np.ndarray:
        self._must_have(frame)
        window = window or self._crop
        self.pixels_read += window.width * window.height
        return self._cut(self._plates[frame - self._first], window, self.data_window(frame))

    def matte(self, frame: int, window: Window | None = None) -> np.ndarray:
        if frame not in self._reach:
            raise MissingFrames(f"Matte frame {frame} is not there.", hint="Paint it.")
        return self._cut(self._mattes[frame - self._first], window or self._crop)

    def _must_have(self, frame: int) -> None:
        if not self.has_frame(frame):
            raise MissingFrames(f"Plate frame {frame} is not there.", hint="Render it.")

    def _cut(self, image: np.ndarray, window: Window, data: Window | None = None) -> np.ndarray:
        out = np.zeros((window.height, window.width, *image.shape[2:]), np.float32)
        inner = window.intersection(data or self._plate_window)
        if not inner.is_empty:
            mine = inner.shifted(-self._plate_window.x0, -self._plate_window.y0)
            there = inner.shifted(-window.x0, -window.y0)
            out[there.y0 : there.y1, there.x0 : there.x1] = image[
                mine.y0 : mine.y1, mine.x0 : mine.x1
            ]
        return out


class QuietWatch:
    """A `Watch` that remembers what it was told and can cancel after some checks."""

    def __init__(self, cancel_after_checks: int | None = None) -> None:
        self.notes: dict[str, object] = {}
        self.lines: list[str] = []
        self.previews: list[tuple[int, int, object]] = []
        self.checks = 0
        self._cancel_after = cancel_after_checks

    def check(self) -> None:
        self.checks += 1
        if self._cancel_after is not None and self.checks > self._cancel_after:
            raise FillCancelled

    def progress(self, phase: str, done: float, total: float) -> None:
        self.check()

    def log(self, message: str) -> None:
        self.lines.append(message)

    def preview(self, take_index: int, frame: int, rgb: object) -> None:
        self.previews.append((take_index, frame, rgb))

    def note(self, key: str, value: object) -> None:
        self.notes[key] = value
