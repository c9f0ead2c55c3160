"""Where each pixel of a region lies in one source frame, and how far that can be trusted.

The homography chain brings the source near; tracked points in the region correct its drift;
dense flow measures what a plane cannot explain. Under the matte the flow is completed from
outside, never measured: what is there is the object, not the background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.description import Motion
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Bytes, Floats
from genai_fill_server.engines.cleanplate.flow import LEAST_SIDE_PX
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.lighting import log_gain
from genai_fill_server.engines.cleanplate.motion import Pains, corners_of, track
from genai_fill_server.engines.cleanplate.planes import Matrix, Points, fit, is_sane, moved
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import Region

Mask = npt.NDArray[np.bool_]

_REFINE_POINTS = 120
_ROUND_TRIP_PX = 0.7
_FLOW_GAIN = 0.85
_REFINE_PX = 3.0
_LITTLE_PAINS = Pains(levels=1, turns=12, step_px=0.02)
_RELIEF_PX = 2.5
_RELIEF_STOPS = (0.12, 0.6)
_RELIEF_SHARE = 0.03
_UNEXPLAINED_SHARE = 0.05
_FEW = 1 << 13


@dataclass(frozen=True)
class Target:
    """The frame being filled, inside one region of its proxy."""

    proxy: Proxy
    region: Region
    levels: Bytes
    known: Mask
    hole: Mask
    points: Points

    @classmethod
    def of(cls, proxy: Proxy, region: Region) -> Target:
        """Cut the region out of a proxy and find points to track in it."""
        box = region.rows_and_columns
        valid = np.ascontiguousarray(proxy.valid[box])
        levels = np.ascontiguousarray(proxy.levels[box])
        inner = cv2.erode(
            valid, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=255
        )
        points = corners_of(levels, np.asarray(inner, np.uint8), _REFINE_POINTS)
        return cls(proxy, region, levels, valid > 0, proxy.hole[box], points)


@dataclass(frozen=True)
class Alignment:
    """One source as seen from the target's region by one of its planes.

    All arrays have the region's shape.

    ``place`` (h, w, 2) holds source proxy coordinates (x, y); ``usable`` is where the source
    shows background; ``levels`` is its luma brought to the target's exposure; ``error`` (in
    stops) is measured round the hole and completed inside; ``gain`` measures log2 of the
    factor from the source's light to the target's, (h/2, w/2, 3): only sources that are taken
    need it. ``nearness`` (h, w) grows towards the
    camera, where depth was measured; None for a plane.
    """

    frame: int
    plane: int
    place: Floats
    usable: Mask
    levels: Floats
    error: Floats
    gain: Callable[[], Floats]
    sharpness: float
    nearness: Floats | None = None


@dataclass(frozen=True)
class Way:
    """How to come from the target to a source: the chain's matrix of one plane.

    ``alone``: the target has no other plane, so what the plane cannot explain is relief.
    ``place``: where each pixel of the region lies on the source, when that is known and
    nothing is to be estimated.
    """

    source: Proxy
    matrix: Matrix
    plane: int = 0
    alone: bool = True
    place: Floats | None = None


def align(target: Target, way: Way, kit: Kit) -> Alignment | None:
    """Align a source to ``target``, starting at the chain's matrix.

    Returns None when the source shows nothing of the region.
    """
    region = target.region
    local = way.matrix @ region.offset
    seen, usable = _seen(way.source, local, region.size, kit)
    if not usable.any():
        return None
    seen = _exposed_as(target, seen, usable)
    if way.place is not None:
        shape = way.place.shape
        back = moved(np.asarray(np.linalg.inv(local), np.float64), way.place.reshape(-1, 2))
        known = back.reshape(shape) - grid_of(*shape[:2])
        return _assembled(target, way, local, (seen, usable), known, kit)
    motion = kit.options.motion
    if motion is not Motion.NONE:
        refined = _refined(target, seen, usable, local, motion)
        if refined is not None:
            again, again_usable = _seen(way.source, refined, region.size, kit)
            again = _exposed_as(target, again, again_usable)
            if _mismatch(target, again, again_usable) <= _mismatch(target, seen, usable):
                local, seen, usable = refined, again, again_usable
    flow = _residual_flow(target, seen, usable, way.alone, kit)
    return _assembled(target, way, local, (seen, usable), flow, kit)


def _seen(source: Proxy, local: Matrix, size: tuple[int, int], kit: Kit) -> tuple[Bytes, Mask]:
    valid = kit.device.warped(source.valid, local, size)
    return kit.device.warped(source.levels, local, size), valid > 254


def _exposed_as(target: Target, seen: Bytes, usable: Mask) -> Bytes:
    both = usable & target.known
    if int(both.sum()) < 16:
        return seen
    exposed = seen.astype(np.float32) + np.float32(offset_of(target.levels, seen, both))
    return np.asarray(np.clip(exposed, 0.0, 255.0), np.uint8)


def offset_of(levels: Bytes, seen: Bytes | Floats, both: Mask) -> float:
    """Return the median of how much ``levels`` are over ``seen`` on a sample of ``both``."""
    some = np.flatnonzero(both)
    some = some[:: max(1, len(some) // _FEW)]
    apart = levels.ravel()[some].astype(np.float32) - seen.ravel()[some]
    return float(np.median(apart)) if len(some) else 0.0


def _mismatch(target: Target, seen: Bytes, usable: Mask) -> float:
    both = usable & target.known
    if int(both.sum()) < 16:
        return float("inf")
    difference = np.abs(target.levels[both].astype(np.float32) - seen[both])
    # Far outliers are other layers of the scene; they must not decide over the plane.
    return float(np.minimum(difference, LEVELS_PER_STOP / 2).mean())


def _refined(
    target: Target, seen: Bytes, usable: Mask, local: Matrix, motion: Motion
) -> Matrix | None:
    # A chain drifts by little; what moves further belongs to another plane.
    before, after = track(target.levels, seen, target.points, _LITTLE_PAINS, _REFINE_PX)
    if len(after) == 0:
        return None
    rows = np.clip(np.rint(after[:, 1]).astype(np.int64), 0, usable.shape[0] - 1)
    columns = np.clip(np.rint(after[:, 0]).astype(np.int64), 0, usable.shape[1] - 1)
    good = usable[rows, columns]
    correction = fit(before[good], after[good], motion, target.levels.shape)
    if correction is None or not is_sane(correction, *target.region.size):
        return None
    return np.asarray(local @ correction, np.float64)


def grid_of(height: int, width: int) -> Floats:
    """Return the places (x, y) of the pixels of a picture, (h, w, 2)."""
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return np.dstack([columns, rows])


def _has_relief(target: Target, seen: Bytes, usable: Mask) -> bool:
    """Whether a plane leaves more unexplained than grain, short of another plane."""
    both = target.known & usable
    count = int(both.sum())
    if count == 0:
        return False
    error = cv2.blur(cv2.absdiff(target.levels, seen), (9, 9))
    low, high = (stops * LEVELS_PER_STOP for stops in _RELIEF_STOPS)
    return int(((error > low) & (error < high) & both).sum()) > _RELIEF_SHARE * count


def unexplained(target: Target, aligned: Sequence[Alignment]) -> bool:
    """Whether planes leave things in the picture that are elsewhere, small ones too.

    A pixel is explained by a source when any of its planes puts it there. One source that is
    not explained is enough: from a near one things have hardly moved.
    """
    shares = []
    for frame in sorted({one.frame for one in aligned}):
        own = [one for one in aligned if one.frame == frame]
        known = target.known & np.all([one.usable for one in own], axis=0)
        apart = np.min([np.abs(target.levels - one.levels) for one in own], axis=0)
        error = cv2.blur((apart * known).astype(np.float32), (9, 9))
        off = int((error > _RELIEF_STOPS[0] * LEVELS_PER_STOP)[known].sum())
        shares.append(off / max(1, int(known.sum())))
    return max(shares, default=0.0) > _UNEXPLAINED_SHARE


def _residual_flow(
    target: Target, seen: Bytes, usable: Mask, alone: bool, kit: Kit
) -> Floats | None:
    """Return the flow from the region to ``seen``, completed under both mattes.

    None: the plane explains everything that the flow would.
    """
    if kit.options.motion is not Motion.DENSE or min(target.levels.shape) < LEAST_SIDE_PX:
        return None
    if not alone or not _has_relief(target, seen, usable):
        return None
    # Where only one of the two shows background, both show it: no object, no false motion.
    first = np.where(target.known | ~usable, target.levels, seen)
    second = np.where(usable, seen, first)
    flow, back = kit.flow.between(first, second), kit.flow.between(second, first)
    followed = kit.device.followed
    grid = grid_of(*target.levels.shape)
    round_trip = flow + followed(back, grid + flow)
    measured = cv2.erode((target.known & usable).astype(np.uint8), np.ones((5, 5), np.uint8))
    trusted = (measured > 0) & (np.hypot(round_trip[..., 0], round_trip[..., 1]) < _ROUND_TRIP_PX)
    if not alone:
        # With several planes, large flow is another plane, not relief of this one.
        trusted &= np.hypot(flow[..., 0], flow[..., 1]) < _RELIEF_PX
    if not trusted.any():
        return None
    plane_error = cv2.blur(cv2.absdiff(first, second).astype(np.float32), (9, 9))
    moved_error = np.abs(first.astype(np.float32) - followed(second, grid + flow))
    better = cv2.blur(moved_error, (9, 9)) < _FLOW_GAIN * plane_error - 0.3
    if not (better & trusted).any():
        return None
    keep = cv2.blur((better & trusted).astype(np.float32), (9, 9))
    completed = kit.device.pull_push(flow * keep[..., None], trusted.astype(np.float32))
    return np.asarray(cv2.GaussianBlur(completed, (0, 0), 1.5), np.float32)


def _assembled(
    target: Target,
    way: Way,
    local: Matrix,
    view: tuple[Bytes, Mask],
    flow: Floats | None,
    kit: Kit,
) -> Alignment:
    seen, usable = view
    height, width = target.levels.shape
    place = grid_of(height, width)
    levels = seen.astype(np.float32)
    if flow is not None:
        place = place + flow
        levels = kit.device.followed(seen, place)
        usable = kit.device.followed(usable.astype(np.float32), place) > 0.99
    mapped = moved(local, place.reshape(-1, 2)).reshape(height, width, 2)
    both = (usable & target.known).astype(np.float32)
    difference = np.abs(target.levels - levels) / np.float32(LEVELS_PER_STOP)
    error = kit.device.membrane(np.minimum(difference, np.float32(2.0)), both, 4)
    return Alignment(
        frame=way.source.frame,
        plane=way.plane,
        place=mapped,
        usable=usable,
        levels=levels,
        error=error,
        gain=partial(log_gain, target.proxy, target.region, way.source, mapped, both, error, kit),
        sharpness=float(np.sqrt(abs(np.linalg.det(local[:2, :2] / local[2, 2])))),
    )
