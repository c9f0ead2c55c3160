"""Camera motion: one homography for each pair of neighbouring frames, chained and refined.

Points are tracked outside the mattes (pyramidal Lucas-Kanade, checked forward and backward)
and fitted with MAGSAC++ (D. Barath et al., CVPR 2020). A chain of neighbours leads to any
frame in reach; `refined` re-measures a pair directly round the hole, so chains do not drift
and a plane near the hole counts for more than the rest of the picture.

All matrices map proxy pixels (x, y, 1) of the first frame to those of the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.description import Motion
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Bytes
from genai_fill_server.engines.cleanplate.proxies import Proxies, Proxy

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

_MAX_POINTS = 500
_TRACK_WINDOW_PX = (21, 21)
_ROUND_TRIP_PX = 0.5
_INLIER_PX = 0.6
_CUT_STOPS = 0.9


@dataclass(frozen=True)
class Step:
    """The way from one frame to a neighbour. ``is_cut``: there is none."""

    matrix: Matrix
    is_cut: bool = False


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


def corners_of(levels: Bytes, mask: Bytes, limit: int) -> Points:
    """Return well trackable points of an image where ``mask`` is not 0, shape (n, 2)."""
    if min(levels.shape) < 8:
        return np.zeros((0, 2), np.float32)
    spacing = max(3.0, np.sqrt(levels.size / (2.0 * limit)))
    found = cv2.goodFeaturesToTrack(levels, limit, 0.003, min(spacing, 12.0), mask=mask)
    if found is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(found.reshape(-1, 2), np.float32)


def track(first: Bytes, second: Bytes, points: Points, levels: int) -> tuple[Points, Points]:
    """Follow points from one image to another; keep those that come back.

    Returns (points in the first, points in the second), both (n, 2).
    """
    if len(points) == 0:
        return points, points
    start = points.reshape(-1, 1, 2)
    options = {
        "winSize": _TRACK_WINDOW_PX,
        "maxLevel": levels,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
    }
    there, ok_there, _ = cv2.calcOpticalFlowPyrLK(first, second, start, None, **options)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, **options)
    distance = np.linalg.norm((back - start).reshape(-1, 2), axis=1)
    good = (ok_there.ravel() > 0) & (ok_back.ravel() > 0) & (distance < _ROUND_TRIP_PX)
    return points[good], np.asarray(there.reshape(-1, 2)[good], np.float32)


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


def warped(image: Bytes, matrix: Matrix, size: tuple[int, int], linear: bool = True) -> Bytes:
    """Return ``image`` as seen from the first frame of ``matrix``; outside it is 0.

    ``size`` is (width, height) of the result.
    """
    flags = (cv2.INTER_LINEAR if linear else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(image, matrix, size, flags=flags), np.uint8)


def _eroded(valid: Bytes, px: int) -> Bytes:
    kernel = np.ones((2 * px + 1, 2 * px + 1), np.uint8)
    return np.asarray(
        cv2.erode(valid, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=255), np.uint8
    )


class CameraMotion:
    """The motion of a shot, measured between neighbours when asked and kept while in reach."""

    def __init__(self, proxies: Proxies, motion: Motion) -> None:
        self._proxies = proxies
        self._motion = motion
        self._steps: dict[tuple[int, int], Step] = {}

    def step(self, first: Proxy, second: Proxy) -> Step:
        """Return the way from one proxy to a neighbouring one."""
        key = (first.frame, second.frame)
        if key not in self._steps:
            # Always measured forward in time: both directions then agree exactly.
            low, high = (first, second) if first.frame < second.frame else (second, first)
            forward = self._measured(low, high)
            backward = Step(np.linalg.inv(forward.matrix), forward.is_cut)
            self._steps[(low.frame, high.frame)] = forward
            self._steps[(high.frame, low.frame)] = backward
        return self._steps[key]

    def forget_before(self, frame: int) -> None:
        """Drop what lies wholly before ``frame``, so that memory does not grow with length."""
        for key in [key for key in self._steps if max(key) < frame]:
            del self._steps[key]

    def _measured(self, first: Proxy, second: Proxy) -> Step:
        points = corners_of(first.levels, _eroded(first.valid, 3), _MAX_POINTS)
        before, after = track(first.levels, second.levels, points, 4)
        inside = _lookup(_eroded(second.valid, 3), after)
        before, after = before[inside], after[inside]
        matrix = fit(before, after, self._motion, first.levels.shape)
        found = matrix if matrix is not None else identity()
        return Step(found, self._is_cut(first, second, found, len(points), len(before)))

    def _is_cut(
        self, first: Proxy, second: Proxy, matrix: Matrix, points: int, tracked: int
    ) -> bool:
        """Whether the pictures have nothing to do with each other.

        Both must hold: hardly a point is found again, and the levels differ by more than
        exposure. A flat or very dark frame tracks badly, too, but does not differ.
        """
        if points >= 12 and tracked > 0.25 * points:
            return False
        size = (first.levels.shape[1], first.levels.shape[0])
        seen = warped(second.levels, matrix, size)
        both = (first.valid > 0) & (warped(second.valid, matrix, size) > 254)
        if int(both.sum()) < 64:
            both = np.ones_like(both)
        difference = first.levels[both].astype(np.float32) - seen[both]
        difference -= np.median(difference)
        return float(np.abs(difference).mean()) > _CUT_STOPS * LEVELS_PER_STOP / 2.0


def _lookup(valid: Bytes, points: Points) -> npt.NDArray[np.bool_]:
    height, width = valid.shape
    columns = np.rint(points[:, 0]).astype(np.int64)
    rows = np.rint(points[:, 1]).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    found = np.zeros(len(points), np.bool_)
    found[inside] = valid[rows[inside], columns[inside]] > 0
    return found
