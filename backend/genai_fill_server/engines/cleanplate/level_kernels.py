"""Compiled loops that lead from one size of a picture to the next.

Each touches only what it has to, and every pixel once; all but the drawn numbers are exact.
Loops release the interpreter lock.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit("void(int32[:,:,::1], int64, int32[:,:,::1])", cache=True, nogil=True)
def enlarge_field(coarse, pad, field):  # type: ignore[no-untyped-def]
    """Set ``field`` (h, w, 2: y, x) to the matches of ``coarse``, half its size.

    Both are padded by ``pad`` pixels, which are not halved.
    """
    height, width = field.shape[:2]
    for y in range(height):
        row = min(max((y - pad) // 2 + pad, 0), coarse.shape[0] - 1)
        for x in range(width):
            column = min(max((x - pad) // 2 + pad, 0), coarse.shape[1] - 1)
            field[y, x, 0] = (coarse[row, column, 0] - pad) * 2 + pad + (y - pad) % 2
            field[y, x, 1] = (coarse[row, column, 1] - pad) * 2 + pad + (x - pad) % 2


@numba.njit(
    "void(float32[:,:,::1], boolean[:,::1], int32[:,:,::1], float32[:,:,::1], int64)",
    cache=True,
    nogil=True,
)
def paint_enlarged(image, hole, field, painted, pad):  # type: ignore[no-untyped-def]
    """Paint the hole of ``image`` (h, w, c) with the pixels that ``field`` points at.

    Where it points into the hole, the coarser picture ``painted``, half as large and padded
    alike, is interpolated instead.
    """
    height, width, channels = image.shape
    last_row, last_column = painted.shape[0] - 2 * pad - 1, painted.shape[1] - 2 * pad - 1
    quarter, whole = np.float32(0.25), np.float32(1.0)
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            sy = min(max(field[y, x, 0], pad), height - pad - 1)
            sx = min(max(field[y, x, 1], pad), width - pad - 1)
            if field[y, x, 0] > 0 and not hole[sy, sx]:
                for c in range(channels):
                    image[y, x, c] = image[sy, sx, c]
                continue
            # A pixel of the finer picture lies a quarter pixel beside the coarser one's.
            fy, fx = y - pad, x - pad
            top, left = (fy - 1) // 2, (fx - 1) // 2
            down = quarter if fy % 2 == 1 else whole - quarter
            across = quarter if fx % 2 == 1 else whole - quarter
            if top < 0 or top >= last_row:
                down = np.float32(0.0)
            if left < 0 or left >= last_column:
                across = np.float32(0.0)
            top, left = min(max(top, 0), last_row), min(max(left, 0), last_column)
            below, right = min(top + 1, last_row) + pad, min(left + 1, last_column) + pad
            top, left = top + pad, left + pad
            for c in range(channels):
                upper = painted[top, left, c] * (whole - across) + painted[top, right, c] * across
                lower = painted[below, left, c] * (whole - across)
                lower += painted[below, right, c] * across
                image[y, x, c] = upper * (whole - down) + lower * down


@numba.njit(
    "void(int32[:,:,::1], boolean[:,::1], boolean[:,::1], int64[::1], int64[:,::1],"
    " int32[:,:,::1])",
    cache=True,
    nogil=True,
)
def choose_matches(field, matched, allowed, choices, drawn, valid):  # type: ignore[no-untyped-def]
    """Set ``valid`` (h, w, 2: y, x) to ``field`` where that may be, else to a choice.

    It may be where a pixel is ``matched`` and the match is ``allowed``. ``choices`` (n,) are
    numbers of allowed pixels, row by row; ``drawn`` (h, w) says which of them stands in.
    """
    height, width = matched.shape
    for y in range(height):
        for x in range(width):
            cy, cx = field[y, x, 0], field[y, x, 1]
            inside = 0 <= cy < height and 0 <= cx < width
            if not (inside and matched[y, x] and allowed[cy, cx]):
                place = choices[drawn[y, x]]
                cy, cx = place // width, place % width
            valid[y, x, 0], valid[y, x, 1] = cy, cx
