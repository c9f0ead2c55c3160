"""How near things in a frame are, told by the frames beside it: measured once, used for all.

A frame's depth depends on the shot alone, not on which frame is being filled, so it is measured
once and its map serves every target that it gives pixels to. One measurement of two frames serves
the maps of both. Where many frames are in reach every second one's depth is measured: those between
show hardly more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import TypeVar

import numba
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Floats
from genai_fill_server.engines.cleanplate.flow import LEAST_SIDE_PX
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.planes import Matrix, moved
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.relative_depth import (
    Camera,
    camera_of,
    depth_of,
    epipole,
    share_along,
    thinned,
)
from genai_fill_server.engines.cleanplate.splatting import contested, ranges_of
from genai_fill_server.engines.cleanplate.tracks import STEP_PX, Track, nodes_of, shortest
from genai_fill_server.engines.cleanplate.views import View, Way, views_of
from genai_fill_server.engines.cleanplate.waves import Runner

Mask = npt.NDArray[np.bool_]
Chain = Callable[[int, int], "tuple[Proxy, Matrix] | None"]
"""Leads from a frame to another: its proxy and the main plane's matrix, None over a cut."""

Hop = tuple[int, int]
K = TypeVar("K")
V = TypeVar("V")

MOST_MISS_PX = 0.6
LEAST_ALONG = 0.75
LEAST_PARALLAX_PX = 1.0

_APART = {1: (2, 5), 2: (2, 6)}
"""By how many frames lie between those whose depth is measured: who measures it."""

_SHORT_FRAMES = 48
_AGREED_PX = 1.0
_PARALLAX_PERCENT = 98
_LEAST_SHARE = 0.15
_LEAST_POINTS = 50
_ASKED, _TOO_NEAR, _FEW = 2, 0.12, 4000
_MOST_MAPS, _MOST_VIEWS, _MOST_TRACKS, _AT_ONCE = 64, 32, 256, 4


@dataclass(frozen=True)
class FrameDepth:
    """A frame's relative depth (h, w), and where it is known (h, w). Up to a projective map.

    ``nearer`` above 0 says that more depth is nearer to the camera, below 0 that less is; how
    far from 0, how surely. ``ranges`` are the `splatting.ranges_of` depth.
    """

    depth: Floats
    known: Mask
    nearer: float
    ranges: Floats


class FrameDepths:
    """The depth of a shot's frames, and where their pixels are in each other. Made when asked."""

    def __init__(self, kit: Kit, chain: Chain, first: int = 0, in_reach: int = 1) -> None:
        """Measure with ``kit`` along ``chain`` in a shot from ``first`` on.

        ``in_reach``: how many frames may give pixels to one.
        """
        self._kit = kit
        self._chain = chain
        self._first = first
        self._spacing = 1 if in_reach < _SHORT_FRAMES else 2
        self._others: OrderedDict[int, Sequence[int]] = OrderedDict()
        self._maps: OrderedDict[int, FrameDepth | None] = OrderedDict()
        self._views: OrderedDict[Hop, View] = OrderedDict()
        self._tracks: OrderedDict[Hop, Track] = OrderedDict()

    def nearest(self, frame: int, there: Container[int]) -> int:
        """Return the nearest frame whose depth is measured, of those that are ``there``.

        Where those are missing it is ``frame`` itself.
        """
        return next((key for key in self._beside(frame) if key in there), frame)

    def _beside(self, frame: int) -> Sequence[int]:
        """Return the numbers of the nearest frames whose depth is measured, itself if it is one."""
        before = frame - (frame - self._first) % self._spacing
        return (frame,) if before == frame else (before + self._spacing, before)

    def of(self, frames: Sequence[Proxy], run: Runner) -> list[FrameDepth | None]:
        """Return the depth of each of ``frames``; None where none can be measured.

        What is not known yet is measured beside each other by ``run``.
        """
        new = [one for one in frames if one.frame not in self._maps]
        for start in range(0, len(new), _AT_ONCE):
            self._make(new[start : start + _AT_ONCE], run)
        found = [_kept(self._maps, one.frame) for one in frames]
        _forget(self._maps, max(_MOST_MAPS, len(frames)))
        return found

    def followed(self, first: int, frames: Sequence[int], run: Runner) -> list[Floats | None]:
        """Return where the `nodes_of` a frame are in ``frames``, (h, w, 2), NaN where unknown.

        None for a frame to which no frames lead that are apart as those that measure depth.
        """
        ways = [shortest(first, frame, self.others) for frame in frames]
        hops = [(a, b) for way in ways for a, b in pairwise(way)]
        self._measure([hop for hop in hops if hop not in self._tracks], run)
        jobs = [partial(_led, self._tracks_along(way)) for way in ways]
        found = run(jobs)
        _forget(self._tracks, max(_MOST_TRACKS, len(hops)))
        _forget(self._views, _MOST_VIEWS)
        return found

    def _tracks_along(self, way: Sequence[int]) -> list[Track]:
        """Return the tracks along a way; none where one is missing, as its frame is by now."""
        hops = list(pairwise(way))
        if any(hop not in self._tracks for hop in hops):
            return []
        return [_kept(self._tracks, hop) for hop in hops]

    def _make(self, frames: Sequence[Proxy], run: Runner) -> None:
        hops = [[(one.frame, other) for other in self.others(one.frame)] for one in frames]
        self._measure([hop for own in hops for hop in own if hop not in self._views], run)
        # A map is made of its views once: they are large, and not kept.
        views = [[self._views.pop(hop) for hop in own if hop in self._views] for own in hops]
        jobs = [partial(_depth_of_frame, *each) for each in zip(frames, views, strict=True)]
        for one, found in zip(frames, run(jobs), strict=True):
            self._maps[one.frame] = found
        _forget(self._views, _MOST_VIEWS)

    def others(self, frame: int) -> Sequence[int]:
        """Return the numbers of the frames that are to measure ``frame``.

        Near ones lose nothing behind an edge, far ones measure better; from both sides,
        because the target's own matte hides from one what it is filled with. Whatever is in
        reach may measure, on either side: it gives no pixels.
        """
        if frame not in self._others:
            self._others[frame] = self._found_others(frame)
            _forget(self._others, 2 * _MOST_MAPS)
        return self._others[frame]

    def _found_others(self, frame: int) -> Sequence[int]:
        spacing, found = self._spacing, list[int]()
        leads = (key for key in self._beside(frame) if key != frame and self._leads(frame, key))
        if (key := next(leads, None)) is not None:
            # Its own depth is never asked for: one way from it to those beside it is enough.
            return [key]
        for apart, side in product(_APART[spacing], (-1, 1)):
            for step in range(apart, 0, -spacing):
                other = frame + side * step
                if other in found:
                    break
                if self._leads(frame, other):
                    found.append(other)
                    break
        return found

    def _leads(self, frame: int, other: int) -> bool:
        return self._way(min(frame, other), max(frame, other)) is not None

    def _way(self, low: int, high: int) -> Way | None:
        """Return the way between two frames, None where none leads or flow cannot be measured."""
        there, back = self._chain(low, high), self._chain(high, low)
        if there is None or back is None or min(there[0].levels.shape) < LEAST_SIDE_PX:
            return None
        return Way(back[0], there[0], there[1])

    def _measure(self, hops: Sequence[Hop], run: Runner) -> None:
        # Ways are found anew: what is kept of frames is their numbers, not their pictures.
        pairs = dict.fromkeys((min(hop), max(hop)) for hop in hops)
        ways = {pair: way for pair in pairs if (way := self._way(*pair)) is not None}
        views = views_of(list(ways.values()), self._kit, run)
        for (low, high), (there, back) in zip(ways, views, strict=True):
            for hop, view in (((low, high), there), ((high, low), back)):
                self._views[hop] = view
                self._tracks[hop] = Track.of(view.place, view.known)


def _kept(found: OrderedDict[K, V], key: K) -> V:
    """Return what is kept of ``key``, and let it be the last to go."""
    found.move_to_end(key)
    return found[key]


def _forget(found: OrderedDict[K, V], most: int) -> None:
    while len(found) > most:
        found.popitem(last=False)


def _led(tracks: Sequence[Track]) -> Floats | None:
    """Return where a frame's nodes are at the end of ``tracks``; None without any."""
    if not tracks:
        return None
    height, width = tracks[0].moved.shape[:2]
    places = nodes_of(height * STEP_PX, width * STEP_PX)
    for track in tracks:
        places = track.led_on(places)
    return places


def _depth_of_frame(frame: Proxy, views: Sequence[View]) -> FrameDepth | None:
    """Return what a frame's views tell of its depth."""
    if not views:
        return None
    height, width = views[0].known.shape
    depth = np.zeros((height, width), np.float32)
    weight = np.zeros_like(depth)
    known = np.zeros((height, width), np.bool_)
    used: list[tuple[View, Camera]] = []
    for view in sorted(views, key=lambda v: -int(v.known.sum())):
        some = thinned((view.known & known if known.any() else view.known).ravel())
        here = np.column_stack([some % width, some // width]).astype(np.float32)
        there = view.place.reshape(-1, 2)[some]
        if known.any():
            camera = camera_of(here, depth.ravel()[some], there)
        else:
            camera = _first_camera(here, there, view.matrix)
        if camera is None or camera.miss_px > MOST_MISS_PX:
            continue
        matrix = np.ascontiguousarray(camera.matrix)
        _mix(matrix, view.place, view.known, depth, weight, _AGREED_PX)
        known = known | view.known
        used.append((view, camera))
    if known.mean() < _LEAST_SHARE:
        return None
    nearer = _nearer(frame, depth, known, used[-_ASKED:])
    return FrameDepth(depth, known, nearer, ranges_of(depth, known))


def _nearer(
    frame: Proxy, depth: Floats, known: Mask, views: Sequence[tuple[View, Camera]]
) -> float:
    """Return which end of a frame's depth is near: what is, hides the other in its views."""
    apart = _TOO_NEAR * spread_of(depth[known])
    return sum(
        contested(
            camera.matrix,
            depth,
            known,
            (frame.levels, view.other.levels),
            view.other.valid,
            apart,
            LEVELS_PER_STOP / 2,
        )
        for view, camera in views
    )


def spread_of(depth: Floats) -> float:
    """Return about the whole range of depths (n,), never 0."""
    few = depth[:: max(1, len(depth) // _FEW)]
    return max(float(np.ptp(np.percentile(few, [2, 98]))), 1e-9) if len(few) else 1e-9


def _first_camera(here: Floats, there: Floats, matrix: Matrix) -> Camera | None:
    """Return the camera of the first view: its plane and its epipole, made to fit."""
    if len(here) < _LEAST_POINTS:
        return None
    shift = there - moved(matrix, here)
    size = np.hypot(shift[:, 0], shift[:, 1])
    if float(np.percentile(size, _PARALLAX_PERCENT)) < LEAST_PARALLAX_PX:
        return None
    way = epipole(there, shift)
    if way is None or share_along(way, there, shift, LEAST_PARALLAX_PX) < LEAST_ALONG:
        return None  # flow that wanders over a flat scene; its depth would be made up
    way = way / max(float(np.abs(way[:2] - there.mean(axis=0) * way[2]).max()), 1e-9)
    ahead = way[:2] - there * way[2]
    depth = (ahead * shift).sum(axis=1) / np.maximum((ahead**2).sum(axis=1), 1e-12)
    camera = camera_of(here, depth.astype(np.float32), there)
    for _ in range(2):
        if camera is None:
            return None
        depth = depth_of(camera.matrix, here, there)
        camera = camera_of(here, depth, there)
    return camera


@numba.njit(
    "void(float64[:, ::1], float32[:, :, ::1], boolean[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float64)",
    cache=True,
    nogil=True,
)
def _mix(camera, place, known, depth, weight, agreed_px):  # type: ignore[no-untyped-def]
    """Add what a view says of ``depth``, weighted by the square of how far depth moves pixels.

    A view from farther away measures depth better, but misses more. Where it contradicts
    those before it, by more than ``agreed_px`` on their scale, they stand.
    """
    a, b = camera, place
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            if not known[y, x]:
                continue
            u, v = b[y, x, 0], b[y, x, 1]
            flat_x = a[0, 0] * x + a[0, 1] * y + a[0, 2]
            flat_y = a[1, 0] * x + a[1, 1] * y + a[1, 2]
            flat_w = a[2, 0] * x + a[2, 1] * y + a[2, 2]
            ahead_x, ahead_y = a[0, 3] - u * a[2, 3], a[1, 3] - v * a[2, 3]
            square = max(ahead_x * ahead_x + ahead_y * ahead_y, 1e-12)
            gap = ahead_x * (u * flat_w - flat_x) + ahead_y * (v * flat_w - flat_y)
            safe = max(flat_w, 0.05)
            near_x = a[0, 3] - flat_x / safe * a[2, 3]
            near_y = a[1, 3] - flat_y / safe * a[2, 3]
            share = near_x * near_x + near_y * near_y
            found = gap / square
            if (found - depth[y, x]) ** 2 * weight[y, x] > agreed_px * agreed_px:
                continue
            total = max(weight[y, x] + share, 1e-12)
            depth[y, x] = (depth[y, x] * weight[y, x] + found * share) / total
            weight[y, x] += share
