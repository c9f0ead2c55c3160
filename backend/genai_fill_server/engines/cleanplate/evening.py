"""Light that is smooth round a hole is smooth inside it, too.

Patches of a sky or a wall differ a little in light, which shows as blotches. Where the
surroundings hold no more than grain, the fill keeps its grain and takes its light from a
smooth surface through the hole's edge instead: the surface of second degree that fits the
ring round the hole, so that a gradient goes on, and a membrane for what is left over.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import membrane, pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_GRAIN_PX = 3.0
_BUSY_PX = 6.0
_CALM, _BUSY = 0.02, 0.05
_RING_PX = 24
_MOST_SAMPLES = 20000
_FIT_ROUNDS = 3


def evened(painted: Floats, hole: Mask) -> Floats:
    """Return ``painted`` (h, w, 3, encoded) with smooth light in calm parts of ``hole``.

    Calm is where neither the surroundings nor the fill vary by more than a few per cent over
    some pixels. Elsewhere nothing changes.
    """
    if hole.all() or not hole.any():
        return painted
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    margin = _RING_PX + 1
    near = np.s_[
        max(0, rows[0] - margin) : rows[-1] + 1 + margin,
        max(0, columns[0] - margin) : columns[-1] + 1 + margin,
    ]
    result = painted.copy()
    result[near] = _evened_near(painted[near], hole[near])
    return result


def _evened_near(painted: Floats, hole: Mask) -> Floats:
    known = (~hole).astype(np.float32)
    calm = _calm(painted, hole, known)
    if calm.max() <= 0:
        return painted
    surface = _surface(painted, hole, known)
    light = _mean(painted, calm + np.float32(1e-6), _GRAIN_PX)
    return np.asarray(painted + calm[..., None] * (surface - light), np.float32)


def _blurred(plane: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _mean(image: Floats, weight: Floats, sigma: float) -> Floats:
    mass = np.maximum(_blurred(weight, sigma), 1e-9)
    return np.asarray(_blurred(image * weight[..., None], sigma) / mass[..., None], np.float32)


def _variation(image: Floats, weight: Floats) -> Floats:
    """Return how much the means of some pixels vary over more pixels, (h, w)."""
    fine = _mean(image, weight, _GRAIN_PX / 2)
    broad = _mean(image, weight, _GRAIN_PX)
    apart = ((fine - broad) ** 2).max(axis=2)
    mass = np.maximum(_blurred(weight, _BUSY_PX), 1e-9)
    return np.sqrt(_blurred(np.asarray(apart * weight, np.float32), _BUSY_PX) / mass)


def _calm(painted: Floats, hole: Mask, known: Floats) -> Floats:
    """Return 1 where hole and surroundings are calm, 0 where not and outside the hole."""
    near = (_blurred(known, _BUSY_PX) > 0.05).astype(np.float32)
    outside = pull_push(_variation(painted, known), near * known)
    inside = _variation(painted, hole.astype(np.float32))
    busy = np.maximum(outside, inside)
    share = np.clip((_BUSY - busy) / (_BUSY - _CALM), 0, 1)
    smooth = share * share * (3 - 2 * share)
    return np.where(hole, smooth, 0).astype(np.float32)


def _surface(painted: Floats, hole: Mask, known: Floats) -> Floats:
    """Return the smooth light of the surroundings, carried through the hole."""
    height, width = hole.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    terms = _terms(rows, columns, hole)
    side = 2 * _RING_PX + 1
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & ~hole
    if ring.sum() < 64:
        return membrane(painted, known, 3)
    step = max(1, int(ring.sum()) // _MOST_SAMPLES)
    samples = np.stack([term[ring][::step] for term in terms])
    fitted = np.empty(painted.shape, np.float32)
    for channel in range(3):
        weights = _fit(samples, painted[..., channel][ring][::step].astype(np.float64))
        fitted[..., channel] = sum(w * term for w, term in zip(weights, terms, strict=True))
    near = (_blurred(known, 1.0) > 0.2).astype(np.float32) * known
    return fitted + membrane(painted - fitted, near, 3)


def _terms(rows: Doubles, columns: Doubles, hole: Mask) -> list[Doubles]:
    at = np.nonzero(hole)
    size = max(float(np.ptp(at[0])), float(np.ptp(at[1])), 1.0)
    y, x = (rows - at[0].mean()) / size, (columns - at[1].mean()) / size
    return [np.ones_like(x), x, y, x * x, x * y, y * y]


def _fit(samples: Doubles, values: Doubles) -> Doubles:
    """Return the weights of the terms that fit the values best, outliers apart."""
    trust = np.ones_like(values)
    weights = np.zeros(len(samples))
    for _ in range(_FIT_ROUNDS):
        normal = np.array([[(a * b * trust).sum() for b in samples] for a in samples])
        target = np.array([(a * values * trust).sum() for a in samples])
        normal += 1e-6 * np.trace(normal) * np.eye(len(samples)) / len(samples)
        weights = _solved(normal, target)
        off = np.abs(values - sum(w * term for w, term in zip(weights, samples, strict=True)))
        spread = max(1.5 * float(np.median(off)), 1e-6)
        trust = 1 / (1 + (off / (2 * spread)) ** 2)
    return weights


def _solved(matrix: Doubles, target: Doubles) -> Doubles:
    """Solve a small symmetric system, the same bits on any number of threads."""
    rows, values = matrix.copy(), target.copy()
    count = len(values)
    for k in range(count):
        for below in range(k + 1, count):
            share = rows[below, k] / rows[k, k]
            rows[below] -= share * rows[k]
            values[below] -= share * values[k]
    for k in range(count - 1, -1, -1):
        values[k] = (values[k] - (rows[k, k + 1 :] * values[k + 1 :]).sum()) / rows[k, k]
    return values
