"""Smooth completion of planes that are known only in places.

Pull-push (S. Gortler et al., "The Lumigraph", SIGGRAPH 1996): known values are averaged down
a pyramid with their weights, and unknown ones are taken from the level above. A membrane for
the price of two image pyramids; used for flow inside the matte, errors, gains and seams.
"""

from __future__ import annotations

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate.encoding import Floats


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


def pull_push(values: Floats, weight: Floats) -> Floats:
    """Return ``values`` with the places of weight 0 filled in smoothly.

    ``values`` is (h, w) or (h, w, c), ``weight`` (h, w) from 0 to 1. Where the weight is 1
    the value stays; in between it is a mix. All weights 0 gives zeros.
    """
    weight = np.minimum(weight, np.float32(1.0))
    sums = [values * _columns(weight, values)]
    weights = [weight]
    while max(weights[-1].shape) > 1 and float(weights[-1].min()) < 1.0:
        # Weights are summed, not averaged: one known pixel of four makes a known parent.
        area = np.float32(4.0)
        total = _halved(weights[-1]) * area
        summed = _halved(sums[-1]) * area
        capped = np.minimum(total, np.float32(1.0))
        scale = np.where(total > 1.0, capped / np.maximum(total, np.float32(1e-12)), 1.0)
        sums.append(summed * _columns(scale.astype(np.float32), summed))
        weights.append(capped)
    top = _columns(weights[-1], sums[-1])
    filled: Floats = np.where(top > 1e-9, sums[-1] / np.maximum(top, 1e-9), 0.0).astype(np.float32)
    for known, mass in zip(reversed(sums[:-1]), reversed(weights[:-1]), strict=True):
        height, width = mass.shape
        filled = known + _doubled(filled, height, width) * _columns(1.0 - mass, known)
    return np.asarray(filled, np.float32)


def membrane(values: Floats, weight: Floats, smoothing_px: int) -> Floats:
    """Return a smooth surface through the weighted values, also where they are known.

    The known values are first averaged over about ``smoothing_px`` pixels, so that grain at
    the edge of a hole does not grow streaks into it.
    """
    side = 2 * smoothing_px + 1
    mass = cv2.blur(weight, (side, side), borderType=cv2.BORDER_REFLECT)
    mean = cv2.blur(
        values * _columns(weight, values), (side, side), borderType=cv2.BORDER_REFLECT
    ) / _columns(np.maximum(mass, 1e-6), values)
    surface = pull_push(np.asarray(mean, np.float32), (mass > 0.02).astype(np.float32) * weight)
    return np.asarray(cv2.GaussianBlur(surface, (0, 0), max(1.0, smoothing_px / 2)), np.float32)
