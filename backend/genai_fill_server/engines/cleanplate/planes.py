"""Planes in tracked points: which homographies take a frame to another.

Points are fitted with MAGSAC++ (D. Barath et al., CVPR 2020). Where points disagree with the
first plane and agree among themselves, they make a second and a third: a near ground before
a far backdrop moves by its own homography, exactly, however far it slides.

All matrices map proxy pixels (x, y, 1) of the first frame to those of the second.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.description import Motion

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

PLANE_PX = 1.2
"""A point further than this from where a plane would take it is not of that plane."""

_INLIER_PX = 0.6
_PLANES = 3
_PLANE_POINTS = 12
_GROWN_PX = 0.8


def identity() -> Matrix:
    """Return the matrix of no motion."""
    return np.eye(3, dtype=np.float64)


def moved(matrix: Matrix, points: Points) -> Points:
    """Apply a homography to points of shape (n, 2)."""
    if len(points) == 0:
        return points
    shaped = points.reshape(-1, 1, 2).astype(np.float64)
    return np.asarray(cv2.perspectiveTransform(shaped, matrix).reshape(-1, 2), np.float32)


def is_sane(matrix: Matrix | None, width: int, height: int) -> bool:
    """Whether a homography is one that a camera can make between two frames of a shot."""
    if matrix is None or not np.isfinite(matrix).all():
        return False
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    homogeneous = np.c_[corners, np.ones(4)] @ matrix.T
    if (homogeneous[:, 2] < 0.2).any():
        return False
    mapped = homogeneous[:, :2] / homogeneous[:, 2:]
    area = 0.5 * abs(
        float(
            np.dot(mapped[:, 0], np.roll(mapped[:, 1], 1))
            - np.dot(mapped[:, 1], np.roll(mapped[:, 0], 1))
        )
    )
    ratio = area / max(1.0, width * height)
    return bool(0.1 < ratio < 10.0 and cv2.isContourConvex(mapped.astype(np.float32)))


def fit(first: Points, second: Points, motion: Motion, shape: tuple[int, int]) -> Matrix | None:
    """Fit the model of ``motion`` to tracked points; None when they do not carry one.

    Few points, or points in one corner, give a plainer model: a homography extrapolates
    wildly from those.
    """
    count = len(first)
    if motion is Motion.NONE or count < 4:
        return None
    if count < 8:
        shift = np.median(second - first, axis=0)
        plain = identity()
        plain[:2, 2] = shift
        return plain
    height, width = shape
    spread = np.ptp(first, axis=0) / np.array([max(width, 1), max(height, 1)])
    matrix: Matrix | None = None
    if motion is not Motion.AFFINE and count >= 24 and float(spread.min()) > 0.2:
        found, inliers = cv2.findHomography(
            first, second, cv2.USAC_MAGSAC, _INLIER_PX, maxIters=2000, confidence=0.999
        )
        if found is not None and inliers is not None and int(inliers.sum()) >= 16:
            matrix = np.asarray(found, np.float64)
    if matrix is None or not is_sane(matrix, width, height):
        matrix = _fit_affine(first, second)
    return matrix if is_sane(matrix, width, height) else None


def _fit_affine(first: Points, second: Points) -> Matrix | None:
    found, _ = cv2.estimateAffine2D(
        first, second, method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX, confidence=0.999
    )
    if found is None:
        return None
    matrix = identity()
    matrix[:2] = found
    return matrix


def planes_of(
    first: Points, second: Points, motion: Motion, shape: tuple[int, int]
) -> tuple[tuple[Matrix, ...], npt.NDArray[np.int64]]:
    """Fit up to three planes to tracked points, one after the other.

    Returns the matrices, the dominant one first (identity when nothing fits), and the plane
    of each point; points of no plane count to the first.
    """
    labels = np.zeros(len(first), np.int64)
    dominant = fit(first, second, motion, shape)
    if dominant is None:
        return (identity(),), labels
    left = np.flatnonzero(distances(dominant, first, second) > PLANE_PX)
    enough = max(_PLANE_POINTS, len(first) // 40)
    if motion is not Motion.DENSE or len(left) < enough:
        return (dominant,), labels
    return _layers(first, second, dominant, shape)


def _layers(
    first: Points, second: Points, dominant: Matrix, shape: tuple[int, int]
) -> tuple[tuple[Matrix, ...], npt.NDArray[np.int64]]:
    """Fit planes one after the other, each to what those before leave unexplained."""
    labels = np.zeros(len(first), np.int64)
    matrices: list[Matrix] = []
    left = np.arange(len(first))
    while len(matrices) < _PLANES and len(left) >= _PLANE_POINTS:
        found = _grown_plane(first[left], second[left], shape)
        if found is None:
            break
        labels[left[distances(found, first[left], second[left]) < PLANE_PX]] = len(matrices)
        matrices.append(found)
        left = left[distances(found, first[left], second[left]) > PLANE_PX]
    return (tuple(matrices), labels) if matrices else ((dominant,), labels)


def _grown_plane(first: Points, second: Points, shape: tuple[int, int]) -> Matrix | None:
    """Return the plane that most points agree on, grown from neighbouring points.

    Points of two depths in two bands fit one homography perfectly well, and random samples
    find that mixture first. Neighbours in the picture seldom are of two depths.
    """
    best: Matrix | None = None
    most = _PLANE_POINTS - 1
    for seed in range(0, len(first), max(1, len(first) // 24)):
        near = np.argsort(((first - first[seed]) ** 2).sum(axis=1), kind="stable")[:9]
        matrix = _least_squares(first[near], second[near])
        for _ in range(3):
            own = distances(matrix, first, second) < _GROWN_PX
            count = int(own.sum())
            if count <= max(most, 8):
                break
            if is_sane(matrix, shape[1], shape[0]):
                best, most = matrix, count
            matrix = _least_squares(first[own], second[own])
            spread = np.ptp(first[own], axis=0) / np.array([shape[1], shape[0]])
            if count >= 24 and float(spread.min()) > 0.4:
                full, _ = cv2.findHomography(first[own], second[own], 0)
                matrix = matrix if full is None else np.asarray(full, np.float64)
    return best


def _least_squares(first: Points, second: Points) -> Matrix:
    """Return the affine matrix that fits points best, pulled a little to pure shift."""
    centre = first.mean(axis=0)
    rows = np.c_[first - centre, np.ones(len(first))].astype(np.float64)
    shift = (second - first).astype(np.float64)
    weight = np.diag([4.0, 4.0, 0.0])
    solved = np.linalg.solve(rows.T @ rows + weight + 1e-9 * np.eye(3), rows.T @ shift)
    matrix = identity()
    matrix[:2, :2] += solved[:2].T
    matrix[:2, 2] = solved[2] - solved[:2].T @ centre
    return matrix


def distances(matrix: Matrix, first: Points, second: Points) -> npt.NDArray[np.float32]:
    """Return how far each point ends from where ``matrix`` takes it, (n,)."""
    return np.asarray(np.linalg.norm(moved(matrix, first) - second, axis=1), np.float32)
