"""How copied pixels become one picture: steps are copied, not values; then fineness is kept.

Patches differ in light from each other and from the plate at the hole's edge. So the hole takes
from its sources the steps between neighbours, and values follow from the plate round it (P.
Pérez et al., "Poisson Image Editing", SIGGRAPH 2003; held weakly to what was copied, P. Bhat et
al., "GradientShop", ACM TOG 2010). Where neighbours come from different places, the mean of
two steps is smoother than either; what grain and fine texture lose by it is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.levels import RADIUS, Field, Level
from genai_fill_server.engines.cleanplate.melding_kernels import (
    copy_pixels,
    pull_of_sources,
    relax,
)
from genai_fill_server.engines.cleanplate.patch_kernels import COLOURS
from genai_fill_server.engines.cleanplate.waves import Runner, bands, shares

Places = npt.NDArray[np.int32]

_HOLD = np.float32(0.02)
"""What is copied holds a pixel this much against its neighbours: a step is spread over some
seven pixels, and sums stay small enough to be solved in a few sweeps."""

_SEAM = np.float32(0.2)
_SWEEPS, _SWEEPS_AT_ONCE = 16, 4
_HASTE = np.float32(1.75)
_FINE_PX, _FINE_REACH_PX = 1.2, 8
_NEAR_PX = 4.0
_MOST_GAIN = 1.5
_CALMER = np.float32(1.1)
"""Patches that are chosen are calmer than what they stand in for: without this, grain on a sky
came out at 0.95 of what is there, and detail on photographs at 0.8 of the truth's."""

_MEAN_OF_COLOURS = np.array([[1, 1, 1, 0, 0]], np.float32) / 3


def stitch(
    level: Level,
    inside: Places,
    found: tuple[Field, Floats, Floats],
    trust: Floats,
    run: Runner,
    check: Callable[[], None],
) -> None:
    """Paint the hole of a full-size level with pixels of its best patches, melded, in place.

    ``inside`` (n, 2) lists the hole's pixels in scan order; ``found`` are the matches of
    patches (h, w, 2), how unlike they are (h, w) and their steps of colour (h, w, 3). Those
    with ``trust`` (h, w) 0 do not count. ``check`` may cancel.
    """
    hole, sources = level.hole.astype(np.uint8), np.empty_like(inside)
    run(
        [
            partial(copy_pixels, level.image, hole, inside[at], *found, trust, RADIUS, sources[at])
            for at in shares(len(inside))
        ]
    )
    meld(level, inside, sources, run, check)


def meld(
    level: Level, inside: Places, sources: Places, run: Runner, check: Callable[[], None]
) -> None:
    """Make one picture of the hole of a full-size level, in place.

    ``inside`` (n, 2) lists the hole's pixels in scan order, painted by copying from
    ``sources`` (n, 2), (-1, -1) where nothing was copied. ``check`` may cancel.
    """
    check()
    image = level.image
    known = np.zeros(level.hole.shape, np.uint8)
    known[RADIUS:-RADIUS, RADIUS:-RADIUS] = ~level.hole[RADIUS:-RADIUS, RADIUS:-RADIUS]
    numbers = np.full(level.hole.shape, -1, np.int32)
    numbers[inside[:, 0], inside[:, 1]] = np.arange(len(inside), dtype=np.int32)
    pull = np.empty((len(inside), COLOURS), np.float32)
    bonds = np.empty((len(inside), 4), np.float32)
    common = (image, known, inside, numbers, sources)
    run(
        [
            partial(
                pull_of_sources,
                *common,
                part.start,
                min(part.stop, len(inside)),
                _HOLD,
                _SEAM,
                pull,
                bonds,
            )
            for part in shares(len(inside))
        ]
    )
    check()
    for _ in range(0, _SWEEPS, _SWEEPS_AT_ONCE):
        relax(image, inside, pull, bonds, _SWEEPS_AT_ONCE, _HASTE)
        check()
    frame = np.s_[RADIUS:-RADIUS, RADIUS:-RADIUS]
    placed = sources[:, 0] >= 0
    here, there = inside - RADIUS, np.where(placed[:, None], sources - RADIUS, 0)
    _refine(image[frame], known[frame], here, there, placed, run)


def _refine(
    image: Floats,
    known: npt.NDArray[np.uint8],
    inside: Places,
    sources: Places,
    placed: npt.NDArray[np.bool_],
    run: Runner,
) -> None:
    """Give the hole as much fineness as the places have that it was copied from, in place.

    All without padding. ``placed`` (n,) marks the pixels that have a source. ``run`` shares
    the work out, and may cancel.
    """
    fine = _fineness(image, run)
    # Beside the hole, what is fine has the hole's share in it.
    clear = cv2.erode(known, np.ones((5, 5), np.uint8))
    counts = placed & (clear[sources[:, 0], sources[:, 1]] > 0)
    wanted, weight = np.zeros_like(fine), np.zeros_like(fine)
    rows, columns = inside[:, 0], inside[:, 1]
    weight[rows, columns] = counts
    wanted[rows, columns] = np.where(counts, fine[sources[:, 0], sources[:, 1]], 0)
    near = _box(inside)
    hole = 1 - known[near].astype(np.float32)
    sums = run([partial(_blurred, one) for one in (wanted[near], weight[near], fine[near] * hole)])
    asked = sums[0] / np.maximum(sums[1], 1e-6)
    found = sums[2] / np.maximum(_blurred(hole), 1e-6)
    gain = np.clip(_CALMER * np.sqrt(asked / np.maximum(found, 1e-12)), 1.0, _MOST_GAIN)
    colours = np.ascontiguousarray(image[near][..., :COLOURS])
    more = (gain - 1) * hole

    def give(rows: slice) -> None:
        finest = _finest(colours, rows)
        image[near][rows, :, :COLOURS] += more[rows][..., None] * finest

    run([partial(give, rows) for rows in bands(len(colours))])


def _fineness(image: Floats, run: Runner) -> Floats:
    """Return the square of what is fine in the grey of a picture, (h, w)."""
    grey, fine = np.empty(image.shape[:2], np.float32), np.empty(image.shape[:2], np.float32)

    def grey_of(rows: slice) -> None:
        cv2.transform(image[rows], _MEAN_OF_COLOURS, grey[rows])

    def fine_of(rows: slice) -> None:
        fine[rows] = _finest(grey, rows) ** 2

    run([partial(grey_of, rows) for rows in bands(len(grey))])
    run([partial(fine_of, rows) for rows in bands(len(grey))])
    return fine


def _finest(picture: Floats, rows: slice) -> Floats:
    """Return what is fine in some rows of a picture (h, w[, c])."""
    low, high = max(rows.start - _FINE_REACH_PX, 0), min(rows.stop + _FINE_REACH_PX, len(picture))
    part = np.ascontiguousarray(picture[low:high])
    apart = part - cv2.GaussianBlur(part, (0, 0), _FINE_PX)
    return np.asarray(apart[rows.start - low : rows.stop - low], np.float32)


def _box(inside: Places) -> tuple[slice, slice]:
    """Return the box round the hole with what the blurs look at."""
    margin = int(3 * _NEAR_PX)
    low, high = np.maximum(inside.min(axis=0) - margin, 0), inside.max(axis=0) + 1 + margin
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _blurred(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _NEAR_PX), np.float32)
