"""The picture that patches are compared on where grain is on it.

What is being painted is a mean and has little grain, so the patches nearest to it would be those
that happen to have the least, and texture would wash out. Grain is on the two finest levels;
there both sides are compared without the finest detail.
"""

from __future__ import annotations

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.levels import Level

_SOFTENED_PX = 0.7
_SIDE_PX = 5
_MARGIN_PX = _SIDE_PX // 2


class Softened:
    """A level's picture without its finest detail: ``image`` (h, w, 5), as `Level.image`.

    What is known stays the same however the hole is painted; `follow` takes over the hole.
    """

    def __init__(self, level: Level) -> None:
        self._level = level
        self.image: Floats = _blurred(level.image)
        self._near = _box(level)
        near = self._near
        self._hole = level.hole[near]
        known = (~self._hole).astype(np.float32)
        mean = _blurred(level.image[near] * known[..., None])
        mean /= np.maximum(_blurred(known), 1e-6)[..., None]
        # Its edge is not seen from here; there nothing of the hole is in the mean.
        self.image[near] = np.where(_inner(self._hole)[..., None], mean, self.image[near])

    def follow(self) -> None:
        """Take over what the level's hole shows now."""
        now = _blurred(self._level.image[self._near])
        self.image[self._near] = np.where(self._hole[..., None], now, self.image[self._near])


def _blurred(image: Floats) -> Floats:
    side = (_SIDE_PX, _SIDE_PX)
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(image), side, _SOFTENED_PX), np.float32)


def _inner(hole: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Floats:
    """Return where the hole is in what is blurred, (h, w)."""
    side = np.ones((_SIDE_PX, _SIDE_PX), np.uint8)
    return np.asarray(cv2.dilate(hole.astype(np.uint8), side) > 0)


def _box(level: Level) -> tuple[slice, slice]:
    """Return the box round the hole, as far as it reaches into what is blurred, and as much."""
    rows, columns = np.flatnonzero(level.hole.any(axis=1)), np.flatnonzero(level.hole.any(axis=0))
    more = 2 * _MARGIN_PX
    return (
        slice(max(0, int(rows[0]) - more), int(rows[-1]) + 1 + more),
        slice(max(0, int(columns[0]) - more), int(columns[-1]) + 1 + more),
    )
