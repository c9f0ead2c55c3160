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


@numba.njit(
    "void(float64[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1])", cache=True, nogil=True
)
def _depths(camera, here, there, found):  # type: ignore[no-untyped-def]
    """Set ``found`` (n,) to the depth that is nearest to explaining ``there``."""
    for i in range(len(here)):
        x, y = np.float64(here[i, 0]), np.float64(here[i, 1])
        u, v = np.float64(there[i, 0]), np.float64(there[i, 1])
        flat_x = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2]
        flat_y = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2]
        flat_w = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2]
        ahead_x, ahead_y = camera[0, 3] - u * camera[2, 3], camera[1, 3] - v * camera[2, 3]
        gap = ahead_x * (u * flat_w - flat_x) + ahead_y * (v * flat_w - flat_y)
        found[i] = gap / max(ahead_x * ahead_x + ahead_y * ahead_y, 1e-12)


def depth_of(camera: Doubles, here: Floats, there: Floats) -> Floats:
    """Return the relative depth (n,) of pixels ``here`` (n, 2) that ``camera`` sees ``there``."""
    found = np.empty(len(here), np.float32)
    _depths(
        np.ascontiguousarray(camera),
        np.ascontiguousarray(here, np.float32),
        np.ascontiguousarray(there, np.float32),
        found,
    )
    return found


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
    "int64(float64[:, ::1], float64[::1], float64[::1], float64[:, ::1], float64, boolean,"
    " float64[:, ::1], float64[::1])",
    cache=True,
    nogil=True,
)
def _moments(points, u, v, matrix, scale, weighed, sums, miss):  # type: ignore[no-untyped-def]
    """Add up what the fit of a camera needs of points (n, 4) that are seen at (u, v).

    ``sums`` (4, 16) are of their 4 x 4 products, weighted, times 1, u, v, and u u + v v. If
    ``weighed``, a point counts by how little ``matrix`` misses it, which goes into ``miss`` in
    px. Returns how many points are behind the camera.
    """
    products, behind = np.empty(16), 0
    for i in range(len(u)):
        x, y, one, g = points[i, 0], points[i, 1], points[i, 2], points[i, 3]
        weight = 1.0
        if weighed:
            seen_w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * one + matrix[2, 3] * g
            behind += seen_w < _IN_FRONT
            inverse = 1.0 / max(seen_w, _IN_FRONT)
            off_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * one + matrix[0, 3] * g
            off_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * one + matrix[1, 3] * g
            off_x, off_y = off_x * inverse - u[i], off_y * inverse - v[i]
            square = scale * scale * (off_x * off_x + off_y * off_y)
            miss[i] = np.sqrt(square)
            weight = inverse * inverse / (1.0 + square / (_SPREAD_PX * _SPREAD_PX))
        for j in range(4):
            for k in range(4):
                products[4 * j + k] = weight * points[i, j] * points[i, k]
        both = u[i] * u[i] + v[i] * v[i]
        for k in range(16):
            sums[0, k] += products[k]
            sums[1, k] += u[i] * products[k]
            sums[2, k] += v[i] * products[k]
            sums[3, k] += both * products[k]
    return behind


_THIRD = [0, 1, 3]
"""What of a point the third row of a camera is multiplied by, whose own third entry is 1."""


def _solved(sums: Doubles) -> Doubles:
    """Return the matrix (3, 4) that solves u (p3 . w) = p1 . w, v (p3 . w) = p2 . w, p3[2] = 1."""
    plain, by_u, by_v, by_both = sums.reshape(4, 4, 4)
    normal, right = 1e-9 * np.eye(11), np.zeros(11)
    normal[0:4, 0:4] += plain
    normal[4:8, 4:8] += plain
    normal[0:4, 8:11], normal[4:8, 8:11] = -by_u[:, _THIRD], -by_v[:, _THIRD]
    normal[8:11, 0:4], normal[8:11, 4:8] = -by_u[_THIRD], -by_v[_THIRD]
    normal[8:11, 8:11] += by_both[np.ix_(_THIRD, _THIRD)]
    right[0:4], right[4:8], right[8:11] = by_u[:, 2], by_v[:, 2], -by_both[_THIRD, 2]
    solved = np.linalg.solve(normal, right)
    return np.stack([solved[0:4], solved[4:8], np.insert(solved[8:11], 2, 1.0)])


def _fitted(points: Doubles, there: Floats, scale: float) -> Camera | None:
    """Fit a camera to points (n, 4) and places (n, 2), both about 1; a unit is ``scale`` px."""
    u, v = np.ascontiguousarray(there.T, np.float64)
    points, matrix, miss = np.ascontiguousarray(points), np.zeros((3, 4)), np.zeros(len(u))
    for turn in range(_ROUNDS + 1):
        sums = np.zeros((4, 16))
        behind = _moments(points, u, v, matrix, scale, turn > 0, sums, miss)
        if behind > 0.2 * len(u):
            return None
        if turn < _ROUNDS:
            matrix = _solved(sums)
    miss_px = float(np.median(miss))
    # No comparison with a limit turns away what is not a number.
    return Camera(matrix, miss_px) if np.isfinite(miss_px) else None
