"""Compiled inner loops. Signatures are fixed and machine code is cached beside the module.

No loop is parallel by itself: threads run over sources, frames and `waves` of patches, so
results do not depend on how many there are. Loops release the interpreter lock.
"""

from __future__ import annotations

import numba
import numpy as np

TAPS = 6
PHASES = 512
GRAIN_POWER = 0.92
COLOURS = 3
"""The first channels of a feature picture are colours, which may be shifted; the rest not."""

_SHIFT_PRICE = np.float32(0.5)
_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)


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


@numba.njit(inline="always")
def _held(value, size):  # type: ignore[no-untyped-def]
    """Return an index held inside 0 to ``size - 1``."""
    return min(max(value, 0), size - 1)


@numba.njit(cache=True, nogil=True)
def _is_free(blocked, x0, y0):  # type: ignore[no-untyped-def]
    """Whether none of the 2 x 2 pixels from (x0, y0) is blocked."""
    height, width = blocked.shape
    y1, x1 = _held(y0 + 1, height), _held(x0 + 1, width)
    y0, x0 = _held(y0, height), _held(x0, width)
    return blocked[y0, x0] + blocked[y0, x1] + blocked[y1, x0] + blocked[y1, x1] == 0


@numba.njit(cache=True, nogil=True)
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
    height, width = blocked.shape
    low, high, sums = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(place.shape[0]):
        x, y = place[i, 0], place[i, 1]
        inside = x > -0.5 and y > -0.5 and x < width - 0.5 and y < height - 0.5
        found[i] = 0
        if not inside:
            continue
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        if not _is_free(blocked, x0, y0):
            continue
        low[:], high[:], sums[:] = np.float32(np.inf), np.float32(-np.inf), np.float32(0.0)
        across = table[int((x - x0) * PHASES + 0.5)]
        down = table[int((y - y0) * PHASES + 0.5)]
        norm = _filtered(image, blocked, x0, y0, across, down, low, high, sums)
        found[i] = 1
        for c in range(3):
            value = sums[c] / norm if norm > 0.3 else np.float32(0.5) * (low[c] + high[c])
            out[i, c] = min(max(value, low[c]), high[c])


@numba.njit(cache=True, nogil=True)
def _patch_distance(features, y, x, cy, cx, radius, limit, near, best, shift):  # type: ignore[no-untyped-def]
    """Return how unlike two patches are; ``shift`` gets the colour step between them.

    A step of up to ``limit`` in each colour is allowed at a small price, so that shading does
    not forbid a texture; each pixel of way costs ``near``, since light, focus and scale are
    alike nearby. Gives up once ``best`` cannot be beaten.
    """
    channels = features.shape[2]
    side = 2 * radius + 1
    rest = near * np.float32(abs(y - cy) + abs(x - cx))
    # One variable a colour stays in a register, where an array goes through memory. Unsigned
    # places spare the question whether an index counts from the end.
    square0, square1, square2 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    total0, total1, total2 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for row in range(side):
        own = features[np.uint64(y - radius + row)]
        other = features[np.uint64(cy - radius + row)]
        for column in range(side):
            i, j = np.uint64(x - radius + column), np.uint64(cx - radius + column)
            e = own[i, 0] - other[j, 0]
            square0 += e * e
            total0 += e
            e = own[i, 1] - other[j, 1]
            square1 += e * e
            total1 += e
            e = own[i, 2] - other[j, 2]
            square2 += e * e
            total2 += e
            for c in range(COLOURS, channels):
                e = own[i, np.uint64(c)] - other[j, np.uint64(c)]
                rest += e * e
        seen = np.float32((row + 1) * side)
        bound = rest + (square0 - total0 * total0 / seen)
        bound += square1 - total1 * total1 / seen
        bound += square2 - total2 * total2 / seen
        if bound >= best:
            return bound
    count = np.float32(side * side)
    result = rest
    for c in range(COLOURS):
        total = total0 if c == 0 else (total1 if c == 1 else total2)
        square = square0 if c == 0 else (square1 if c == 1 else square2)
        step = min(max(total / (count * (1 + _SHIFT_PRICE)), -limit), limit)
        shift[c] = step
        result += square - 2 * step * total + (1 + _SHIFT_PRICE) * count * step * step
    return result


@numba.njit(cache=True, nogil=True)
def _try(features, allowed, y, x, cy, cx, radius, limit, near, field, distance, shifts, shift):  # type: ignore[no-untyped-def]
    """Take (cy, cx) as the match of (y, x) if it may be and is better."""
    height, width = allowed.shape
    inside = radius <= cy < height - radius and radius <= cx < width - radius
    if not inside or allowed[cy, cx] == 0 or (cy == field[y, x, 0] and cx == field[y, x, 1]):
        return
    best = distance[y, x]
    found = _patch_distance(features, y, x, cy, cx, radius, limit, near, best, shift)
    if found < best:
        distance[y, x] = found
        field[y, x, 0], field[y, x, 1] = cy, cx
        for c in range(COLOURS):
            shifts[y, x, c] = shift[c]


@numba.njit(cache=True, nogil=True)
def _propagate(  # type: ignore[no-untyped-def]
    features, allowed, y, x, step, radius, limit, near, field, distance, shifts, shift
):
    """Try for (y, x) what its neighbours beside and above (or below) match."""
    for turn in range(2):
        ny, nx = (y, x + step) if turn == 0 else (y + step, x)
        cy = np.int64(field[ny, nx, 0]) + (y - ny)
        cx = np.int64(field[ny, nx, 1]) + (x - nx)
        _try(features, allowed, y, x, cy, cx, radius, limit, near, field, distance, shifts, shift)


@numba.njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    features, allowed, y, x, state, reach, radius, limit, near, field, distance, shifts, shift
):
    """Try for (y, x) random places ever nearer to its match, from ``reach`` pixels on."""
    while reach >= 1:
        span = np.uint64(2 * reach + 1)
        state = state * _MULTIPLIER + _INCREMENT
        cy = np.int64(field[y, x, 0]) + np.int64((state >> np.uint64(33)) % span) - reach
        state = state * _MULTIPLIER + _INCREMENT
        cx = np.int64(field[y, x, 1]) + np.int64((state >> np.uint64(33)) % span) - reach
        _try(features, allowed, y, x, cy, cx, radius, limit, near, field, distance, shifts, shift)
        reach = reach // 2


@numba.njit("void(uint64[::1], int64, uint64)", cache=True, nogil=True)
def random_states(states, reach, seed):  # type: ignore[no-untyped-def]
    """Set the random state that each centre of a run starts from in `match_patches`.

    One sequence runs through all of ``states`` (n,); a centre uses two numbers for each
    halving of ``reach``. A centre's chance therefore does
    not depend on which thread comes to it, nor when.
    """
    state = seed * _MULTIPLIER + _INCREMENT
    turns = 0
    while reach >= 1:
        turns += 2
        reach = reach // 2
    for k in range(states.shape[0]):
        states[k] = state
        for _ in range(turns):
            state = state * _MULTIPLIER + _INCREMENT


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1],"
    " float32[:,:,::1], int64, float32, float32, boolean, uint64[::1], int64)",
    cache=True,
    nogil=True,
)
def match_patches(  # type: ignore[no-untyped-def]
    features, allowed, wanted, field, distance, shifts, radius, limit, near, forward, states, reach
):
    """Improve a nearest-neighbour field: PatchMatch (C. Barnes et al., SIGGRAPH 2009).

    ``features`` (h, w, c) are compared over squares of side ``2 * radius + 1``; ``wanted``
    (n, 2: y, x) are the centres to match, in scan order if ``forward``, else in reverse;
    ``allowed`` marks centres that may be copied from; ``field`` (h, w, 2: y, x), ``distance``
    (h, w) and ``shifts`` (h, w, 3) are improved in place; ``states`` (n,) are of
    `random_states` for the same ``reach``, the furthest that is searched. All centres keep
    ``radius`` pixels from the edge of the arrays.
    """
    step = -1 if forward else 1
    shift = np.empty(COLOURS, np.float32)
    for k in range(wanted.shape[0]):
        y, x = np.int64(wanted[k, 0]), np.int64(wanted[k, 1])
        _propagate(
            features, allowed, y, x, step, radius, limit, near, field, distance, shifts, shift
        )
        _search(
            features,
            allowed,
            y,
            x,
            states[k],
            reach,
            radius,
            limit,
            near,
            field,
            distance,
            shifts,
            shift,
        )


@numba.njit(
    "void(float32[:,:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1], float32[:,:,::1],"
    " int64, float32, float32)",
    cache=True,
    nogil=True,
)
def measure_patches(features, wanted, field, distance, shifts, radius, limit, near):  # type: ignore[no-untyped-def]
    """Set ``distance`` and ``shifts`` of each wanted centre to those of its present match."""
    shift = np.empty(COLOURS, np.float32)
    infinite = np.float32(np.inf)
    for k in range(wanted.shape[0]):
        y, x = np.int64(wanted[k, 0]), np.int64(wanted[k, 1])
        cy, cx = np.int64(field[y, x, 0]), np.int64(field[y, x, 1])
        distance[y, x] = _patch_distance(
            features, y, x, cy, cx, radius, limit, near, infinite, shift
        )
        for c in range(COLOURS):
            shifts[y, x, c] = shift[c]


@numba.njit(cache=True, nogil=True)
def _known_distance(image, known, y, x, cy, cx, radius, best):  # type: ignore[no-untyped-def]
    """Return how unlike two patches are where the first is known."""
    result = np.float32(0.0)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if known[y + dy, x + dx] == 0:
                continue
            for c in range(image.shape[2]):
                e = image[y + dy, x + dx, c] - image[cy + dy, cx + dx, c]
                result += e * e
        if result >= best:
            break
    return result


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,::1], int32[:,::1], int64, int64)",
    cache=True,
    nogil=True,
)
def peel_patches(image, known, ring, choices, matches, radius, reach):  # type: ignore[no-untyped-def]
    """Find for each centre of ``ring`` (n, 2) the best of the ``choices`` (m, 2) in reach.

    Only what is ``known`` of the patch counts. ``matches`` (n, 2) gets the results. Every
    choice within ``reach`` pixels is tried, or every one at all where none is so near.
    """
    for k in range(ring.shape[0]):
        y, x = np.int64(ring[k, 0]), np.int64(ring[k, 1])
        best = np.float32(np.inf)
        for limit in (reach, np.int64(1) << 40):
            for m in range(choices.shape[0]):
                cy, cx = np.int64(choices[m, 0]), np.int64(choices[m, 1])
                if abs(cy - y) > limit or abs(cx - x) > limit:
                    continue
                found = _known_distance(image, known, y, x, cy, cx, radius, best)
                if found < best:
                    best = found
                    matches[k, 0], matches[k, 1] = cy, cx
            if best < np.inf:
                break


@numba.njit(cache=True, nogil=True)
def _vote(image, hole, field, distance, shifts, trust, y, x, radius, scale, copy, total):  # type: ignore[no-untyped-def]
    """Put into ``total`` what patches over (y, x) say of it; return the weight of that."""
    height, width, channels = image.shape
    best, mass = np.float32(np.inf), np.float32(0.0)
    total[:] = np.float32(0.0)
    for py in range(max(y - radius, 0), min(y + radius + 1, height)):
        for px in range(max(x - radius, 0), min(x + radius + 1, width)):
            sy, sx = field[py, px, 0] + y - py, field[py, px, 1] + x - px
            inside = 0 <= sy < height and 0 <= sx < width
            if trust[py, px] <= 0.0 or not inside or hole[sy, sx] != 0:
                continue
            weight = trust[py, px] * np.float32(np.exp(-distance[py, px] / scale))
            weight += np.float32(1e-12)
            if copy:
                # A patch centred here says more of this pixel than one that grazes it.
                far = (py - y) * (py - y) + (px - x) * (px - x)
                cost = distance[py, px] * (np.float32(1.0) + np.float32(0.05) * far)
                if cost >= best:
                    continue
                best, mass = cost, np.float32(0.0)
                total[:] = np.float32(0.0)
            mass += weight
            for c in range(channels):
                total[c] += weight * image[sy, sx, c]
            for c in range(COLOURS):
                total[c] += weight * shifts[py, px, c]
    return mass


@numba.njit(
    "void(float32[:,:,::1], uint8[:,::1], int32[:,::1], int32[:,:,::1], float32[:,::1],"
    " float32[:,:,::1], float32[:,::1], int64, float32, boolean)",
    cache=True,
    nogil=True,
)
def vote_patches(image, hole, inside, field, distance, shifts, trust, radius, scale, copy):  # type: ignore[no-untyped-def]
    """Repaint the hole of ``image`` (h, w, c) from the matches of the patches over it.

    ``inside`` (n, 2) lists the hole's pixels; ``trust`` (h, w) weighs each centre's match, 0
    where there is none. A pixel is the mean of what its patches say, weighted by trust and
    ``exp(-distance / scale)``; with ``copy`` it is what the best of them says, which keeps
    grain.
    """
    channels = image.shape[2]
    fresh = np.empty((inside.shape[0], channels), np.float32)
    total = np.empty(channels, np.float32)
    for k in range(inside.shape[0]):
        y, x = inside[k, 0], inside[k, 1]
        mass = _vote(image, hole, field, distance, shifts, trust, y, x, radius, scale, copy, total)
        for c in range(channels):
            fresh[k, c] = total[c] / mass if mass > 0.0 else image[y, x, c]
    for k in range(inside.shape[0]):
        for c in range(channels):
            image[inside[k, 0], inside[k, 1], c] = fresh[k, c]
