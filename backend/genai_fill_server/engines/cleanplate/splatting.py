"""Pixels carried forward to where they land, nearer ones before farther ones."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.kernels import inside

Mask = npt.NDArray[np.bool_]

_LEAST_SHARE = 0.05
_LEAST_MASS = np.float32(0.2)
_IN_FRONT = 0.05

BLOCK_PX = 16
"""The side of blocks that are left out as a whole where none of their pixels can land."""


@inside
def _projected(camera, x, y, depth):  # type: ignore[no-untyped-def]
    """Return where a camera sees a pixel, and the third coordinate there."""
    w = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] + camera[2, 3] * depth
    safe = w if w > _IN_FRONT else 1.0
    u = (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] + camera[0, 3] * depth) / safe
    v = (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] + camera[1, 3] * depth) / safe
    return u, v, w


@inside
def _lands(u, v, w, border, width, height):  # type: ignore[no-untyped-def]
    """Whether a place is in front of the camera and at most ``border`` outside the picture."""
    return (
        w > _IN_FRONT and -border <= u < width - 1 + border and -border <= v < height - 1 + border
    )


@inside
def _put(u, v, source, nearest, sums, mass):  # type: ignore[no-untyped-def]
    """Add a pixel's own place to the up to four pixels that it lands between."""
    x, y, near, tolerance = source
    x0, y0 = int(np.floor(u)), int(np.floor(v))
    for row in range(max(y0, 0), min(y0 + 2, mass.shape[0])):
        for column in range(max(x0, 0), min(x0 + 2, mass.shape[1])):
            share = (1.0 - abs(row - v)) * (1.0 - abs(column - u))
            if share >= _LEAST_SHARE and near >= nearest[row, column] - tolerance:
                mass[row, column] += share
                sums[row, column, 0] += share * x
                sums[row, column, 1] += share * y


@inside
def _come_near(u, v, near, nearest):  # type: ignore[no-untyped-def]
    """Keep how near the nearest is on the up to four pixels that one lands between."""
    x0, y0 = int(np.floor(u)), int(np.floor(v))
    for row in range(max(y0, 0), min(y0 + 2, nearest.shape[0])):
        for column in range(max(x0, 0), min(x0 + 2, nearest.shape[1])):
            share = (1.0 - abs(row - v)) * (1.0 - abs(column - u))
            if share >= _LEAST_SHARE:
                nearest[row, column] = max(nearest[row, column], near)


@numba.njit("void(float32[:, ::1], boolean[:, ::1], float32[:, :, ::1])", cache=True, nogil=True)
def _ranges(depth, known, found):  # type: ignore[no-untyped-def]
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            if known[y, x]:
                row, column = y // BLOCK_PX, x // BLOCK_PX
                found[row, column, 0] = min(found[row, column, 0], depth[y, x])
                found[row, column, 1] = max(found[row, column, 1], depth[y, x])


def ranges_of(depth: Floats, known: Mask) -> Floats:
    """Return the least and most depth of each block of `BLOCK_PX` pixels, (h, w, 2).

    Infinity and minus infinity where nothing of a block is known.
    """
    height, width = (-(-side // BLOCK_PX) for side in depth.shape)
    found = np.full((height, width, 2), np.inf, np.float32)
    found[..., 1] = -np.inf
    _ranges(depth, known, found)
    return found


@inside
def _may_land(camera, row, column, least, most, corner, size):  # type: ignore[no-untyped-def]
    """Whether any pixel of a block may land in the picture. Its corners hold all between them."""
    left = top = np.inf
    right = bottom = -np.inf
    for corner_of_block in range(8):
        x = (column + (corner_of_block & 1)) * BLOCK_PX
        y = (row + ((corner_of_block >> 1) & 1)) * BLOCK_PX
        u, v, w = _projected(camera, x, y, most if corner_of_block & 4 else least)
        if not w > _IN_FRONT:
            return True
        left, right = min(left, u), max(right, u)
        top, bottom = min(top, v), max(bottom, v)
    across = right >= corner[0] - 1.0 and left <= corner[0] + size[0] + 1.0
    return across and bottom >= corner[1] - 1.0 and top <= corner[1] + size[1] + 1.0


@numba.njit(
    "void(float64[:, ::1], float32[:, ::1], boolean[:, ::1], float32[:, :, ::1], float64[::1],"
    " float64, float64, float32[:, ::1], float32[:, :, ::1], float32[:, ::1])",
    cache=True,
    nogil=True,
)
def _carry(  # type: ignore[no-untyped-def]
    camera, depth, known, ranges, corner, scale, tolerance, nearest, sums, mass
):
    """Add the places of known pixels where nothing nearer than they lands."""
    size = mass.shape[1], mass.shape[0]
    for turn in range(2):
        for row in range(ranges.shape[0]):
            for column in range(ranges.shape[1]):
                least, most = ranges[row, column, 0], ranges[row, column, 1]
                if least > most or not _may_land(camera, row, column, least, most, corner, size):
                    continue
                for y in range(row * BLOCK_PX, min((row + 1) * BLOCK_PX, depth.shape[0])):
                    for x in range(column * BLOCK_PX, min((column + 1) * BLOCK_PX, depth.shape[1])):
                        if not known[y, x]:
                            continue
                        u, v, w = _projected(camera, x, y, depth[y, x])
                        u, v = u - corner[0], v - corner[1]
                        if not _lands(u, v, w, 1.0, size[0], size[1]):
                            continue
                        if turn == 0:
                            _come_near(u, v, scale * depth[y, x], nearest)
                        else:
                            source = x, y, scale * depth[y, x], tolerance
                            _put(u, v, source, nearest, sums, mass)


def carried(
    camera: npt.NDArray[np.float64],
    depth: Floats,
    known: Mask,
    ranges: Floats,
    nearer: float,
    tolerance: float,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> tuple[Floats, Mask]:
    """Carry a frame's pixels through a camera; return where each came from, and where any did.

    ``depth`` and ``known`` (h, w) are the frame's, ``ranges`` their `ranges_of`; ``nearer``
    times depth grows towards the camera, and what is more than ``tolerance`` farther on that
    scale than the nearest at a pixel is hidden. The result (height, width[, 2: x, y]) is of
    ``size`` (width, height) from ``corner`` (x, y) on. Where nothing lands the place is (0, 0).
    """
    width, height = size
    nearest = np.full((height, width), -np.inf, np.float32)
    sums, mass = np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32)
    _carry(
        np.ascontiguousarray(camera, np.float64),
        depth,
        known,
        ranges,
        np.array(corner, np.float64),
        nearer,
        tolerance,
        nearest,
        sums,
        mass,
    )
    place = np.asarray(sums / np.maximum(mass, np.float32(1e-6))[..., None], np.float32)
    return place, np.asarray(mass > _LEAST_MASS, np.bool_)


@numba.njit(
    "void(float64[:, ::1], float32[:, ::1], boolean[:, ::1], uint8[:, ::1], int32[:, :, ::1])",
    cache=True,
    nogil=True,
)
def _meet(camera, depth, known, free, first):  # type: ignore[no-untyped-def]
    """Keep in ``first`` (h, w, 2) which pixels of least and most depth land on each, else -1."""
    height, width = free.shape
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            if not known[y, x]:
                continue
            u, v, w = _projected(camera, x, y, depth[y, x])
            if not _lands(u, v, w, 0.5, width, height):
                continue
            row, column = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
            column = min(column, width - 1)
            if free[row, column] == 0:
                continue
            index = y * depth.shape[1] + x
            low, high = first[row, column, 0], first[row, column, 1]
            if low < 0 or depth[y, x] < depth.flat[low]:
                first[row, column, 0] = index
            if high < 0 or depth[y, x] > depth.flat[high]:
                first[row, column, 1] = index


@numba.njit(
    "float64(int32[:, :, ::1], float32[:, ::1], uint8[:, ::1], uint8[:, ::1], float64, float64,"
    " float64)",
    cache=True,
    nogil=True,
)
def _weigh(first, depth, levels, other, offset, apart, most):  # type: ignore[no-untyped-def]
    """Return how much better those of most depth look where they meet with those of least."""
    found = 0.0
    for row in range(other.shape[0]):
        for column in range(other.shape[1]):
            low, high = first[row, column, 0], first[row, column, 1]
            if low < 0 or depth.flat[high] - depth.flat[low] < apart:
                continue
            told = other[row, column] - offset
            less, more = abs(levels.flat[low] - told), abs(levels.flat[high] - told)
            found += min(less, most) - min(more, most)
    return found


def contested(
    camera: npt.NDArray[np.float64],
    depth: Floats,
    known: Mask,
    levels: tuple[Bytes, Bytes],
    free: Bytes,
    apart: float,
    most: float,
) -> float:
    """Return how much better pixels of more depth look where they meet with less, in levels.

    Where pixels whose ``depth`` (h, w) differs by more than ``apart`` land on the same pixel of
    another frame, that one shows the nearer. ``levels`` are the frame's and the other's (the
    other's where ``free`` is not 0); a pixel counts for at most ``most``. Above 0: more depth
    is nearer.
    """
    own, other = levels
    rows, columns = np.nonzero(known[::8, ::8])
    here = np.column_stack([8 * columns, 8 * rows, np.ones(len(rows))]).astype(np.float64)
    near = depth[::8, ::8][rows, columns]
    seen = np.einsum("mk,nk->nm", camera, np.column_stack([here, near]))
    front = seen[:, 2] > _IN_FRONT
    lands = np.rint(seen[front, :2] / seen[front, 2:]).astype(np.int64)
    inside = (lands >= 0).all(axis=1) & (lands < [other.shape[1], other.shape[0]]).all(axis=1)
    column, row = lands[inside].T
    clear = free[row, column] > 0
    if not clear.any():
        return 0.0
    before = own[::8, ::8][rows, columns][front][inside][clear].astype(np.float64)
    offset = float(np.median(other[row, column][clear] - before))
    matrix = np.ascontiguousarray(camera, np.float64)
    first = np.full((*other.shape, 2), -1, np.int32)
    _meet(matrix, depth, known, free, first)
    return float(_weigh(first, depth, own, other, offset, apart, most))
