"""The part of the proxies that one frame's fill looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window

MARGIN_PX = 48
"""Proxy pixels round the hole in which motion, error and gain are measured, at least."""


@dataclass(frozen=True)
class Region:
    """A box of proxy pixels, half-open, with even sides where the frame allows it."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def rows_and_columns(self) -> tuple[slice, slice]:
        """The index of the box in an array (y, x)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.x1 - self.x0, self.y1 - self.y0

    @property
    def offset(self) -> npt.NDArray[np.float64]:
        """The matrix from pixels of the box to pixels of the proxy."""
        matrix = np.eye(3, dtype=np.float64)
        matrix[0, 2], matrix[1, 2] = self.x0, self.y0
        return matrix

    def halved(self) -> tuple[slice, slice]:
        """The index of the box in an array of half the proxy's size."""
        return slice(self.y0 // 2, (self.y1 + 1) // 2), slice(self.x0 // 2, (self.x1 + 1) // 2)


def bounds(mask: npt.NDArray[np.bool_]) -> Window | None:
    """Return the smallest window round the True pixels, None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return Window(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def region_round(box: Window, width: int, height: int) -> Region:
    """Return the region round a hole: a margin that grows with the hole, inside the proxy.

    The corner is even, so that planes at half the proxy's size line up with it.
    """
    margin = max(MARGIN_PX, max(box.width, box.height) // 3)
    grown = box.grown(margin)
    x0, y0 = max(0, grown.x0) // 2 * 2, max(0, grown.y0) // 2 * 2
    x1, y1 = min(width, -(-grown.x1 // 2) * 2), min(height, -(-grown.y1 // 2) * 2)
    return Region(x0, y0, x1, y1)
