"""Compiled inner loops of `melding`. Signatures are fixed; the interpreter lock is released."""

from __future__ import annotations

import numba
import numpy as np

from genai_fill_server.engines.cleanplate.patch_kernels import COLOURS


@numba.njit(cache=True, nogil=True)
def _best_patch(hole, field, distance, trust, y, x, radius):  # type: ignore[no-untyped-def]
    """Return the centre of the patch over (y, x) that says most of it, (-1, -1) if none."""
    height, width = hole.shape
    best, by, bx = np.float32(np.inf), -1, -1
    for py in range(max(y - radius, 0), min(y + radius + 1, height)):
        for px in range(max(x - radius, 0), min(x + radius + 1, width)):
            sy, sx = field[py, px, 0] + y - py, field[py, px, 1] + x - px
            inside = 0 <= sy < height and 0 <= sx < width
            if trust[py, px] <= 0.0 or not inside or hole[sy, sx] != 0:
                continue
            # A patch centred here says more of this pixel than one that grazes it.
            far = (py - y) * (py - y) + (px - x) * (px - x)
            cost = distance[py, px] * (np.float32(1.0) + np.float32(0.05) * far)
            if cost < best:
                best, by, bx = cost, py, px
    return by, bx


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1],"
    " float32[:,:,::1], float32[:,::1], int64, int32[:,::1])",
    cache=True,
    nogil=True,
)
def copy_pixels(image, hole, inside, field, distance, shifts, trust, radius, sources):  # type: ignore[no-untyped-def]
    """Paint the hole of ``image`` (h, w, c) with whole pixels of the best patch over each.

    ``inside`` (n, 2) lists the hole's pixels; ``field`` (h, w, 2), ``distance`` (h, w) and
    ``shifts`` (h, w, 3) are the patches' matches, of which those with ``trust`` 0 do not
    count. ``sources`` (n, 2) gets where each pixel came from, (-1, -1) where no patch says.
    """
    channels = image.shape[2]
    for k in range(inside.shape[0]):
        y, x = inside[k, 0], inside[k, 1]
        py, px = _best_patch(hole, field, distance, trust, y, x, radius)
        sources[k, 0] = sources[k, 1] = -1
        if py < 0:
            continue
        sy, sx = field[py, px, 0] + y - py, field[py, px, 1] + x - px
        sources[k, 0], sources[k, 1] = sy, sx
        for c in range(channels):
            image[y, x, c] = image[sy, sx, c]
        for c in range(COLOURS):
            image[y, x, c] += shifts[py, px, c]


@numba.njit(cache=True, nogil=True)
def _seen(known, sources, k, dy, dx):  # type: ignore[no-untyped-def]
    """Whether the source of pixel ``k`` and what lies (dy, dx) from it are both known."""
    height, width = known.shape
    if k < 0 or sources[k, 0] < 0:
        return False
    y, x = sources[k, 0] + dy, sources[k, 1] + dx
    return 0 <= y < height and 0 <= x < width and known[y, x] != 0


@numba.njit(cache=True, nogil=True)
def _beside(sources, k, j, dy, dx):  # type: ignore[no-untyped-def]
    """Whether ``j``, (dy, dx) beside ``k``, was copied from (dy, dx) beside its source."""
    if j < 0 or sources[k, 0] < 0:
        return False
    return sources[j, 0] - sources[k, 0] == dy and sources[j, 1] - sources[k, 1] == dx


@numba.njit(cache=True, nogil=True)
def _steps(image, known, sources, k, j, dy, dx, step):  # type: ignore[no-untyped-def]
    """Sum in ``step`` what the sources of ``k`` and of ``j``, (dy, dx) beside it, say it is.

    Returns how many of the two can say.
    """
    if _beside(sources, k, j, dy, dx):
        sy, sx = sources[k, 0], sources[k, 1]
        for c in range(COLOURS):
            step[c] = image[sy, sx, c] - image[sy + dy, sx + dx, c]
        return np.float32(1.0)
    views = np.float32(0.0)
    step[:] = np.float32(0.0)
    if _seen(known, sources, k, dy, dx):
        views += np.float32(1.0)
        sy, sx = sources[k, 0], sources[k, 1]
        for c in range(COLOURS):
            step[c] += image[sy, sx, c] - image[sy + dy, sx + dx, c]
    if _seen(known, sources, j, -dy, -dx):
        views += np.float32(1.0)
        sy, sx = sources[j, 0], sources[j, 1]
        for c in range(COLOURS):
            step[c] += image[sy - dy, sx - dx, c] - image[sy, sx, c]
    return views


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,::1], int32[:,::1], int64, int64,"
    " float32, float32, float32[:,::1], float32[:,::1])",
    cache=True,
    nogil=True,
)
def pull_of_sources(  # type: ignore[no-untyped-def]
    image, known, inside, numbers, sources, first, last, hold, seam, pull, bonds
):
    """Set what draws the pixels ``first`` to ``last`` of ``inside`` and how firmly.

    Between two neighbours the step is that of the pictures they came from, seen from either
    side: ``bonds`` (n, 4) gets the weight of each of four neighbours, ``seam`` where the two
    came from different places; ``pull`` (n, 3) gets the weighted steps and ``hold`` times the
    pixel itself. All are shares of their sum. ``known`` (h, w) marks what may be
    looked at, ``numbers`` (h, w) the place of a pixel in ``inside``, -1 outside the hole.
    """
    step = np.empty(COLOURS, np.float32)
    for k in range(first, last):
        y, x = inside[k, 0], inside[k, 1]
        for c in range(COLOURS):
            pull[k, c] = hold * image[y, x, c]
        total = hold
        for d in range(4):
            dy, dx = (0, 1, 0, -1)[d], (1, 0, -1, 0)[d]
            qy, qx = y + dy, x + dx
            bonds[k, d] = np.float32(0.0)
            # The picture is padded: there always is a neighbour, though perhaps none to look at.
            j = numbers[qy, qx]
            if j < 0 and known[qy, qx] == 0:
                continue
            views = _steps(image, known, sources, k, j, dy, dx, step)
            if views == 0:
                continue
            weight = seam if j >= 0 and not _beside(sources, k, j, dy, dx) else np.float32(1.0)
            bonds[k, d] = weight
            total += weight
            for c in range(COLOURS):
                pull[k, c] += weight * step[c] / views
        for c in range(COLOURS):
            pull[k, c] /= total
        for d in range(4):
            bonds[k, d] /= total


@numba.njit(
    "void(float32[:,:,::1], int32[:,::1], float32[:,::1], float32[:,::1], int64, float32)",
    cache=True,
    nogil=True,
)
def relax(image, inside, pull, bonds, sweeps, haste):  # type: ignore[no-untyped-def]
    """Solve the colours of ``inside`` in place by successive over-relaxation.

    Each pixel is drawn to the weighted sum of its neighbours and its ``pull``, and beyond it
    by ``haste`` (1: not beyond).
    """
    for _ in range(sweeps):
        for k in range(inside.shape[0]):
            y, x = np.uint64(inside[k, 0]), np.uint64(inside[k, 1])
            one = np.uint64(1)
            # A pixel waits for the one before it; three colours at once wait together.
            for c in range(COLOURS):
                total = pull[k, c] - image[y, x, c]
                total += bonds[k, 0] * image[y, x + one, c] + bonds[k, 1] * image[y + one, x, c]
                total += bonds[k, 2] * image[y, x - one, c] + bonds[k, 3] * image[y - one, x, c]
                image[y, x, c] += haste * total
