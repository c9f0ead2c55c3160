"""The way to a source by depth: where no plane leads, because everything has its own distance.

What the object hides in the target, a source sees, and the source's other neighbours see it
too. They measure its relative depth; that and the camera's motion, fitted to what source and
target both see, tell where each pixel is in the target. Nothing is measured under a matte and
nothing is guessed across an edge in depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.alignment import Alignment, Target, grid_of, offset_of
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Floats
from genai_fill_server.engines.cleanplate.frame_depth import (
    LEAST_ALONG,
    LEAST_PARALLAX_PX,
    MOST_MISS_PX,
    FrameDepth,
    spread_of,
)
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.lighting import log_gain
from genai_fill_server.engines.cleanplate.planes import Matrix, moved
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.relative_depth import (
    Camera,
    camera_of,
    depth_of,
    seen_at,
    thinned,
)
from genai_fill_server.engines.cleanplate.splatting import carried
from genai_fill_server.engines.cleanplate.tracks import STEP_PX, nodes_of
from genai_fill_server.engines.cleanplate.waves import Runner

Mask = npt.NDArray[np.bool_]

DEPTH_PLANE = 99
"""The number that alignments by depth have in place of a plane's."""

_ROUND_PX, _LEAST_ROUND_PX = 24, 200
_MOST_LEFT = 0.5
_PARALLAX_PERCENT = 93
_TOLERANCE = 0.12
_LEAST_LANDED = 64
_STILL_PX = 0.6
_CLEAR_MAJORITY, _FIRM = 0.5, 0.5


@dataclass(frozen=True)
class Seen:
    """A frame and the main plane's matrix from the target to it."""

    proxy: Proxy
    matrix: Matrix


@dataclass(frozen=True)
class Told:
    """What a source's depth tells of the pixels that it and the target both show.

    ``camera`` sees the source's pixels as the target does. On the nodes of the target, (h, w):
    ``place`` where they lie in the source, ``near`` their depth in the source's terms,
    ``known`` where both are.
    """

    source: Seen
    depth: FrameDepth
    camera: Camera
    place: Floats
    near: Floats
    known: Mask


@dataclass(frozen=True)
class Scaled:
    """A source whose depth is on the scale of all sources.

    ``nearer`` times the source's own depth is about 1 over the whole range and grows towards
    the camera. ``seen`` sees the target's pixels and the depth of all, which ``unit`` brings
    to the same scale, as the source does.
    """

    told: Told
    nearer: float
    seen: Camera
    unit: float


def stands_still(target: Target, seen: Sequence[Seen]) -> bool:
    """Whether the camera stands, so that what moves is not parallax but something of its own."""
    region = target.region
    corners = np.array([[region.x0, region.y0], [region.x1, region.y1]], np.float32)
    return all(float(np.abs(moved(s.matrix, corners) - corners).max()) < _STILL_PX for s in seen)


def told_by(
    target: Target, source: Seen, depth: FrameDepth, places: Floats, kit: Kit
) -> Told | None:
    """Return what a source's ``depth`` tells of the target.

    ``places`` (h, w, 2) say where the target's nodes are in the source, NaN where that is not
    known. None where nothing shifts against the plane round the hole, or where depth does not
    explain how: then the scene does not stand still, or what was measured is no depth.
    """
    nodes = nodes_of(*target.proxy.levels.shape)
    (x0, y0), (x1, y1) = _round(target)
    x, y = nodes[..., 0], nodes[..., 1]
    is_known = np.isfinite(places[..., 0]) & (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    if not is_known.any():
        return None
    # Read as a picture: OpenCV reads no list of more than 32,766 places.
    asked = np.where(is_known[..., None], places, np.float32(0.0))
    is_known &= kit.device.followed(depth.known.astype(np.float32), asked) > 0.99
    here, there = places[is_known], nodes[is_known]
    near = kit.device.followed(depth.depth, asked)[is_known]
    some = thinned(np.ones(len(here), np.bool_))
    camera = camera_of(here[some], near[some], there[some])
    if camera is None or camera.miss_px > MOST_MISS_PX or not _tells(camera, here, near, there):
        return None
    told = np.zeros(is_known.shape, np.float32)
    told[is_known] = near
    return Told(source, depth, camera, places, told, is_known)


def _round(target: Target) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return corners (x, y) some way round the target's region.

    What a camera is fitted to may lie further away than what is matched pixel by pixel.
    """
    own = target.region
    across, down = own.size
    margin = max(_ROUND_PX, _LEAST_ROUND_PX - min(across, down))
    return (own.x0 - margin, own.y0 - margin), (own.x1 + margin, own.y1 + margin)


def _tells(camera: Camera, here: Floats, near: Floats, there: Floats) -> bool:
    """Whether depth explains where pixels lie that are not where the plane would have them.

    Depth and target were measured apart from each other: made-up depth explains nothing.
    """
    flat, _ = seen_at(camera.matrix, here, np.zeros_like(near))
    placed, _ = seen_at(camera.matrix, here, near)
    size = np.hypot(*(placed - flat).T)
    if float(np.percentile(size, _PARALLAX_PERCENT)) < LEAST_PARALLAX_PX:
        return False
    long = size > LEAST_PARALLAX_PX
    missed = np.hypot(*(there - placed)[long].T)
    return float((missed < _MOST_LEFT * size[long]).mean()) >= LEAST_ALONG


def on_one_scale(found: Sequence[Told], run: Runner) -> list[Scaled]:
    """Return sources with their depth on one scale.

    Each measured depth in its own terms. Seen from the target they are one scene: what one
    says of pixels that the target shows is a depth for the cameras of all. Which end of the
    scale is near, all say together: motion alone does not tell, what hides what does. ``run``
    shares the work out.
    """
    if not found:
        return []
    base = max(found, key=lambda one: int(one.known.sum()))
    scales = run([partial(_scale_of, base, one) for one in found])
    kept = [(one, *scale) for one, scale in zip(found, scales, strict=True) if scale is not None]
    sign, against = agreed([way * one.depth.nearer for one, _, way in kept])
    unit = sign / spread_of(base.near[base.known])
    return [
        Scaled(one, sign * way / spread_of(one.near[one.known]), seen, unit)
        for index, (one, seen, way) in enumerate(kept)
        if index not in against
    ]


def _scale_of(base: Told, one: Told) -> tuple[Camera, float] | None:
    """Return the camera of ``one`` for the depth of ``base``, and 1 or -1 as theirs grow alike."""
    width = base.known.shape[1]
    some = thinned((base.known & one.known).ravel())
    there = np.column_stack([some % width, some // width]) * STEP_PX + STEP_PX // 2
    seen = camera_of(
        there.astype(np.float32), base.near.ravel()[some], one.place.reshape(-1, 2)[some]
    )
    if seen is None or seen.miss_px > MOST_MISS_PX:
        return None
    return seen, _way(base.near.ravel()[some], one.near.ravel()[some])


def agreed(votes: Sequence[float]) -> tuple[float, set[int]]:
    """Return what most votes say, 1 or -1, and which say firmly otherwise where most agree.

    Such a source's depth is wrong, and a wrong nearness would hide what others show.
    """
    total, strength = sum(votes), np.abs(np.array(votes, np.float64))
    sign = 1.0 if total >= 0 else -1.0
    if abs(total) < _CLEAR_MAJORITY * strength.sum():
        return sign, set()
    firm = strength > _FIRM * np.median(strength) if len(votes) else strength > 0
    return sign, {i for i, vote in enumerate(votes) if firm[i] and vote * sign < 0}


def _way(first: Floats, second: Floats) -> float:
    """Return 1 where two depths of the same pixels grow the same way, else -1."""
    signs = np.sign(first - np.median(first)) * np.sign(second - np.median(second))
    return -1.0 if float(signs.sum()) < 0 else 1.0


def align_by_depth(target: Target, found: Scaled, kit: Kit) -> Alignment | None:
    """Return a source as the target sees it by depth; None when nothing of it lands there."""
    source, depth, region = found.told.source, found.told.depth, target.region
    place, there = carried(
        found.told.camera.matrix,
        depth.depth,
        depth.known,
        depth.ranges,
        found.nearer,
        _TOLERANCE,
        (region.x0, region.y0),
        region.size,
    )
    if int(there.sum()) < _LEAST_LANDED:
        return None
    device = kit.device
    height, width = target.levels.shape
    grid = grid_of(height, width) + np.array([region.x0, region.y0], np.float32)
    shift = device.pull_push(
        np.where(there[..., None], place - grid, 0.0).astype(np.float32), there.astype(np.float32)
    )
    # Cracks between pixels that land apart are closed; beyond a pixel nothing is known.
    closed = cv2.morphologyEx(there.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    placed = np.asarray(grid + shift, np.float32)
    near = depth_of(found.seen.matrix, grid.reshape(-1, 2), placed.reshape(-1, 2))
    free = device.followed((source.proxy.valid > 0).astype(np.float32), placed) > 0.99
    usable = np.asarray((closed > 0) & free, np.bool_)
    seen = device.followed(source.proxy.levels, placed)
    check = usable & target.known
    offset = np.float32(offset_of(target.levels, seen, check))
    levels = np.clip(seen + offset, 0.0, 255.0).astype(np.float32)
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
        gain=partial(log_gain, target.proxy, region, source.proxy, placed, both, error, kit),
        sharpness=float(np.sqrt(abs(np.linalg.det(source.matrix[:2, :2] / source.matrix[2, 2])))),
        nearness=np.asarray(near.reshape(height, width) * found.unit, np.float32),
    )
