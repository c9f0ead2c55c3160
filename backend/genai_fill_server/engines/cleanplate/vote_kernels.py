"""Compiled loops that paint what patches say. Each pixel is its own: threads share them out."""

from __future__ import annotations

import numba
import numpy as np

from genai_fill_server.engines.cleanplate.kernels import inside
from genai_fill_server.engines.cleanplate.patch_kernels import COLOURS


@numba.njit(
    "void(int32[:,::1], float32[:,::1], float32[:,::1], float32, float32[:,::1])",
    cache=True,
    nogil=True,
)
def weigh_patches(wanted, distance, trust, scale, weight):  # type: ignore[no-untyped-def]
    """Set ``weight`` (h, w) of each wanted centre to what its match counts in a vote.

    That is its trust times ``exp(-distance / scale)``, and 0 where there is no trust.
    """
    for k in range(wanted.shape[0]):
        y, x = np.uint64(wanted[k, 0]), np.uint64(wanted[k, 1])
        heavy = trust[y, x] * np.float32(np.exp(-distance[y, x] / scale)) + np.float32(1e-12)
        weight[y, x] = heavy if trust[y, x] > 0.0 else np.float32(0.0)


@inside
def _vote(image, hole, field, shifts, weight, y, x, radius, total):  # type: ignore[no-untyped-def]
    """Put into ``total`` what patches over (y, x) say of it; return the weight of that."""
    height, width, channels = image.shape
    mass = np.float32(0.0)
    total[:] = np.float32(0.0)
    for py in range(max(y - radius, 0), min(y + radius + 1, height)):
        for px in range(max(x - radius, 0), min(x + radius + 1, width)):
            own = weight[py, px]
            sy, sx = field[py, px, 0] + y - py, field[py, px, 1] + x - px
            inside = 0 <= sy < height and 0 <= sx < width
            if own <= 0.0 or not inside or hole[sy, sx] != 0:
                continue
            mass += own
            for c in range(channels):
                total[c] += own * image[sy, sx, c]
            for c in range(COLOURS):
                total[c] += own * shifts[py, px, c]
    return mass


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,:,::1], float32[:,:,::1],"
    " float32[:,::1], int64)",
    cache=True,
    nogil=True,
)
def vote_patches(image, hole, inside, field, shifts, weight, radius):  # type: ignore[no-untyped-def]
    """Repaint the hole of ``image`` (h, w, c) from the matches of the patches over it.

    ``inside`` (n, 2) lists the hole's pixels; ``weight`` (h, w) is that of `weigh_patches`, 0
    where there is no match. A pixel is the weighted mean of what its patches say.
    """
    channels = image.shape[2]
    fresh = np.empty((inside.shape[0], channels), np.float32)
    total = np.empty(channels, np.float32)
    for k in range(inside.shape[0]):
        y, x = np.int64(inside[k, 0]), np.int64(inside[k, 1])
        mass = _vote(image, hole, field, shifts, weight, y, x, radius, total)
        for c in range(channels):
            fresh[k, c] = total[c] / mass if mass > 0.0 else image[y, x, c]
    for k in range(inside.shape[0]):
        for c in range(channels):
            image[inside[k, 0], inside[k, 1], c] = fresh[k, c]
