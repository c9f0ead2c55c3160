"""Camera motion: the planes of neighbouring frames measured, chained and told apart from cuts.

Points are tracked outside the mattes (pyramidal Lucas-Kanade, checked forward and backward)
and fitted by planes. A chain of neighbours leads to any frame in reach; a pair is measured
again directly round the hole, so chains do not drift and a plane near the hole counts for
more than the rest of the picture.

All matrices map proxy pixels (x, y, 1) of the first frame to those of the second.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.description import Motion
from genai_fill_server.engines.cleanplate.encoding import Bytes
from genai_fill_server.engines.cleanplate.planes import (
    PLANE_PX,
    Matrix,
    Points,
    distances,
    planes_of,
)
from genai_fill_server.engines.cleanplate.proxies import Proxy

MadeProxy = Future[Proxy | None]

_MAX_POINTS = 700
_CELLS = 8
_TRACK_WINDOW_PX = (21, 21)
_ROUND_TRIP_PX = 0.5
_SAME_SHARE = 0.15
_SAME_CORRELATION = 0.5
_FLAT_LEVELS = 3.0
_LINK_PX = 40.0


@dataclass(frozen=True)
class Labelled:
    """Points of a frame, (n, 2), and which plane each belongs to, (n,)."""

    points: Points
    planes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """The way from one frame to a neighbour: a matrix a plane, the dominant plane first.

    ``start`` and ``end`` are the tracked points in both frames. ``is_cut``: no way leads on.
    """

    matrices: tuple[Matrix, ...]
    start: Labelled
    end: Labelled
    is_cut: bool = False

    def reversed(self) -> Step:
        """Return the way back."""
        back = tuple(np.asarray(np.linalg.inv(m), np.float64) for m in self.matrices)
        return Step(back, self.end, self.start, self.is_cut)


@dataclass(frozen=True)
class Ways:
    """The planes of a target followed to some frame: a matrix each, None once lost.

    ``planes`` are their numbers in the last step taken. The first plane is never lost.
    """

    matrices: tuple[Matrix | None, ...]
    planes: tuple[int | None, ...]

    def followed(self, step: Step, links: tuple[int | None, ...]) -> Ways:
        """Return the planes one step further; ``links`` number them in ``step``.

        Where nothing tells in what the first plane goes on, it does in the step's own first:
        on the way it may have become one of the lesser planes, and such are lost.
        """
        matrices: list[Matrix | None] = []
        planes: list[int | None] = []
        for matrix, plane in zip(self.matrices, self.planes, strict=True):
            onward = links[plane] if plane is not None and plane < len(links) else None
            if onward is None and not matrices:
                onward = 0
            if matrix is None or onward is None:
                matrices.append(None)
                planes.append(None)
                continue
            product = step.matrices[onward] @ matrix
            matrices.append(product / product[2, 2])
            planes.append(onward)
        return Ways(tuple(matrices), tuple(planes))


def linked(before: Labelled, after: Labelled, count: int) -> tuple[int | None, ...]:
    """Return for each of ``count`` planes of ``before`` the plane of ``after`` it goes on in.

    Both label points of the same frame. Planes are matched by whose points lie among whose;
    the dominant plane goes on in the other's dominant plane when nothing tells otherwise.
    """
    links: list[int | None] = [0] + [None] * (count - 1)
    planes = int(after.planes.max(initial=0)) + 1
    if len(before.points) == 0 or len(after.points) == 0 or (count == 1 and planes == 1):
        return tuple(links)
    apart, index = cv2.batchDistance(
        np.ascontiguousarray(after.points, np.float32),
        np.ascontiguousarray(before.points, np.float32),
        cv2.CV_32F,
        normType=cv2.NORM_L2SQR,
        K=1,
    )
    nearest = before.planes[index[:, 0]]
    close = apart[:, 0] < _LINK_PX**2
    votes = np.zeros((count, planes), np.int64)
    np.add.at(votes, (nearest[close], after.planes[close]), 1)
    for plane in range(count):
        best = int(votes[plane].argmax())
        if votes[plane, best] >= 4 and votes[plane, best] >= votes[:, best].max():
            links[plane] = best
    return tuple(links)


def corners_of(levels: Bytes, mask: Bytes, limit: int) -> Points:
    """Return well trackable points of an image where ``mask`` is not 0, shape (n, 2).

    Points are sought cell by cell, so that a busy part does not outbid a quiet one that may
    be another plane.
    """
    height, width = levels.shape
    found: list[Points] = [np.zeros((0, 2), np.float32)]
    cells = _CELLS if min(height, width) >= 16 * _CELLS else 1
    share = max(4, 3 * limit // (2 * cells**2))
    spacing = max(3.0, min(12.0, np.sqrt(levels.size / (2.0 * limit))))
    for row in range(cells):
        for column in range(cells):
            y0, y1 = height * row // cells, height * (row + 1) // cells
            x0, x1 = width * column // cells, width * (column + 1) // cells
            part, free = levels[y0:y1, x0:x1], mask[y0:y1, x0:x1]
            if min(part.shape) < 8 or not free.any():
                continue
            corners = cv2.goodFeaturesToTrack(part, share, 0.005, spacing, mask=free)
            if corners is not None:
                placed = corners.reshape(-1, 2) + np.array([x0, y0], np.float32)
                found.append(np.asarray(placed, np.float32))
    return np.concatenate(found).astype(np.float32)


@dataclass(frozen=True)
class Pains:
    """How hard points are followed: pyramid levels, turns a level, when a step (px) is none."""

    levels: int
    turns: int = 30
    step_px: float = 0.01


_ALL_PAINS = Pains(levels=4)


def track(
    first: Bytes, second: Bytes, points: Points, pains: Pains, most_px: float = np.inf
) -> tuple[Points, Points]:
    """Follow points from one image to another; keep those that come back.

    Returns (points in the first, points in the second), both (n, 2): those that have moved by
    at most ``most_px``.
    """
    if len(points) == 0:
        return points, points
    there, ok = _followed(first, second, points, pains)
    near = ok & (np.linalg.norm(there - points, axis=1) <= most_px)
    points, there = points[near], there[near]
    if len(points) == 0:
        return points, there
    back, ok = _followed(second, first, there, pains)
    good = ok & (np.linalg.norm(back - points, axis=1) < _ROUND_TRIP_PX)
    return points[good], there[good]


def _followed(
    first: Bytes, second: Bytes, points: Points, pains: Pains
) -> tuple[Points, npt.NDArray[np.bool_]]:
    start = np.ascontiguousarray(points).reshape(-1, 1, 2)
    there, ok, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        start,
        start.copy(),
        winSize=_TRACK_WINDOW_PX,
        maxLevel=pains.levels,
        criteria=(
            cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT,
            pains.turns,
            pains.step_px,
        ),
    )
    return np.asarray(there.reshape(-1, 2), np.float32), np.asarray(ok.ravel() > 0, np.bool_)


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

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._steps: dict[tuple[int, int], Step] = {}
        self._links: dict[tuple[int, int, int], tuple[int | None, ...]] = {}
        self._turns: dict[tuple[int, int, int], tuple[int | None, ...]] = {}
        self._coming: dict[tuple[int, int], Future[Step | None]] = {}

    def is_begun(self, low: int, high: int) -> bool:
        """Whether the step between two frames is measured, or being measured."""
        return (low, high) in self._steps or (low, high) in self._coming

    def begin(
        self, hop: tuple[int, int], first: MadeProxy, second: MadeProxy, threads: Executor
    ) -> None:
        """Begin on other threads with the step between two frames, the earlier first.

        Their proxies are made, or ``threads`` were told before to make them.
        """
        self._coming[hop] = threads.submit(self._when_made, first, second)

    def forget_threads(self) -> None:
        """Wait no more for what threads have begun with: they are about to end."""
        for future in self._coming.values():
            future.cancel()
        self._coming.clear()

    def step(self, first: Proxy, second: Proxy) -> Step:
        """Return the way from one proxy to a neighbouring one."""
        key = (first.frame, second.frame)
        if key not in self._steps:
            # Always measured forward in time: both directions then agree exactly.
            low, high = (first, second) if first.frame < second.frame else (second, first)
            forward = self._begun(low, high) or self._measured(low, high)
            self._steps[(low.frame, high.frame)] = forward
            self._steps[(high.frame, low.frame)] = forward.reversed()
        return self._steps[key]

    def links(self, first: Proxy, middle: Proxy, last: Proxy) -> tuple[int | None, ...]:
        """Return in which planes of the second step those of the first go on."""
        key = (first.frame, middle.frame, last.frame)
        if key not in self._links:
            here, onward = self.step(first, middle), self.step(middle, last)
            self._links[key] = linked(here.end, onward.start, len(here.matrices))
        return self._links[key]

    def turned(self, first: Proxy, here: Proxy, other: Proxy) -> tuple[int | None, ...]:
        """Return in which planes of the way to ``other`` those of the way to ``first`` go on.

        Both ways start at ``here``.
        """
        key = (first.frame, here.frame, other.frame)
        if key not in self._turns:
            one, two = self.step(here, first), self.step(here, other)
            self._turns[key] = linked(one.start, two.start, len(one.matrices))
        return self._turns[key]

    def forget_before(self, frame: int) -> None:
        """Drop what lies wholly before ``frame``, so that memory does not grow with length."""
        for key in [key for key in self._steps if max(key) < frame]:
            del self._steps[key]
        for hop in [hop for hop in self._coming if max(hop) < frame]:
            del self._coming[hop]
        for known in (self._links, self._turns):
            for link in [link for link in known if max(link) < frame]:
                del known[link]

    def _when_made(self, first: MadeProxy, second: MadeProxy) -> Step | None:
        one, other = first.result(), second.result()
        return None if one is None or other is None else self._measured(one, other)

    def _begun(self, low: Proxy, high: Proxy) -> Step | None:
        """Return what a thread measures or has measured, None where none does or it failed."""
        future = self._coming.pop((low.frame, high.frame), None)
        if future is None or future.cancelled():
            return None
        wait([future])
        return None if future.cancelled() or future.exception() else future.result()

    def _measured(self, first: Proxy, second: Proxy) -> Step:
        points = corners_of(first.levels, _eroded(first.valid, 3), _MAX_POINTS)
        before, after = track(first.levels, second.levels, points, _ALL_PAINS)
        inside = _lookup(_eroded(second.valid, 3), after)
        before, after = before[inside], after[inside]
        matrices, planes = planes_of(before, after, self._motion, first.levels.shape)
        found = np.min([distances(m, before, after) for m in matrices], axis=0)
        consistent = int((found < 2.0 * PLANE_PX).sum())
        cut = self._is_cut(first, second, matrices[0], len(points), consistent)
        return Step(matrices, Labelled(before, planes), Labelled(after, planes), cut)

    def _is_cut(
        self, first: Proxy, second: Proxy, matrix: Matrix, points: int, consistent: int
    ) -> bool:
        """Whether the pictures have nothing to do with each other.

        Both must hold: hardly a point is found again where the motion says, and the pictures
        do not correlate. A flat or very dark frame tracks badly, too, but tells nothing.
        """
        if consistent > _SAME_SHARE * max(points, 12):
            return False
        size = (first.levels.shape[1], first.levels.shape[0])
        seen = warped(second.levels, matrix, size)
        both = (first.valid > 0) & (warped(second.valid, matrix, size) > 254)
        if int(both.sum()) < 64:
            return False
        blurred = [
            cv2.blur(levels, (9, 9))[both].astype(np.float64) for levels in (first.levels, seen)
        ]
        apart = [plane - plane.mean() for plane in blurred]
        spread = [float(np.sqrt(np.mean(plane**2))) for plane in apart]
        if min(spread) < _FLAT_LEVELS:
            return False
        return float(np.mean(apart[0] * apart[1])) < _SAME_CORRELATION * spread[0] * spread[1]


def _lookup(valid: Bytes, points: Points) -> npt.NDArray[np.bool_]:
    height, width = valid.shape
    columns = np.rint(points[:, 0]).astype(np.int64)
    rows = np.rint(points[:, 1]).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    found = np.zeros(len(points), np.bool_)
    found[inside] = valid[rows[inside], columns[inside]] > 0
    return found
