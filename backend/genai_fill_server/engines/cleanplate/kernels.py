"""Compiled loops that take samples. Signatures are fixed, machine code is cached beside the module.

No loop is parallel by itself: threads run over sources and frames, so results do not depend on
how many there are. Loops release the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

TAPS = 6
PHASES = 512
GRAIN_POWER = 0.92


def inside(function: Callable[..., object]) -> Any:
    """Compile a function into the loops that call it, without counting references.

    The loop's caller holds the arrays. Counted at every call, which is an atomic operation
    each, they took two thirds of the time of a search.
    """
    return numba.njit(cache=True, nogil=True, forceinline=True, _nrt=False)(function)  # type: ignore[call-overload]


def lanczos_table() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the weights of a six-tap Lanczos filter for 512 positions between two pixels.

    Between pixels a plain filter averages, and grain loses up to a third of its strength
    there. Each row is sharpened until it keeps `GRAIN_POWER` of white noise's power, which
    makes grain live on moving pixels as it does on still ones.
    """
    phase = np.arange(PHASES + 1, dtype=np.float64)[:, None] / PHASES
    distance = phase - np.arange(-2, 4, dtype=np.float64)[None]
    weights = np.sinc(distance) * np.sinc(distance / 3.0)
    weights[np.abs(distance) >= 3.0] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    smooth = np.exp(-0.5 * (distance / 0.9) ** 2)
    smooth /= smooth.sum(axis=1, keepdims=True)
    finer = weights - smooth
    # |weights + share * finer|^2 = GRAIN_POWER where less is left: the positive root.
    lost = np.maximum(GRAIN_POWER - (weights**2).sum(axis=1), 0.0)
    cross, power = (weights * finer).sum(axis=1), (finer**2).sum(axis=1)
    share = (-cross + np.sqrt(cross**2 + power * lost)) / power
    weights += share[:, None] * finer
    return weights.astype(np.float32)


@inside
def _held(value, size):  # type: ignore[no-untyped-def]
    """Return an index held inside 0 to ``size - 1``."""
    return min(max(value, 0), size - 1)


@inside
def _is_free(blocked, x0, y0):  # type: ignore[no-untyped-def]
    """Whether none of the 2 x 2 pixels from (x0, y0) is blocked."""
    height, width = blocked.shape
    y1, x1 = _held(y0 + 1, height), _held(x0 + 1, width)
    y0, x0 = _held(y0, height), _held(x0, width)
    return blocked[y0, x0] + blocked[y0, x1] + blocked[y1, x0] + blocked[y1, x1] == 0


@inside
def _filtered(image, blocked, x0, y0, across, down, low, high, sums):  # type: ignore[no-untyped-def]
    """Sum a filter's taps over free pixels; note the range of the 4 x 4 nearest.

    Returns the sum of the weights used.
    """
    height, width = blocked.shape
    norm = np.float32(0.0)
    for ty in range(TAPS):
        yy = _held(y0 + ty - 2, height)
        for tx in range(TAPS):
            xx = _held(x0 + tx - 2, width)
            if blocked[yy, xx] != 0:
                continue
            weight = down[ty] * across[tx]
            norm += weight
            near = 1 <= ty <= 4 and 1 <= tx <= 4
            for c in range(3):
                value = image[yy, xx, c]
                sums[c] += weight * value
                if near:
                    low[c] = min(low[c], value)
                    high[c] = max(high[c], value)
    return norm


@inside
def _is_there(blocked, x, y):  # type: ignore[no-untyped-def]
    """Whether (x, y) is in the picture and its 2 x 2 pixels are free."""
    height, width = blocked.shape
    inside = x > -0.5 and y > -0.5 and x < width - 0.5 and y < height - 0.5
    return inside and _is_free(blocked, int(np.floor(x)), int(np.floor(y)))


@numba.njit("void(uint8[:,::1], float32[:,::1], uint8[::1])", cache=True, nogil=True)
def look(blocked, place, found):  # type: ignore[no-untyped-def]
    """Set ``found`` to 1 for each ``place`` (n, 2: x, y) that `sample` would find."""
    for i in range(place.shape[0]):
        found[i] = _is_there(blocked, place[i, 0], place[i, 1])


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " uint8[::1])",
    cache=True,
    nogil=True,
)
def sample(image, blocked, place, table, out, found):  # type: ignore[no-untyped-def]
    """Take Lanczos samples of ``image`` (h, w, 3) at ``place`` (n, 2: x, y) into ``out``.

    Each sample is held within the values of the 4 x 4 pixels round it, so that nothing
    overshoots beside a highlight. Places outside, or whose 2 x 2 pixels are ``blocked``, are
    left alone and have ``found`` 0; blocked pixels further out are left out of the filter.
    """
    low, high, sums = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(place.shape[0]):
        x, y = place[i, 0], place[i, 1]
        found[i] = _is_there(blocked, x, y)
        if found[i] == 0:
            continue
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        low[:], high[:], sums[:] = np.float32(np.inf), np.float32(-np.inf), np.float32(0.0)
        across = table[int((x - x0) * PHASES + 0.5)]
        down = table[int((y - y0) * PHASES + 0.5)]
        norm = _filtered(image, blocked, x0, y0, across, down, low, high, sums)
        found[i] = 1
        for c in range(3):
            value = sums[c] / norm if norm > 0.3 else np.float32(0.5) * (low[c] + high[c])
            out[i, c] = min(max(value, low[c]), high[c])
