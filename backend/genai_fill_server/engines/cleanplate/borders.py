"""What of a plate is no picture: outside a frame's own data window, or black along its edge.

Both read as 0, which is no colour that another frame may take. Coordinates are the plate
window's, from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.service.ports import Shot

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

EMPTY_SHARE = 0.9
"""An edge of which more is exactly black may be the edge of nothing."""


def data_window(shot: Shot, frame: int) -> Window:
    """Return where the plate has pixels at ``frame``."""
    plate = shot.plate_window
    return shot.data_window(frame).intersection(plate).shifted(-plate.x0, -plate.y0)


def empty_border(rgb: Floats) -> Mask | None:
    """Return the exactly black region along the frame's edge, None if there is none.

    Graded black never is exactly 0 in all channels over a whole border; where it is, losing
    it as a source costs nothing.
    """
    edges = (rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1])
    if not any(bool((edge == 0.0).all(axis=-1).mean() > EMPTY_SHARE) for edge in edges):
        return None
    black = (rgb == 0.0).all(axis=-1).astype(np.uint8)
    count, labels = cv2.connectedComponents(black, connectivity=4)
    if count < 2:
        return None
    on_edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.asarray(np.isin(labels, on_edge[on_edge > 0]), np.bool_)


def close_outside(closed: Mask, window: Window, data: Window) -> None:
    """Mark in ``closed`` (h, w), which shows ``window``, what lies outside ``data``."""
    if data.contains(window):
        return
    inside = window.intersection(data)
    if inside.is_empty:
        closed[:] = True
        return
    closed[: inside.y0 - window.y0] = True
    closed[inside.y1 - window.y0 :] = True
    closed[:, : inside.x0 - window.x0] = True
    closed[:, inside.x1 - window.x0 :] = True


@dataclass(frozen=True)
class Border:
    """Where a frame is no picture.

    ``data`` is its data window; ``empty`` marks pixels of its proxy, reduced by ``factor``,
    that hold some of its `empty_border`; None where there is none.
    """

    data: Window
    empty: Mask | None
    factor: int

    def close(self, closed: Mask, window: Window) -> None:
        """Mark in ``closed`` (h, w), which shows ``window`` of the plate, what is no picture."""
        close_outside(closed, window, self.data)
        if self.empty is None:
            return
        rows = np.arange(window.y0, window.y1) // self.factor
        columns = np.arange(window.x0, window.x1) // self.factor
        closed |= self.empty[rows[:, None], columns[None, :]]


def bars(empty: Mask, hole: Mask) -> Mask:
    """Return the rows and columns along the edges of a frame that are black all along.

    ``empty`` (h, w) is its empty border; what is under the matte, ``hole``, may be anything.
    """
    black, found = empty | hole, np.zeros_like(empty)
    for seen, marked in ((black, found), (black.T, found.T)):
        full = seen.mean(axis=1) > EMPTY_SHARE
        marked[: _leading(full)] = True
        marked[len(full) - _leading(full[::-1]) :] = True
    return found


def _leading(full: Mask) -> int:
    """Return how many entries are True before the first that is not."""
    return len(full) if full.all() else int(np.argmin(full))


def outside(data: Window, rows: Places, columns: Places) -> Mask:
    """Return which pixels (n,) lie outside a data window."""
    across = (columns < data.x0) | (columns >= data.x1)
    return np.asarray(across | (rows < data.y0) | (rows >= data.y1), np.bool_)
