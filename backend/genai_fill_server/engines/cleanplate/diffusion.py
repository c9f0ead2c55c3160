"""Smooth completion of planes that are known only in places.

Pull-push (S. Gortler et al., "The Lumigraph", SIGGRAPH 1996): known values are averaged down
a pyramid with their weights, and unknown ones are taken from the level above. A membrane for
the price of two image pyramids; used for flow inside the matte, errors, gains and seams.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.waves import Runner, bands, one_by_one


def _halved(plane: Floats) -> Floats:
    height, width = plane.shape[:2]
    size = ((width + 1) // 2, (height + 1) // 2)
    # Odd sides are padded, not squeezed: a pyramid whose levels are shifted against each
    # other by fractions of a pixel pulls flow away from where it was measured.
    padded = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _doubled(plane: Floats, height: int, width: int) -> Floats:
    small_height, small_width = plane.shape[:2]
    size = (small_width * 2, small_height * 2)
    big = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(big[:height, :width], np.float32)


def _columns(weight: Floats, values: Floats) -> Floats:
    return weight[..., None] if values.ndim == 3 else weight


def pull_push(values: Floats, weight: Floats, run: Runner = one_by_one) -> Floats:
    """Return ``values`` with the places of weight 0 filled in smoothly.

    ``values`` is (h, w) or (h, w, c), ``weight`` (h, w) from 0 to 1. Where the weight is 1
    the value stays; in between it is a mix. All weights 0 gives zeros. ``run`` may share the
    work out to threads, and changes no bit.
    """
    weight = np.minimum(weight, np.float32(1.0))
    sums, weights = [values], [weight]
    while max(weights[-1].shape) > 1 and float(weights[-1].min()) < 1.0:
        summed, capped = _pulled(sums[-1], weights[-1], len(sums) == 1, run)
        sums.append(summed)
        weights.append(capped)
    top = _columns(weights[-1], sums[-1])
    last = sums[-1] * top if len(sums) == 1 else sums[-1]
    filled: Floats = np.where(top > 1e-9, last / np.maximum(top, 1e-9), 0.0).astype(np.float32)
    for level in range(len(sums) - 2, -1, -1):
        filled = _pushed(filled, sums[level], weights[level], level == 0, run)
    return np.asarray(filled, np.float32)


def _pulled(values: Floats, weight: Floats, unweighted: bool, run: Runner) -> tuple[Floats, Floats]:
    """Return the sums and weights at half the size; ``unweighted`` values are multiplied first."""
    height, width = -(-weight.shape[0] // 2), -(-weight.shape[1] // 2)
    sums = np.empty((height, width, *values.shape[2:]), np.float32)
    weights = np.empty((height, width), np.float32)

    def pull(rows: slice) -> None:
        finer = slice(2 * rows.start, min(2 * rows.stop, weight.shape[0]))
        own, mass = values[finer], weight[finer]
        if unweighted:
            own = own * _columns(mass, own)
        # Weights are summed, not averaged: one known pixel of four makes a known parent.
        area = np.float32(4.0)
        total, summed = _halved(mass) * area, _halved(own) * area
        capped = np.minimum(total, np.float32(1.0))
        scale = np.where(total > 1.0, capped / np.maximum(total, np.float32(1e-12)), 1.0)
        weights[rows] = capped
        sums[rows] = summed * _columns(scale.astype(np.float32), summed)

    run([partial(pull, rows) for rows in bands(height)])
    return sums, weights


def _pushed(
    coarse: Floats, values: Floats, weight: Floats, unweighted: bool, run: Runner
) -> Floats:
    """Return the sums of a level completed by the next coarser one."""
    height, width = weight.shape
    filled = np.empty(values.shape, np.float32)

    def push(rows: slice) -> None:
        own, mass = values[rows], weight[rows]
        if unweighted:
            own = own * _columns(mass, own)
        # A row more at either side: what lies between two rows needs both.
        first, last = max(rows.start // 2 - 1, 0), min(-(-rows.stop // 2) + 1, len(coarse))
        doubled = _doubled(coarse[first:last], 2 * (last - first), width)
        part = slice(rows.start - 2 * first, rows.stop - 2 * first)
        filled[rows] = own + doubled[part] * _columns(1.0 - mass, own)

    run([partial(push, rows) for rows in bands(height)])
    return filled


def membrane(values: Floats, weight: Floats, smoothing_px: int, run: Runner = one_by_one) -> Floats:
    """Return a smooth surface through the weighted values, also where they are known.

    The known values are first averaged over about ``smoothing_px`` pixels, so that grain at
    the edge of a hole does not grow streaks into it.
    """
    side = 2 * smoothing_px + 1

    def averaged() -> tuple[Floats, Floats]:
        mass = cv2.blur(weight, (side, side), borderType=cv2.BORDER_REFLECT)
        mean = cv2.blur(
            values * _columns(weight, values), (side, side), borderType=cv2.BORDER_REFLECT
        ) / _columns(np.maximum(mass, 1e-6), values)
        return np.asarray(mean, np.float32), (mass > 0.02).astype(np.float32) * weight

    mean, known = run([averaged])[0]
    surface = pull_push(mean, known, run)
    return np.asarray(cv2.GaussianBlur(surface, (0, 0), max(1.0, smoothing_px / 2)), np.float32)
