"""Where a frame's pixels are in another, thinned out, and led on from frame to frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]

STEP_PX = 4
"""Every so many pixels of a frame one is followed."""

_FIRST_PX = STEP_PX // 2
_ALIKE_PX = 0.75
_MOST_HOPS = 6


@dataclass(frozen=True)
class Track:
    """How far (h, w, 2: x, y) every fourth pixel has moved in another frame; NaN: not known.

    Pixels that do not move as those round them do are left out: at the edge of a thing it is
    not known what lies between them.
    """

    moved: Floats

    @classmethod
    def of(cls, place: Floats, known: Mask) -> Track:
        """Thin out where pixels lie (h, w, 2), where that is ``known`` (h, w)."""
        there = known[_FIRST_PX::STEP_PX, _FIRST_PX::STEP_PX]
        some = place[_FIRST_PX::STEP_PX, _FIRST_PX::STEP_PX] - nodes_of(*known.shape)
        moved = np.where(there[..., None], some, np.nan).astype(np.float32)
        filled = np.nan_to_num(moved, nan=1e6)
        kernel = np.ones((3, 3), np.uint8)
        spread = cv2.dilate(filled, kernel) - cv2.erode(filled, kernel)
        alike = spread.reshape(moved.shape).max(axis=-1) < 2 * _ALIKE_PX
        return cls(np.where(alike[..., None], moved, np.nan).astype(np.float32))

    def led_on(self, places: Floats) -> Floats:
        """Return where ``places`` (h, w, 2) of the first frame are in the other, NaN if unknown."""
        x = (places[..., 0] - _FIRST_PX) / STEP_PX
        y = (places[..., 1] - _FIRST_PX) / STEP_PX
        height, width = self.moved.shape[:2]
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        column, row = (np.where(inside, one, 0.0).astype(np.float32) for one in (x, y))
        moved = cv2.remap(self.moved, column, row, cv2.INTER_LINEAR)
        return np.where(inside[..., None], places + moved, np.nan).astype(np.float32)


def nodes_of(height: int, width: int) -> Floats:
    """Return the pixels (x, y) of a frame that are followed, (h, w, 2)."""
    columns = np.arange(_FIRST_PX, width, STEP_PX, dtype=np.float32)
    rows = np.arange(_FIRST_PX, height, STEP_PX, dtype=np.float32)
    return np.dstack(np.meshgrid(columns, rows))


def shortest(first: int, last: int, onward: Callable[[int], Iterable[int]]) -> Sequence[int]:
    """Return the frames from ``first`` to ``last`` in fewest hops, () where none lead there.

    ``onward`` names the frames that one leads to. Of ways as short, that of the frames named
    first is taken, so the same shot gives the same way.
    """
    came = {first: first}
    line = deque([(first, 0)])
    while line:
        frame, hops = line.popleft()
        if frame == last:
            way = [frame]
            while way[-1] != first:
                way.append(came[way[-1]])
            return way[::-1]
        if hops == _MOST_HOPS:
            continue
        for other in onward(frame):
            if other not in came and abs(other - last) <= abs(first - last) + STEP_PX:
                came[other] = frame
                line.append((other, hops + 1))
    return ()
