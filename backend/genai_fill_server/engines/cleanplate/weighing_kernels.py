"""Compiled inner loops of `weighing`. Signatures are fixed; the interpreter lock is released.

Each works on some rows of all sources, so threads may share a picture out.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(
    "void(float32[:,:,::1], boolean[:,:,::1], int64, int64, float32[:,::1], int32[:,::1])",
    cache=True,
    nogil=True,
)
def middle_of(levels, usable, first, last, middle, count):  # type: ignore[no-untyped-def]
    """Set ``middle`` (h, w) to the median of usable levels (n, h, w), ``count`` to how many.

    0 where there are none.
    """
    width = levels.shape[2]
    ordered = np.empty(levels.shape[0], np.float32)
    for y in range(first, last):
        for x in range(width):
            known = 0
            for i in range(levels.shape[0]):
                if not usable[i, y, x]:
                    continue
                value, at = levels[i, y, x], known
                while at > 0 and ordered[at - 1] > value:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = value
                known += 1
            count[y, x] = known
            middle[y, x] = np.float32(0.0)
            if known > 0:
                low, high = ordered[(known - 1) // 2], ordered[known // 2]
                middle[y, x] = np.float32(0.5) * (low + high)


@numba.njit("void(float32[:,:,::1], int64, int64, float32, float32[:,::1])", cache=True, nogil=True)
def lower_median(gaps, first, last, far, middle):  # type: ignore[no-untyped-def]
    """Set ``middle`` (h, w) to the lower median of the gaps (n, h, w) that are less than ``far``.

    It is ``far`` where all are.
    """
    ordered = np.empty(gaps.shape[0], np.float32)
    for y in range(first, last):
        for x in range(gaps.shape[2]):
            known = 0
            for i in range(gaps.shape[0]):
                value, at = gaps[i, y, x], known
                if not value < far:
                    continue
                while at > 0 and ordered[at - 1] > value:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = value
                known += 1
            middle[y, x] = ordered[(known - 1) // 2] if known > 0 else far


@numba.njit(
    "void(float32[:,:,::1], float32[:,:,::1], int64[::1], float32[:,:,::1], int64[::1],"
    " int64, int64, float32, float32, int32[:,::1])",
    cache=True,
    nogil=True,
)
def label(  # type: ignore[no-untyped-def]
    price, alike, places, plane_alike, planes, first, last, neighbour, plane_cost, labels
):
    """Set ``labels`` (h, w) to the cheapest source, the first of those as cheap.

    ``price`` (n, h, w) is each source's own. ``neighbour`` is added where nothing round a pixel
    has its label, ``plane_cost`` where nothing has its plane: less the shares ``alike`` (m, h,
    w), at ``places`` (n,), -1 for none, and ``plane_alike`` (k, h, w), at ``planes`` (n,).
    """
    width = price.shape[2]
    best = np.empty(width, np.float32)
    for y in range(first, last):
        best[:] = np.float32(np.inf)
        for i in range(price.shape[0]):
            place, plane = places[i], planes[i]
            for x in range(width):
                round_it = alike[place, y, x] if place >= 0 else np.float32(0.0)
                own = price[i, y, x] + neighbour * (np.float32(1.0) - round_it)
                if plane >= 0:
                    own += plane_cost * (np.float32(1.0) - plane_alike[plane, y, x])
                if own < best[x]:
                    best[x] = own
                    labels[y, x] = i
