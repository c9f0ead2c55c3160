"""Light that is smooth round a hole is smooth inside it, too.

Patches of a sky or a wall differ a little in light, which shows as blotches. Where the
surroundings hold no more than grain, the fill keeps its grain and takes its light from a
smooth surface through the hole's edge instead: the surface of second degree that fits the
ring round the hole, so that a gradient goes on, and a membrane for what is left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import membrane, pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.waves import Runner, bands, one_by_one

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_GRAIN_PX = 3.0
_BUSY_PX = 6.0
_CALM, _BUSY = 0.02, 0.05
_RING_PX = 24
_MOST_SAMPLES = 20000
_FIT_ROUNDS = 3


def evened(painted: Floats, hole: Mask, run: Runner = one_by_one) -> Floats:
    """Return ``painted`` (h, w, 3, encoded) with smooth light in calm parts of ``hole``.

    Calm is where neither the surroundings nor the fill vary by more than a few per cent over
    some pixels. Elsewhere nothing changes. ``run`` may share the work out to threads.
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
    _even_out(result[near], hole[near], run)
    return result


def _even_out(painted: Floats, hole: Mask, run: Runner) -> None:
    """Even out the light of ``painted``, in place."""
    known = (~hole).astype(np.float32)
    calm = _calm(painted, hole, known, run)
    if calm.max() <= 0:
        return
    surface = _surface(painted, hole, known, run)
    lit = np.empty_like(painted)

    def light(rows: slice) -> None:
        wide = _with_margin(rows, _halo_px(_GRAIN_PX), len(hole))
        share = calm[wide] + np.float32(1e-6)
        mean = _mean(painted[wide], share, _GRAIN_PX)[_inside(rows, wide)]
        lit[rows] = painted[rows] + calm[rows][..., None] * (surface[rows] - mean)

    run([partial(light, rows) for rows in bands(len(hole))])
    painted[:] = lit


def _with_margin(rows: slice, margin: int, height: int) -> slice:
    return slice(max(rows.start - margin, 0), min(rows.stop + margin, height))


def _inside(rows: slice, wide: slice) -> slice:
    """Return where ``rows`` lie in an array of the rows ``wide``."""
    return slice(rows.start - wide.start, rows.stop - wide.start)


def _halo_px(sigma: float) -> int:
    """Return how far `_blurred` looks: a filter of floats ends after four sigmas."""
    return int(4 * sigma) + 2


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


def _calm(painted: Floats, hole: Mask, known: Floats, run: Runner) -> Floats:
    """Return 1 where hole and surroundings are calm, 0 where not and outside the hole."""
    margin = _halo_px(_GRAIN_PX) + _halo_px(_BUSY_PX)
    outside, inside, near = (np.empty(hole.shape, np.float32) for _ in range(3))

    def vary(rows: slice) -> None:
        wide = _with_margin(rows, margin, len(hole))
        part = _inside(rows, wide)
        close = _blurred(known[wide], _BUSY_PX)[part] > 0.05
        near[rows] = close.astype(np.float32) * known[rows]
        outside[rows] = _variation(painted[wide], known[wide])[part]
        inside[rows] = _variation(painted[wide], hole[wide].astype(np.float32))[part]

    run([partial(vary, rows) for rows in bands(len(hole))])
    busy = np.maximum(pull_push(outside, near, run), inside)
    share = np.clip((_BUSY - busy) / (_BUSY - _CALM), 0, 1)
    smooth = share * share * (3 - 2 * share)
    return np.where(hole, smooth, 0).astype(np.float32)


def _surface(painted: Floats, hole: Mask, known: Floats, run: Runner) -> Floats:
    """Return the smooth light of the surroundings, carried through the hole."""
    ring = run([partial(_ring, hole)])[0]
    count = int(ring.sum())
    if count < 64:
        return membrane(painted, known, 3, run)
    terms = _Terms.of(hole)
    rows, columns = np.divmod(
        np.flatnonzero(ring)[:: max(1, count // _MOST_SAMPLES)], hole.shape[1]
    )
    samples = np.stack(terms.at(rows.astype(np.float64), columns.astype(np.float64)))
    colours = painted[rows, columns].astype(np.float64)
    weights = [_fit(samples, colours[:, channel]) for channel in range(3)]
    fitted, rest = np.empty_like(painted), np.empty_like(painted)

    def fit(part: slice) -> None:
        down, across = np.mgrid[part, 0 : hole.shape[1]].astype(np.float64)
        every = terms.at(down, across)
        for channel in range(3):
            fitted[part, :, channel] = sum(
                w * term for w, term in zip(weights[channel], every, strict=True)
            )
        rest[part] = painted[part] - fitted[part]

    run([partial(fit, part) for part in bands(len(hole))])
    near = run([partial(_well_inside, known)])[0]
    return fitted + membrane(rest, near, 3, run)


def _ring(hole: Mask) -> Mask:
    """Return what lies round a hole."""
    side = 2 * _RING_PX + 1
    grown = cv2.dilate(hole.view(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray((grown > 0) & ~hole, np.bool_)


def _well_inside(known: Floats) -> Floats:
    """Return 1 where what is known is not a mere speck."""
    return (_blurred(known, 1.0) > 0.2).astype(np.float32) * known


@dataclass(frozen=True)
class _Terms:
    """The terms of a surface of second degree, about a hole's middle and by its size."""

    middle: tuple[float, float]
    size: float

    @classmethod
    def of(cls, hole: Mask) -> _Terms:
        rows, columns = hole.sum(axis=1), hole.sum(axis=0)
        middle = [
            float((line * np.arange(len(line))).sum() / line.sum()) for line in (rows, columns)
        ]
        reach = [float(np.ptp(np.flatnonzero(line))) for line in (rows, columns)]
        return cls((middle[0], middle[1]), max(*reach, 1.0))

    def at(self, rows: Doubles, columns: Doubles) -> list[Doubles]:
        """Return each term at places of the picture."""
        y, x = (rows - self.middle[0]) / self.size, (columns - self.middle[1]) / self.size
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
