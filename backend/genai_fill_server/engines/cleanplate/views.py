"""Where the pixels of two frames are in each other, measured by dense flow from a plane on.

Only what returns to where it came from is known, and nothing under a matte is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import cv2
import numba
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.kernels import inside
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.waves import Runner

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

_ROUND_TRIP_PX = 0.7
_FEW = 1 << 14
_AT_ONCE = 4


@dataclass(frozen=True)
class Way:
    """Two frames, the earlier first, and the main plane's matrix from it to the other."""

    first: Proxy
    second: Proxy
    matrix: Matrix


@dataclass(frozen=True)
class View:
    """Where the pixels of one frame lie in another.

    ``place`` (h, w, 2: x, y), ``known`` (h, w) where it was measured, ``matrix`` the main
    plane's way there. Where it was not measured ``place`` is (0, 0).
    """

    other: Proxy
    place: Floats
    known: Mask
    matrix: Matrix


@dataclass(frozen=True)
class _Pictures:
    """Two pictures of one place without an object, and where each frame shows background."""

    one: Bytes
    other: Bytes
    free: Mask
    usable: Mask


def views_of(ways: Sequence[Way], kit: Kit, run: Runner) -> list[tuple[View, View]]:
    """Measure dense flow between frames from where a plane leads; (there, back) of each way.

    ``run`` shares the work out: both directions of a way beside each other.
    """
    found: list[tuple[View, View]] = []
    for start in range(0, len(ways), _AT_ONCE):
        some = ways[start : start + _AT_ONCE]
        seen = run([partial(_pictures, way, kit) for way in some])
        pairs = [pair for one in seen for pair in ((one.one, one.other), (one.other, one.one))]
        flows = run([partial(kit.flow.between, *pair) for pair in pairs])
        led = run(
            [
                partial(lead, way, one, *flow)
                for way, one, flow in zip(some, seen, _pairs(flows), strict=True)
                for lead in (_led_there, _led_back)
            ]
        )
        found += _pairs(led)
    return found


def _pairs(ordered: Sequence[T]) -> list[tuple[T, T]]:
    return list(zip(ordered[0::2], ordered[1::2], strict=True))


def _pictures(way: Way, kit: Kit) -> _Pictures:
    first, second = way.first, way.second
    height, width = first.levels.shape
    free = first.valid > 0
    seen = kit.device.warped(second.levels, way.matrix, (width, height))
    usable = kit.device.warped(second.valid, way.matrix, (width, height)) > 254
    return _Pictures(*_without_object(first.levels, free, seen, usable), free, usable)


def _led_there(way: Way, seen: _Pictures, flow: Floats, back: Floats) -> View:
    """Return where pixels of the first frame are in the second; both flows there and back."""
    place, known = _nothing_known(seen)
    free, matrix = _inner(seen.free), np.ascontiguousarray(way.matrix)
    _lead_there(free, seen.usable, *_contiguous(flow, back), matrix, place, known)
    return View(way.second, place, known, way.matrix)


def _led_back(way: Way, seen: _Pictures, flow: Floats, back: Floats) -> View:
    """Return where pixels of the second frame are in the first."""
    place, known = _nothing_known(seen)
    inverse = np.asarray(np.linalg.inv(way.matrix), np.float64)
    free = _inner(way.second.valid > 0)
    _lead_back(free, seen.free, *_contiguous(flow, back), inverse, place, known)
    return View(way.first, place, known, inverse)


def _nothing_known(seen: _Pictures) -> tuple[Floats, Mask]:
    return np.zeros((*seen.free.shape, 2), np.float32), np.zeros(seen.free.shape, np.bool_)


def _contiguous(flow: Floats, back: Floats) -> tuple[Floats, Floats]:
    return np.ascontiguousarray(flow), np.ascontiguousarray(back)


def _without_object(levels: Bytes, free: Mask, seen: Bytes, usable: Mask) -> tuple[Bytes, Bytes]:
    """Return two pictures of the same place with no object in either, at one exposure.

    ``free`` and ``usable`` are where ``levels`` and ``seen`` show background. Where one hides
    it the other is put in its place, so flow between them is not pulled along by an object.
    """
    some = np.flatnonzero(free & usable)
    some = some[:: max(1, len(some) // _FEW)]
    apart = levels.ravel()[some].astype(np.int16) - seen.ravel()[some]
    offset = float(np.median(apart)) if len(some) else 0.0
    exposed = np.clip(seen.astype(np.float32) + np.float32(offset), 0, 255).astype(np.uint8)
    first: Bytes = np.where(free | ~usable, levels, exposed)
    return first, np.where(usable, exposed, first)


def _inner(free: Mask) -> Mask:
    """Return ``free`` less two pixels at its borders: flow there looks at what is beyond."""
    return np.asarray(cv2.erode(free.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0, np.bool_)


@inside
def _read(flow, shown, x, y):  # type: ignore[no-untyped-def]
    """Return the flow at (x, y), bilinear, the edge repeated, and whether all read is shown."""
    height, width = shown.shape
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    right, down = np.float32(x - x0), np.float32(y - y0)
    one = np.float32(1.0)
    a, b = (one - right) * (one - down), right * (one - down)
    c, d = (one - right) * down, right * down
    u = a * flow[y0, x0, 0] + b * flow[y0, x1, 0] + c * flow[y1, x0, 0] + d * flow[y1, x1, 0]
    v = a * flow[y0, x0, 1] + b * flow[y0, x1, 1] + c * flow[y1, x0, 1] + d * flow[y1, x1, 1]
    is_shown = shown[y0, x0] and shown[y0, x1] and shown[y1, x0] and shown[y1, x1]
    return u, v, is_shown


@inside
def _moved(matrix, x, y):  # type: ignore[no-untyped-def]
    """Return where a homography takes (x, y), and whether that is anywhere."""
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    if abs(w) < 1e-9:
        return 0.0, 0.0, False
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return u / w, v / w, True


@numba.njit(
    "void(boolean[:,::1], boolean[:,::1], float32[:,:,::1], float32[:,:,::1], float64[:,::1],"
    " float32[:,:,::1], boolean[:,::1])",
    cache=True,
    nogil=True,
)
def _lead_there(free, usable, flow, back, matrix, place, known):  # type: ignore[no-untyped-def]
    """Set where pixels of the first frame are in the second, and which are known.

    ``flow`` and ``back`` are between the first and the second as the plane brings it there.
    """
    for y in range(free.shape[0]):
        for x in range(free.shape[1]):
            u, v = flow[y, x, 0], flow[y, x, 1]
            if not free[y, x] or not (np.isfinite(u) and np.isfinite(v)):
                continue
            back_u, back_v, is_shown = _read(back, usable, x + u, y + v)
            if (
                not is_shown
                or not (u + back_u) ** 2 + (v + back_v) ** 2 < _ROUND_TRIP_PX * _ROUND_TRIP_PX
            ):
                continue
            there_x, there_y, is_there = _moved(matrix, x + u, y + v)
            place[y, x, 0], place[y, x, 1] = there_x, there_y
            known[y, x] = is_there


@numba.njit(
    "void(boolean[:,::1], boolean[:,::1], float32[:,:,::1], float32[:,:,::1], float64[:,::1],"
    " float32[:,:,::1], boolean[:,::1])",
    cache=True,
    nogil=True,
)
def _lead_back(free, shown, flow, back, inverse, origin, known):  # type: ignore[no-untyped-def]
    """Set where pixels of the second frame are in the first, and which are known."""
    height, width = free.shape
    for y in range(height):
        for x in range(width):
            if not free[y, x]:
                continue
            flat_x, flat_y, is_there = _moved(inverse, x, y)
            if not is_there or not (0 <= flat_x <= width - 1 and 0 <= flat_y <= height - 1):
                continue
            back_u, back_v, _ = _read(back, shown, flat_x, flat_y)
            to_x, to_y = flat_x + back_u, flat_y + back_v
            if not (np.isfinite(to_x) and np.isfinite(to_y)):
                continue
            u, v, is_shown = _read(flow, shown, to_x, to_y)
            if (
                not is_shown
                or not (back_u + u) ** 2 + (back_v + v) ** 2 < _ROUND_TRIP_PX * _ROUND_TRIP_PX
            ):
                continue
            origin[y, x, 0], origin[y, x, 1] = to_x, to_y
            known[y, x] = True
