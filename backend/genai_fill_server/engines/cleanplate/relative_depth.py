"""Depth up to a projective map, and cameras for it: two views measure, a third is told.

A view and its pixels' relative depth g make points (x, y, 1, g). Any other view of a scene
that stands still sees them through a 3 x 4 matrix. Plane and parallax (R. Kumar, P. Anandan,
K. Hanna, ICPR 1994; M. Irani, P. Anandan, ECCV 1996) without calibration: what one
neighbour measures of depth says where a pixel is in a frame that cannot see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_MOST_POINTS = 3000
_LEAST_POINTS = 200
_ROUNDS = 5
_SPREAD_PX = 0.35
_IN_FRONT = 0.05
_ALONG = 0.4


@dataclass(frozen=True)
class Camera:
    """A 3 x 4 matrix, and how far (px, median) it misses what it was fitted to."""

    matrix: Doubles
    miss_px: float


def thinned(mask: Mask) -> npt.NDArray[np.int64]:
    """Return indices of at most some thousand True pixels, spread evenly, of a raveled mask."""
    found = np.flatnonzero(mask)
    return found[:: max(1, len(found) // _MOST_POINTS)]


def mapped(matrix: Doubles, points: npt.ArrayLike) -> Doubles:
    """Return ``matrix`` (m, k) times each of ``points`` (n, k), (n, m).

    Not by BLAS, whose sums depend on how many threads it has.
    """
    return np.asarray(np.einsum("mk,nk->nm", matrix, np.asarray(points, np.float64)))


def _squared(first: Doubles, second: Doubles) -> Doubles:
    return np.asarray(np.einsum("ki,kj->ij", first, second))


def epipole(there: Floats, shift: Floats) -> Doubles | None:
    """Return the direction (3,) in which parallax moves pixels; None where it has no direction.

    ``there`` (n, 2) are places in the other view, ``shift`` (n, 2) how far they are from where
    a plane would have taken them: each lies on the line through the epipole.
    """
    centre = there.mean(axis=0)
    spread = max(float(np.abs(there - centre).mean()), 1.0)
    x, y = ((there - centre) / spread).astype(np.float64).T
    u, v = shift.astype(np.float64).T
    rows = np.column_stack([-v, u, v * x - u * y])
    weight, miss, found = np.ones(len(rows)), np.zeros(len(rows)), np.zeros(3)
    for _ in range(_ROUNDS):
        _, _, basis = np.linalg.svd(_squared(rows * weight[:, None], rows))
        found = basis[-1]
        # The distance of a shift's tip from its line, in pixels.
        length = np.hypot(found[0] - found[2] * x, found[1] - found[2] * y)
        miss = np.abs(mapped(found[None], rows)[:, 0]) / np.maximum(length, 1e-9)
        weight = 1.0 / (1.0 + (miss / _SPREAD_PX) ** 2) / np.maximum(length, 1e-9) ** 2
    if float(np.median(miss)) > 4.0 * _SPREAD_PX:
        return None
    return np.array(
        [
            found[0] * spread + centre[0] * found[2],
            found[1] * spread + centre[1] * found[2],
            found[2],
        ]
    )


def share_along(way: Doubles, there: Floats, shift: Floats, least_px: float) -> float:
    """Return the share of shifts (n, 2) beyond ``least_px`` that go along their epipolar line.

    ``way`` (3,) is the epipole, ``there`` (n, 2) as in `epipole`. All of a scene with parallax
    do, about a quarter of what flow makes up where there is nothing to follow. 0 with none.
    """
    size = np.hypot(shift[:, 0], shift[:, 1])
    long = size > least_px
    if not long.any():
        return 0.0
    ahead = way[:2] - there[long] * way[2]
    across = np.abs(ahead[:, 0] * shift[long, 1] - ahead[:, 1] * shift[long, 0])
    length = np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)
    return float((across / length < _ALONG * size[long]).mean())


def depth_of(camera: Doubles, here: Floats, there: Floats) -> Floats:
    """Return the relative depth (n,) of pixels ``here`` (n, 2) that ``camera`` sees ``there``."""
    flat = mapped(camera[:, :3], np.c_[here, np.ones(len(here))])
    ahead = camera[:2, 3] - there * camera[2, 3]
    gap = there * flat[:, 2:] - flat[:, :2]
    square = (ahead**2).sum(axis=1)
    return np.asarray((ahead * gap).sum(axis=1) / np.maximum(square, 1e-12), np.float32)


def seen_at(camera: Doubles, here: Floats, depth: Floats) -> tuple[Floats, Mask]:
    """Return where ``camera`` sees pixels ``here`` (n, 2) of ``depth``, and which it can see."""
    points = mapped(camera, np.c_[here, np.ones(len(here)), depth])
    front = points[:, 2] > _IN_FRONT
    places = points[:, :2] / np.where(front, points[:, 2], 1.0)[:, None]
    return np.asarray(places, np.float32), np.asarray(front, np.bool_)


def camera_of(here: Floats, depth: Floats, there: Floats) -> Camera | None:
    """Fit the camera that sees pixels ``here`` (n, 2) of relative ``depth`` (n,) ``there``.

    Least squares, reweighted so that what moves by itself does not count. None: too few
    points, or points behind the camera.
    """
    if len(here) < _LEAST_POINTS:
        return None
    centre, scale = here.mean(axis=0), max(float(here.std()), 1.0)
    middle = float(np.median(depth))
    unit = max(float(np.abs(depth - middle).mean()), 1e-9)
    x, y = ((here - centre) / scale).astype(np.float64).T
    g = np.clip((depth - middle) / unit, -50, 50).astype(np.float64)
    fitted = _fitted(np.column_stack([x, y, np.ones_like(x), g]), (there - centre) / scale, scale)
    if fitted is None:
        return None
    inner = np.diag([1 / scale, 1 / scale, 1.0, 1 / unit])
    inner[:2, 2], inner[3, 2] = -centre / scale, -middle / unit
    outer = np.diag([scale, scale, 1.0])
    outer[:2, 2] = centre
    return Camera(outer @ fitted.matrix @ inner, fitted.miss_px)


@numba.njit(
    "void(float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[:, ::1],"
    " float64[::1])",
    cache=True,
    nogil=True,
)
def _normal_equations(points, u, v, weight, normal, right):  # type: ignore[no-untyped-def]
    """Add up the normal equations of u (p3 . w) = p1 . w, v (p3 . w) = p2 . w, p3[2] = 1."""
    row = np.zeros(11)
    for i in range(len(u)):
        for second in range(2):
            told = v[i] if second else u[i]
            row[:] = 0.0
            for k in range(4):
                row[4 * second + k] = points[i, k]
            row[8] = -told * points[i, 0]
            row[9] = -told * points[i, 1]
            row[10] = -told * points[i, 3]
            for j in range(11):
                part = weight[i] * row[j]
                if part != 0.0:
                    right[j] += part * told
                    for k in range(11):
                        normal[j, k] += part * row[k]


def _fitted(points: Doubles, there: Floats, scale: float) -> Camera | None:
    """Fit a camera to points (n, 4) and places (n, 2), both about 1; a unit is ``scale`` px."""
    u, v = np.ascontiguousarray(there.T, np.float64)
    points = np.ascontiguousarray(points)
    weight, matrix, miss = np.ones(len(u)), np.zeros((3, 4)), np.zeros(len(u))
    for _ in range(_ROUNDS):
        normal, right = np.zeros((11, 11)), np.zeros(11)
        _normal_equations(points, u, v, weight, normal, right)
        solved = np.linalg.solve(normal + 1e-9 * np.eye(11), right)
        matrix[0], matrix[1] = solved[0:4], solved[4:8]
        matrix[2] = solved[8], solved[9], 1.0, solved[10]
        seen = mapped(matrix, points)
        if float((seen[:, 2] < _IN_FRONT).mean()) > 0.2:
            return None
        safe = np.maximum(seen[:, 2], _IN_FRONT)
        miss = scale * np.hypot(seen[:, 0] / safe - u, seen[:, 1] / safe - v)
        weight = 1.0 / (1.0 + (miss / _SPREAD_PX) ** 2) / safe**2
    miss_px = float(np.median(miss))
    # No comparison with a limit turns away what is not a number.
    return Camera(matrix, miss_px) if np.isfinite(miss_px) else None
