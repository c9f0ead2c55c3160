"""Compiled loops over patches: searching and peeling.

Signatures are fixed, machine code is cached beside the module. No loop is parallel by itself:
threads run over `waves` of patches, so results do not depend on how many there are. Loops
release the interpreter lock.
"""

from __future__ import annotations

import numba
import numpy as np

from genai_fill_server.engines.cleanplate.kernels import inside
from genai_fill_server.engines.cleanplate.wide_squares import WIDE, wide_squares

COLOURS = 3
"""The first channels of a feature picture are colours, which may be shifted; the rest not."""

_SHIFT_PRICE = np.float32(0.5)
_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)

_MARGIN = np.float32(1.001)
_SUM_ERROR = np.float32(1e-3)
"""Sums of 49 floats of magnitude 1 are off by less than a thousandth, however they are added."""


@inside
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


@inside
def _is_beyond(flat, pitch, own, other, rows, room):  # type: ignore[no-untyped-def]
    """Whether two patches' squared differences are sure to add up to more than ``room``.

    ``flat`` are the features, a row every ``pitch`` values; the patches begin at ``own`` and
    ``other`` and have ``rows`` rows. Of each row `WIDE` values are looked at, nearly all.
    """
    total = np.float32(0.0)
    for _ in range(rows):
        total += wide_squares(flat, own, other)  # type: ignore[call-arg]
        if total > room:
            return True
        own += pitch
        other += pitch
    return False


@inside
def _sums_of(features, y, x, radius, sums):  # type: ignore[no-untyped-def]
    """Put the sums of each colour over a patch into ``sums``; return the largest magnitude."""
    sum0, sum1, sum2 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    most = np.float32(0.0)
    for row in range(-radius, radius + 1):
        line = features[np.uint64(y + row)]
        for column in range(-radius, radius + 1):
            i = np.uint64(x + column)
            sum0 += line[i, 0]
            sum1 += line[i, 1]
            sum2 += line[i, 2]
            most = max(most, abs(line[i, 0]), abs(line[i, 1]), abs(line[i, 2]))
    sums[0], sums[1], sums[2] = sum0, sum1, sum2
    return most


@inside
def _largest(features, first, last):  # type: ignore[no-untyped-def]
    """Return the largest magnitude of a colour in rows ``first`` to ``last`` - 1."""
    most = np.float32(0.0)
    for y in range(first, last):
        for x in range(features.shape[1]):
            for c in range(COLOURS):
                most = max(most, abs(features[y, x, c]))
    return most


@numba.njit(
    "float32(float32[:,:,::1], uint8[:,::1], int64, int64, int64, float32[:,:,::1])",
    cache=True,
    nogil=True,
)
def sum_patches(features, allowed, radius, first, last, sums):  # type: ignore[no-untyped-def]
    """Set ``sums`` (h, w, 3) of allowed centres in rows ``first`` to ``last`` - 1.

    They are the sums of each colour over the patch, for `match_patches`. Returns the largest
    magnitude of a colour in these rows.
    """
    height, width = allowed.shape
    columns = np.empty((width, COLOURS), np.float32)
    for y in range(max(first, radius), min(last, height - radius)):
        columns[:] = np.float32(0.0)
        for row in range(y - radius, y + radius + 1):
            for x in range(width):
                for c in range(COLOURS):
                    columns[x, c] += features[row, x, c]
        for x in range(radius, width - radius):
            if allowed[y, x] == 0:
                continue
            for c in range(COLOURS):
                total = np.float32(0.0)
                for k in range(x - radius, x + radius + 1):
                    total += columns[k, c]
                sums[y, x, c] = total
    return _largest(features, first, min(last, height))


@inside
def _room(place, rules, best, own, other):  # type: ignore[no-untyped-def]
    """Return how large the squared differences of two patches may be for less than ``best``.

    A step of colour takes no more off them than it would at its price without limit. So
    nothing is too large that `_patch_distance`, which is slower, would find better.
    """
    y, x, cy, cx = place
    radius, _, near = rules
    most = np.float32(0.0)
    for c in range(COLOURS):
        total = abs(own[c] - other[c]) + own[COLOURS]
        most += total * total
    count = np.float32((2 * radius + 1) * (2 * radius + 1))
    way = near * np.float32(abs(y - cy) + abs(x - cx))
    return best * _MARGIN - way + most * _MARGIN / (count * (1 + _SHIFT_PRICE))


@inside
def _try(known, place, rules, match, own):  # type: ignore[no-untyped-def]
    """Take the second half of ``place`` as the match of its first if it is better, and may be.

    ``own`` are the sums of the first's patch and, last, how far two sums may be off.
    """
    features, flat, allowed, sums = known
    field, distance, shifts, shift = match
    y, x, cy, cx = place
    radius, limit, near = rules
    height, width = allowed.shape
    inside = radius <= cy < height - radius and radius <= cx < width - radius
    if not inside or allowed[cy, cx] == 0 or (cy == field[y, x, 0] and cx == field[y, x, 1]):
        return
    best = distance[y, x]
    room = _room(place, rules, best, own, sums[cy, cx])
    side, channels = 2 * radius + 1, features.shape[2]
    here = np.uint64(((y - radius) * width + x - radius) * channels)
    there = np.uint64(((cy - radius) * width + cx - radius) * channels)
    pitch = np.uint64(width * channels)
    if side * channels >= WIDE and _is_beyond(flat, pitch, here, there, side, room):
        return
    found = _patch_distance(features, y, x, cy, cx, radius, limit, near, best, shift)
    if found < best:
        distance[y, x] = found
        field[y, x, 0], field[y, x, 1] = cy, cx
        for c in range(COLOURS):
            shifts[y, x, c] = shift[c]


@inside
def _propagate(known, y, x, step, rules, match, own):  # type: ignore[no-untyped-def]
    """Try for (y, x) what its neighbours beside and above (or below) match."""
    field = match[0]
    for turn in range(2):
        ny, nx = (y, x + step) if turn == 0 else (y + step, x)
        cy = np.int64(field[ny, nx, 0]) + (y - ny)
        cx = np.int64(field[ny, nx, 1]) + (x - nx)
        _try(known, (y, x, cy, cx), rules, match, own)


@inside
def _search(known, y, x, state, reach, rules, match, own):  # type: ignore[no-untyped-def]
    """Try for (y, x) random places ever nearer to its match, from ``reach`` pixels on."""
    field = match[0]
    while reach >= 1:
        span = np.uint64(2 * reach + 1)
        state = state * _MULTIPLIER + _INCREMENT
        cy = np.int64(field[y, x, 0]) + np.int64((state >> np.uint64(33)) % span) - reach
        state = state * _MULTIPLIER + _INCREMENT
        cx = np.int64(field[y, x, 1]) + np.int64((state >> np.uint64(33)) % span) - reach
        _try(known, (y, x, cy, cx), rules, match, own)
        reach = reach // 2


@numba.njit("void(uint64[::1], int64, uint64)", cache=True, nogil=True)
def random_states(states, reach, seed):  # type: ignore[no-untyped-def]
    """Set the random state that each centre of a run starts from in `match_patches`.

    One sequence runs through all of ``states`` (n,); a centre uses two numbers for each
    halving of ``reach``. A centre's chance therefore does not depend on which thread comes
    to it, nor when.
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
    " float32[:,:,::1], int64, float32, float32, boolean, uint64[::1], int64, float32[:,:,::1],"
    " float32)",
    cache=True,
    nogil=True,
)
def match_patches(  # type: ignore[no-untyped-def]
    features,
    allowed,
    wanted,
    field,
    distance,
    shifts,
    radius,
    limit,
    near,
    forward,
    states,
    reach,
    sums,
    largest,
):
    """Improve a nearest-neighbour field: PatchMatch (C. Barnes et al., SIGGRAPH 2009).

    ``features`` (h, w, c) are compared over squares of side ``2 * radius + 1``; ``wanted``
    (n, 2: y, x) are the centres to match, in scan order if ``forward``, else in reverse;
    ``allowed`` marks centres that may be copied from; ``field`` (h, w, 2: y, x), ``distance``
    (h, w) and ``shifts`` (h, w, 3) are improved in place; ``states`` (n,) are of
    `random_states` for the same ``reach``, the furthest that is searched; ``sums`` and
    ``largest`` are of `sum_patches`. All centres keep ``radius`` pixels from the edge of the
    arrays.
    """
    step = -1 if forward else 1
    own = np.empty(COLOURS + 1, np.float32)
    known = (features, features.reshape(features.size), allowed, sums)
    match = (field, distance, shifts, np.empty(COLOURS, np.float32))
    rules = (radius, limit, near)
    for k in range(wanted.shape[0]):
        y, x = np.int64(wanted[k, 0]), np.int64(wanted[k, 1])
        own[COLOURS] = _SUM_ERROR * max(largest, _sums_of(features, y, x, radius, own))
        _propagate(known, y, x, step, rules, match, own)
        _search(known, y, x, states[k], reach, rules, match, own)


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


@inside
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
