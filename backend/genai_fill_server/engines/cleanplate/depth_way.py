"""The way to a source by depth: where no plane leads, because everything has its own distance.

What the object hides in the target, a source sees, and the source's other neighbours see it
too. They measure its relative depth; that and the camera's motion, fitted to what source and
target both see, tell where each pixel is in the target. Nothing is measured under a matte and
nothing is guessed across an edge in depth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.alignment import Alignment, Target, grid_of
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Bytes, Floats
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.lighting import log_gain
from genai_fill_server.engines.cleanplate.planes import Matrix, moved
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.engines.cleanplate.relative_depth import (
    Camera,
    camera_of,
    depth_of,
    epipole,
    mapped,
    seen_at,
    share_along,
    thinned,
)
from genai_fill_server.engines.cleanplate.splatting import splatted

Mask = npt.NDArray[np.bool_]

DEPTH_PLANE = 99
"""The number that alignments by depth have in place of a plane's."""

_ROUND_TRIP_PX = 0.7
_LEAST_PARALLAX_PX, _PARALLAX_PERCENT = 1.0, 93
_MOST_MISS_PX = 0.6
_LEAST_ALONG = 0.75
_LEAST_SHARE = 0.15
_TOLERANCE = 0.12
_FARTHEST = 8
_ROOM_PX, _ROOM_A_FRAME_PX, _MOST_ROOM_PX = 24, 8, 128
_LEAST_LANDED = 64
_STILL_PX = 0.6


@dataclass(frozen=True)
class Seen:
    """A frame and the main plane's matrix from the target to it."""

    proxy: Proxy
    matrix: Matrix


@dataclass(frozen=True)
class Landed:
    """A source's pixels carried into the target's region.

    ``place`` (h, w, 2) is where each comes from, ``there`` where any landed, ``depth`` theirs
    in the source's terms, ``misfit`` how badly they match what the target shows, in levels.
    """

    place: Floats
    there: Mask
    depth: Floats
    misfit: float


@dataclass(frozen=True)
class Landings:
    """What lands if more depth is nearer, and if less is: the motion alone does not tell."""

    source: Seen
    plus: Landed
    minus: Landed


@dataclass(frozen=True)
class Depth:
    """What landed of a source, and how near it is (h, w) on the scale of all sources."""

    source: Seen
    landed: Landed
    nearness: Floats


@dataclass(frozen=True)
class _Measured:
    """Where the pixels of a source's box lie in another frame, and where that is known."""

    place: Floats
    known: Mask
    shift: Floats


def neighbours(target: int, source: int, frames: Mapping[int, Seen]) -> list[Seen]:
    """Return the frames that are to measure a source's depth.

    Best stand on the source's other side, about as far as the target: they see what the
    source sees, and from as far apart as depth will be needed for.
    """
    away = 1 if source > target else -1
    reach = min(max(abs(source - target), 2), _FARTHEST)
    found: list[Seen] = []
    for side in (away, -away):
        for step in range(reach, 0, -1):
            number = source + side * step
            if number in frames and number != target:
                found.append(frames[number])
                break
    return found


def stands_still(target: Target, seen: Sequence[Seen]) -> bool:
    """Whether the camera stands, so that what moves is not parallax but something of its own."""
    region = target.region
    corners = np.array([[region.x0, region.y0], [region.x1, region.y1]], np.float32)
    return all(float(np.abs(moved(s.matrix, corners) - corners).max()) < _STILL_PX for s in seen)


def landings(target: Target, source: Seen, neighbours: Sequence[Seen], kit: Kit) -> Landings | None:
    """Carry a source's pixels into the target by the depth that its ``neighbours`` measure.

    None where there is no parallax to measure, or the scene does not stand still.
    """
    apart = abs(source.proxy.frame - target.proxy.frame)
    room = min(_ROOM_PX + _ROOM_A_FRAME_PX * apart, _MOST_ROOM_PX)
    box = _box_in(source, target.region, room)
    if box is None:
        return None
    onto = Seen(target.proxy, np.eye(3))
    to_target = _measured(source, onto, box, kit)
    grid = grid_of(box.size[1], box.size[0])
    here = (grid + np.array([box.x0, box.y0], np.float32)).reshape(-1, 2)
    found = _depth(here, [_measured(source, n, box, kit) for n in neighbours])
    if found is None:
        return None
    depth, known = found
    both = thinned(known & to_target.known.ravel())
    camera = camera_of(here[both], depth[both], to_target.place.reshape(-1, 2)[both])
    if camera is None or camera.miss_px > _MOST_MISS_PX:
        return None
    return _landed(target, source, camera, here[known], depth[known], kit)


def _box_in(source: Seen, region: Region, room: int) -> Region | None:
    """Return the box of the source that shows the target's region, and ``room`` px round it."""
    corners = np.array(
        [
            [region.x0, region.y0],
            [region.x1, region.y0],
            [region.x0, region.y1],
            [region.x1, region.y1],
        ],
        np.float32,
    )
    placed = moved(source.matrix, corners)
    height, width = source.proxy.levels.shape
    low, high = placed.min(axis=0) - room, placed.max(axis=0) + room
    x0, y0 = max(0, int(low[0])) // 2 * 2, max(0, int(low[1])) // 2 * 2
    x1, y1 = min(width, int(high[0])), min(height, int(high[1]))
    return Region(x0, y0, x1, y1) if x1 - x0 >= 64 and y1 - y0 >= 64 else None


def _measured(source: Seen, other: Seen, box: Region, kit: Kit) -> _Measured:
    """Measure dense flow from a source's box to another frame, from where a plane leads."""
    device = kit.device
    local = other.matrix @ np.linalg.inv(source.matrix) @ box.offset
    levels = np.ascontiguousarray(source.proxy.levels[box.rows_and_columns])
    free = source.proxy.valid[box.rows_and_columns] > 0
    seen = device.warped(other.proxy.levels, local, box.size)
    usable = device.warped(other.proxy.valid, local, box.size) > 254
    both = free & usable
    offset = np.median(levels[both].astype(np.int16) - seen[both]) if both.any() else 0.0
    exposed = np.clip(seen.astype(np.float32) + np.float32(offset), 0, 255).astype(np.uint8)
    first: Bytes = np.where(free | ~usable, levels, exposed)
    second: Bytes = np.where(usable, exposed, first)
    flow, back = kit.flow.both_ways(first, second)
    grid = grid_of(box.size[1], box.size[0])
    trip = flow + device.followed(back, grid + flow)
    lands = device.followed(usable.astype(np.float32), grid + flow) > 0.99
    inner = cv2.erode(free.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    known = inner & lands & (np.hypot(trip[..., 0], trip[..., 1]) < _ROUND_TRIP_PX)
    flat = moved(local, grid.reshape(-1, 2)).reshape(grid.shape)
    place = moved(local, (grid + flow).reshape(-1, 2)).reshape(grid.shape)
    return _Measured(place, np.asarray(known, np.bool_), np.asarray(place - flat, np.float32))


def _depth(here: Floats, views: Sequence[_Measured]) -> tuple[Floats, Mask] | None:
    """Return the relative depth of a box's pixels from what its neighbours see, raveled."""
    depth = np.zeros(len(here), np.float32)
    known, weight = np.zeros(len(here), np.bool_), np.zeros(len(here), np.float32)
    for view in sorted(views, key=lambda v: -int(v.known.sum())):
        there, own = view.place.reshape(-1, 2), view.known.ravel()
        if known.any():
            some = thinned(own & known)
            camera = camera_of(here[some], depth[some], there[some])
        else:
            camera = _first_camera(here, there, view.shift.reshape(-1, 2), thinned(own))
        if camera is None or camera.miss_px > _MOST_MISS_PX:
            continue
        # A view from farther away measures depth better.
        found, parallax = depth_of(camera.matrix, here, there), _strength(camera.matrix, here)
        share = np.where(own, parallax**2, 0.0).astype(np.float32)
        total = np.maximum(weight + share, np.float32(1e-12))
        mixed = (depth * weight + found * share) / total
        depth = np.where(own, mixed, depth).astype(np.float32)
        known, weight = known | own, weight + share
    return (depth, known) if known.mean() >= _LEAST_SHARE else None


def _strength(camera: npt.NDArray[np.float64], here: Floats) -> Floats:
    """Return about how many pixels a unit of depth moves each pixel, (n,)."""
    flat = mapped(camera[:, :3], np.c_[here, np.ones(len(here))])
    there = flat[:, :2] / np.maximum(flat[:, 2:], 0.05)
    ahead = camera[:2, 3] - there * camera[2, 3]
    return np.asarray(np.hypot(ahead[:, 0], ahead[:, 1]), np.float32)


def _first_camera(
    here: Floats, there: Floats, shift: Floats, some: npt.NDArray[np.int64]
) -> Camera | None:
    """Return the camera of the first neighbour: its plane and its epipole, made to fit."""
    if len(some) < 50:
        return None
    size = np.hypot(shift[some, 0], shift[some, 1])
    if float(np.percentile(size, _PARALLAX_PERCENT)) < _LEAST_PARALLAX_PX:
        return None
    way = epipole(there[some], shift[some])
    if way is None:
        return None
    if share_along(way, there[some], shift[some], _LEAST_PARALLAX_PX) < _LEAST_ALONG:
        return None  # flow that wanders over a flat scene; its depth would be made up
    way = way / max(float(np.abs(way[:2] - there.mean(axis=0) * way[2]).max()), 1e-9)
    ahead = way[:2] - there[some] * way[2]
    depth = (ahead * shift[some]).sum(axis=1) / np.maximum((ahead**2).sum(axis=1), 1e-12)
    camera = camera_of(here[some], depth.astype(np.float32), there[some])
    for _ in range(2):
        if camera is None:
            return None
        depth = depth_of(camera.matrix, here[some], there[some])
        camera = camera_of(here[some], depth, there[some])
    return camera


def _landed(
    target: Target, source: Seen, camera: Camera, here: Floats, depth: Floats, kit: Kit
) -> Landings | None:
    region = target.region
    landing, front = seen_at(camera.matrix, here, depth)
    landing = landing - np.array([region.x0, region.y0], np.float32)
    inside = (landing > -1.0).all(axis=1) & (landing < list(region.size)).all(axis=1)
    keep = front & inside
    if int(keep.sum()) < _LEAST_LANDED:
        return None
    spread = max(float(np.ptp(np.percentile(depth[keep], [2, 98]))), 1e-9)
    unit = ((depth[keep] - np.median(depth[keep])) / np.float32(spread)).astype(np.float32)
    found = []
    for sign in (np.float32(1.0), np.float32(-1.0)):
        carried = np.column_stack([here[keep], unit]).astype(np.float32)
        landed, mass = splatted(landing[keep], sign * unit, carried, _TOLERANCE, region.size)
        place, there = np.ascontiguousarray(landed[..., :2]), np.asarray(mass > 0.2, np.bool_)
        misfit = _misfit(target, source, place, there, kit)
        found.append(Landed(place, there, landed[..., 2], misfit))
    return Landings(source, found[0], found[1])


def _misfit(target: Target, source: Seen, place: Floats, there: Mask, kit: Kit) -> float:
    """Return how badly, in levels, landed pixels match what the target shows."""
    check = there & target.known
    if not check.any():
        return 0.0
    off = target.levels[check] - kit.device.followed(source.proxy.levels, place)[check]
    return float(np.minimum(np.abs(off - np.median(off)), 2 * LEVELS_PER_STOP).mean())


def on_one_scale(target: Target, found: Sequence[Landings]) -> list[Depth]:
    """Return what landed, with its nearness on one scale, 1 about the whole range.

    Each source measured depth in its own terms. Seen from the target they are one scene: what
    one says of pixels that the target shows is a depth for the cameras of all. Which end of
    the scale is near, all say together: where the wrong one hides the other, pictures differ.
    """
    if not found:
        return []
    height, width = target.levels.shape
    grid = grid_of(height, width).reshape(-1, 2)
    known = [(one.plus.there & target.known).ravel() for one in found]
    first = max(range(len(found)), key=lambda i: int(known[i].sum()))
    base = found[first].plus.depth.ravel()
    vote, kept = 0.0, []
    for index, one in enumerate(found):
        some = thinned(known[first] & known[index])
        scaled = _scaled(one, grid, base, some)
        if scaled is not None:
            camera, alike = scaled
            vote += alike * (one.minus.misfit - one.plus.misfit)
            kept.append((one, camera, alike))
    unit = max(float(np.ptp(np.percentile(base[known[first]], [2, 98]))), 1e-9) if kept else 1.0
    sign = 1.0 if vote >= 0 else -1.0
    depths = []
    for one, camera, alike in kept:
        landed = one.plus if alike * sign > 0 else one.minus
        near = depth_of(camera.matrix, grid, landed.place.reshape(-1, 2)).reshape(height, width)
        depths.append(Depth(one.source, landed, np.asarray(near * (sign / unit), np.float32)))
    return depths


def _scaled(
    one: Landings, grid: Floats, base: Floats, some: npt.NDArray[np.int64]
) -> tuple[Camera, float] | None:
    """Return the camera that sees ``base``, a depth of the target's pixels, as ``one`` does.

    With it, 1 where that depth grows the same way as the source's own, else -1.
    """
    place = one.plus.place.reshape(-1, 2)[some]
    camera = camera_of(grid[some], base[some], place)
    if camera is None or camera.miss_px > _MOST_MISS_PX:
        return None
    near = depth_of(camera.matrix, grid[some], place)
    own = one.plus.depth.ravel()[some]
    alike = float(((near - np.median(near)) * (own - np.median(own))).sum())
    return camera, (-1.0 if alike < 0 else 1.0)


def align_by_depth(target: Target, found: Depth, kit: Kit) -> Alignment:
    """Return a source as the target sees it by depth."""
    source, place, there = found.source, found.landed.place, found.landed.there
    device, region = kit.device, target.region
    height, width = target.levels.shape
    grid = grid_of(height, width) + np.array([region.x0, region.y0], np.float32)
    shift = device.pull_push(
        np.where(there[..., None], place - grid, 0.0).astype(np.float32), there.astype(np.float32)
    )
    # Cracks between pixels that land apart are closed; beyond a pixel nothing is known.
    closed = cv2.morphologyEx(there.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    placed = np.asarray(grid + shift, np.float32)
    free = device.followed((source.proxy.valid > 0).astype(np.float32), placed) > 0.99
    usable = np.asarray((closed > 0) & free, np.bool_)
    seen = device.followed(source.proxy.levels, placed)
    check = usable & target.known
    offset = np.median(target.levels[check] - seen[check]) if check.any() else 0.0
    levels = np.clip(seen + np.float32(offset), 0.0, 255.0).astype(np.float32)
    difference = np.abs(target.levels - levels) / np.float32(LEVELS_PER_STOP)
    both = check.astype(np.float32)
    error = device.membrane(np.minimum(difference, np.float32(2.0)), both, 4)
    return Alignment(
        frame=source.proxy.frame,
        plane=DEPTH_PLANE,
        place=placed,
        usable=usable,
        levels=levels,
        error=error,
        gain=log_gain(target.proxy, region, source.proxy, placed, both, error, kit),
        sharpness=float(np.sqrt(abs(np.linalg.det(source.matrix[:2, :2] / source.matrix[2, 2])))),
        nearness=found.nearness,
    )
