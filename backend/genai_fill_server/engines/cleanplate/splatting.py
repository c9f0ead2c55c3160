"""Pixels carried forward to where they land, nearer ones before farther ones."""

from __future__ import annotations

import numba
import numpy as np

from genai_fill_server.engines.cleanplate.encoding import Floats

_LEAST_SHARE = 0.05
_SIGNATURE = (
    "void(float32[:, ::1], float32[::1], float32[:, ::1], float32, float32[:, ::1],"
    " float32[:, :, ::1], float32[:, ::1])"
)


@numba.njit(inline="always")
def _lands(place, size):  # type: ignore[no-untyped-def]
    """Whether one of the two pixels from floor(place) is inside."""
    return -1.0 <= place < size


@numba.njit(_SIGNATURE, cache=True, nogil=True)
def _splat(landing, depth, values, tolerance, nearest, sums, mass):  # type: ignore[no-untyped-def]
    """Add ``values`` (n, c) at ``landing`` (n, 2) where nothing nearer than ``depth`` lands."""
    height, width = mass.shape
    for turn in range(2):
        for i in range(len(depth)):
            if not (_lands(landing[i, 0], width) and _lands(landing[i, 1], height)):
                continue
            x0, y0 = np.int64(np.floor(landing[i, 0])), np.int64(np.floor(landing[i, 1]))
            fx, fy = landing[i, 0] - x0, landing[i, 1] - y0
            for y in range(max(int(y0), 0), min(int(y0) + 2, height)):
                for x in range(max(int(x0), 0), min(int(x0) + 2, width)):
                    share = (1.0 - abs(x - x0 - fx)) * (1.0 - abs(y - y0 - fy))
                    if share < _LEAST_SHARE:
                        continue
                    if turn == 0:
                        nearest[y, x] = max(nearest[y, x], depth[i])
                    elif depth[i] >= nearest[y, x] - tolerance:
                        mass[y, x] += share
                        sums[y, x] += share * values[i]


def splatted(
    landing: Floats, nearness: Floats, values: Floats, tolerance: float, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Return the values (h, w, c) that land on each pixel and their mass (h, w).

    ``landing`` (n, 2) are places (x, y), ``nearness`` (n,) grows towards the camera, ``values``
    (n, c). What is more than ``tolerance`` farther than the nearest at a pixel is hidden.
    ``size`` is (width, height). Where nothing lands the mass is 0.
    """
    width, height = size
    nearest = np.full((height, width), -np.inf, np.float32)
    sums = np.zeros((height, width, values.shape[1]), np.float32)
    mass = np.zeros((height, width), np.float32)
    _splat(
        np.ascontiguousarray(landing, np.float32),
        np.ascontiguousarray(nearness, np.float32),
        np.ascontiguousarray(values, np.float32),
        np.float32(tolerance),
        nearest,
        sums,
        mass,
    )
    return np.asarray(sums / np.maximum(mass, 1e-6)[..., None], np.float32), mass
