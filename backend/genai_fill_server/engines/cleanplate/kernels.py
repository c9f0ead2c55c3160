"""Compiled inner loops. Signatures are fixed and machine code is cached beside the module.

No loop is parallel by itself: threads run over sources and frames, so results do not depend
on how many there are. Loops release the interpreter lock.
"""

from __future__ import annotations

import numba
import numpy as np

TAPS = 6
PHASES = 512


def lanczos_table() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the weights of a six-tap Lanczos filter for 512 positions between two pixels."""
    phase = np.arange(PHASES + 1, dtype=np.float64)[:, None] / PHASES
    distance = phase - np.arange(-2, 4, dtype=np.float64)[None]
    weights = np.sinc(distance) * np.sinc(distance / 3.0)
    weights[np.abs(distance) >= 3.0] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " uint8[::1])",
    cache=True,
    nogil=True,
)
def sample(encoded, blocked, place, table, out, found):  # type: ignore[no-untyped-def]
    """Take Lanczos samples of ``encoded`` (h, w, 3) at ``place`` (n, 2: x, y) into ``out``.

    Each sample is held within the values of the 4 x 4 pixels round it, so that nothing
    overshoots beside a highlight. Places outside, or whose 2 x 2 pixels are ``blocked``, are
    left alone and have ``found`` 0; blocked pixels further out are left out of the filter.
    """
    height, width = blocked.shape
    low = np.empty(3, np.float32)
    high = np.empty(3, np.float32)
    sums = np.empty(3, np.float32)
    for i in range(place.shape[0]):
        found[i] = 0
        x = place[i, 0]
        y = place[i, 1]
        if not (x > -0.5 and y > -0.5 and x < width - 0.5 and y < height - 0.5):
            continue
        x0 = int(np.floor(x))
        y0 = int(np.floor(y))
        bad = False
        for ty in range(2):
            for tx in range(2):
                yy = min(max(y0 + ty, 0), height - 1)
                xx = min(max(x0 + tx, 0), width - 1)
                bad = bad or blocked[yy, xx] != 0
        if bad:
            continue
        row = int((y - y0) * PHASES + 0.5)
        column = int((x - x0) * PHASES + 0.5)
        for c in range(3):
            low[c] = np.float32(np.inf)
            high[c] = np.float32(-np.inf)
            sums[c] = np.float32(0.0)
        norm = np.float32(0.0)
        for ty in range(TAPS):
            yy = min(max(y0 + ty - 2, 0), height - 1)
            for tx in range(TAPS):
                xx = min(max(x0 + tx - 2, 0), width - 1)
                if blocked[yy, xx] != 0:
                    continue
                w = table[row, ty] * table[column, tx]
                norm += w
                near = 1 <= ty <= 4 and 1 <= tx <= 4
                for c in range(3):
                    v = encoded[yy, xx, c]
                    sums[c] += w * v
                    if near:
                        low[c] = min(low[c], v)
                        high[c] = max(high[c], v)
        found[i] = 1
        for c in range(3):
            if norm > 0.3:
                out[i, c] = min(max(sums[c] / norm, low[c]), high[c])
            else:
                out[i, c] = np.float32(0.5) * (low[c] + high[c])


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1],"
    " int64, boolean, uint64)",
    cache=True,
    nogil=True,
)
def match_patches(features, allowed, wanted, field, distance, radius, forward, seed):  # type: ignore[no-untyped-def]
    """Improve a nearest-neighbour field: PatchMatch (C. Barnes et al., SIGGRAPH 2009).

    ``features`` (h, w, c) are compared over squares of side ``2 * radius + 1``; ``wanted``
    (n, 2: y, x) are the centres to match, in scan order if ``forward``, else in reverse;
    ``allowed`` marks centres that may be copied from; ``field`` (h, w, 2: y, x) and ``distance`` (h, w) are improved in place.
    All centres keep ``radius`` pixels from the edge of the arrays.
    """
    height, width, channels = features.shape
    state = seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    count = wanted.shape[0]
    largest = max(height, width)
    step = -1 if forward else 1
    for k in range(count):
        y = wanted[k, 0]
        x = wanted[k, 1]
        best_y = field[y, x, 0]
        best_x = field[y, x, 1]
        best = distance[y, x]
        reach = largest
        trial = 0
        while reach >= 1:
            if trial == 0:
                cy = np.int64(field[y, x + step, 0])
                cx = np.int64(field[y, x + step, 1] - step)
            elif trial == 1:
                cy = np.int64(field[y + step, x, 0] - step)
                cx = np.int64(field[y + step, x, 1])
            else:
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                first = np.int64((state >> np.uint64(33)) % np.uint64(2 * reach + 1))
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                second = np.int64((state >> np.uint64(33)) % np.uint64(2 * reach + 1))
                cy = np.int64(best_y) + first - reach
                cx = np.int64(best_x) + second - reach
                reach = reach // 2
            trial += 1
            if cy < radius or cx < radius or cy >= height - radius or cx >= width - radius:
                continue
            if allowed[cy, cx] == 0 or (cy == best_y and cx == best_x):
                continue
            d = np.float32(0.0)
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    for c in range(channels):
                        e = features[y + dy, x + dx, c] - features[cy + dy, cx + dx, c]
                        d += e * e
                if d >= best:
                    break
            if d < best:
                best = d
                best_y = np.int32(cy)
                best_x = np.int32(cx)
        field[y, x, 0] = best_y
        field[y, x, 1] = best_x
        distance[y, x] = best


@numba.njit(
    "void(float32[:,:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1], int64)",
    cache=True,
    nogil=True,
)
def measure_patches(features, wanted, field, distance, radius):  # type: ignore[no-untyped-def]
    """Set ``distance`` of each wanted centre to that of its present match."""
    channels = features.shape[2]
    for k in range(wanted.shape[0]):
        y = wanted[k, 0]
        x = wanted[k, 1]
        cy = field[y, x, 0]
        cx = field[y, x, 1]
        d = np.float32(0.0)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                for c in range(channels):
                    e = features[y + dy, x + dx, c] - features[cy + dy, cx + dx, c]
                    d += e * e
        distance[y, x] = d


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], uint8[:,::1], int32[:,:,::1],"
    " float32[:,::1], int64, float32, boolean)",
    cache=True,
    nogil=True,
)
def vote_patches(image, hole, inside, matched, field, distance, radius, scale, copy):  # type: ignore[no-untyped-def]
    """Repaint the hole of ``image`` (h, w, c) from the matches of the patches over it.

    ``inside`` (n, 2) lists the hole's pixels and ``matched`` marks centres with a match.
    A pixel is the mean of what its patches say, weighted ``exp(-distance / scale)``; with
    ``copy`` it is what the best of them says, which keeps grain.
    """
    height, width, channels = image.shape
    fresh = np.empty((inside.shape[0], channels), np.float32)
    total = np.empty(channels, np.float32)
    for k in range(inside.shape[0]):
        y = inside[k, 0]
        x = inside[k, 1]
        best = np.float32(np.inf)
        mass = np.float32(0.0)
        for c in range(channels):
            total[c] = image[y, x, c]
            fresh[k, c] = image[y, x, c]
        for c in range(channels):
            total[c] = 0.0
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                py = y + dy
                px = x + dx
                if py < 0 or px < 0 or py >= height or px >= width or matched[py, px] == 0:
                    continue
                sy = field[py, px, 0] - dy
                sx = field[py, px, 1] - dx
                if sy < 0 or sx < 0 or sy >= height or sx >= width or hole[sy, sx] != 0:
                    continue
                d = distance[py, px]
                if copy:
                    # A patch centred here says more of this pixel than one that grazes it.
                    d = d * (np.float32(1.0) + np.float32(0.05) * (dy * dy + dx * dx))
                    if d < best:
                        best = d
                        mass = np.float32(1.0)
                        for c in range(channels):
                            total[c] = image[sy, sx, c]
                else:
                    w = np.float32(np.exp(-d / scale)) + np.float32(1e-12)
                    mass += w
                    for c in range(channels):
                        total[c] += w * image[sy, sx, c]
        if mass > 0.0:
            for c in range(channels):
                fresh[k, c] = total[c] / mass
    for k in range(inside.shape[0]):
        for c in range(channels):
            image[inside[k, 0], inside[k, 1], c] = fresh[k, c]
