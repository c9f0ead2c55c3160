"""Which source each missing pixel is taken from.

One source a pixel, never an average of differing content. The cost of a source is what is
known of it round the hole, how far it stands from what most sources say inside it, its
distance in time and its sharpness. Costs are smoothed and labels drawn together, so that
regions are whole and stay whole from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.alignment import Alignment, Mask, Target
from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Floats
from genai_fill_server.engines.cleanplate.motion import warped
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import Region

UNUSABLE = np.float32(1e3)
_TIME_COST = 0.006
_BLUR_COST = 0.5

_ODD_MOST = np.float32(0.15)
_SHADE_PX = 10
_SHADE_SHARE = np.float32(0.7)
_GUESSED_COST = np.float32(0.2)
_HIDDEN_COST = np.float32(0.4)
_SAME_DEPTH = np.float32(0.15)
_SAME_PLACE_PX = np.float32(0.5)
_FAR_PX = np.float32(99.0)
NEIGHBOUR_COST = 0.03
PLANE_COST = 0.2
PLANE_PX = 12
ROUNDS = 3
_COVERAGE_STEP = 4
_SPREAD_STEPS = (1, 2, 4, 7, 11)
_WANTED_PER_PIXEL = 3
ALONE_STOPS = np.float32(0.1)
TEXTURE_WORTH = np.float32(0.75)


@dataclass(frozen=True)
class Candidate:
    """A frame in reach and the chain's matrices to it, one a plane of the target.

    The first is the dominant plane's and always there.
    """

    proxy: Proxy
    matrices: tuple[Matrix | None, ...]

    @property
    def main(self) -> Matrix:
        """The dominant plane's matrix."""
        matrix = self.matrices[0]
        if matrix is None:
            raise ValueError("the dominant plane is never lost")
        return matrix


def coverage_of_planes(region: Region, hole: Mask, candidate: Candidate) -> Mask:
    """Return `coverage` of every plane, one after the other, shape (planes * n,).

    A frame that shows the backdrop behind the hole may still hide what stands before it.
    """
    shown = [coverage(region, hole, candidate)]
    for matrix in candidate.matrices[1:]:
        if matrix is None:
            shown.append(np.zeros_like(shown[0]))
        else:
            shown.append(coverage(region, hole, Candidate(candidate.proxy, (matrix,))))
    return np.concatenate(shown)


def coverage(region: Region, hole: Mask, candidate: Candidate) -> Mask:
    """Return which pixels of a coarse grid over the hole the candidate can show, shape (n,).

    Its main plane decides. The grid has every fourth pixel of the region; ``hole`` is already
    reduced to it.
    """
    width, height = region.size
    scale = np.diag([float(_COVERAGE_STEP), float(_COVERAGE_STEP), 1.0])
    size = (-(-width // _COVERAGE_STEP), -(-height // _COVERAGE_STEP))
    valid = warped(
        candidate.proxy.valid, candidate.main @ region.offset @ scale, size, linear=False
    )
    return np.asarray(valid[hole] > 0, np.bool_)


def coarse_hole(hole: Mask) -> Mask:
    """Return the hole on the grid of `coverage`; a hole too small for it keeps one pixel."""
    coarse = hole[::_COVERAGE_STEP, ::_COVERAGE_STEP]
    if coarse.any():
        return coarse
    rows, columns = np.nonzero(hole)
    coarse = np.zeros_like(coarse)
    coarse[rows[0] // _COVERAGE_STEP, columns[0] // _COVERAGE_STEP] = True
    return coarse


def best_frames(
    frame: int, candidates: Sequence[Candidate], shown: Sequence[Mask], limit: int
) -> list[int]:
    """Return indices of at most ``limit`` candidates that together show the hole well.

    Greedy: each step takes the one that adds most pixels not yet shown three times, near
    frames first. Returned nearest first.
    """
    if not candidates:
        return []
    counts = np.zeros(len(shown[0]), np.float32)
    worth = np.array([1.0, 0.35, 0.2], np.float32)
    left = set(range(len(candidates)))
    chosen: list[int] = []
    while left and len(chosen) < limit:
        value_of = np.where(
            counts < _WANTED_PER_PIXEL, worth[np.minimum(counts, 2).astype(np.int64)], 0.0
        )
        scores = {
            index: float(value_of[shown[index]].sum())
            * float(np.exp(-abs(candidates[index].proxy.frame - frame) / 16.0))
            for index in left
        }
        best = max(sorted(left), key=lambda index: scores[index])
        if scores[best] < 0.002 * len(counts) and (scores[best] <= 0.0 or chosen):
            break
        chosen.append(best)
        left.discard(best)
        counts += shown[best]
    return sorted(chosen, key=lambda i: abs(candidates[i].proxy.frame - frame))


def spread_frames(frame: int, candidates: Sequence[Candidate], chosen: Sequence[int]) -> list[int]:
    """Return indices of candidates beside ``chosen``, spread over time to both sides.

    For shots in which a plane cannot tell what a frame will show: things stand before each
    other, shadows wander. Near frames have the same light, far ones see round things.
    """
    by_frame = {one.proxy.frame: index for index, one in enumerate(candidates)}
    wanted = [frame + side * step for step in _SPREAD_STEPS for side in (-1, 1)]
    return [by_frame[n] for n in wanted if n in by_frame and by_frame[n] not in chosen]


def _blurred(plane: Floats, px: int) -> Floats:
    return np.asarray(cv2.blur(plane, (2 * px + 1, 2 * px + 1)), np.float32)


def _disagreement(aligned: Sequence[Alignment], device: Device) -> list[Floats]:
    """Return for each source how far (stops) it stands from what others say, smoothed.

    Sources are compared within one plane: on the right one all frames show the same thing
    behind the hole, on a wrong one each shows something else. That is plane-sweep stereo
    (R. Collins, CVPR 1996) where the target itself cannot be seen. Agreement on nothing, such
    as sky, proves nothing, so agreement counts by how much there is to agree on.
    """
    away: list[Floats] = [np.zeros(0, np.float32)] * len(aligned)
    several = len({a.plane for a in aligned}) > 1
    for plane in sorted({a.plane for a in aligned}):
        own = [i for i, a in enumerate(aligned) if a.plane == plane]
        levels = np.stack([_without_shade(aligned[i]) for i in own])
        usable = np.stack([aligned[i].usable for i in own])
        odds = device.apart(levels, usable, several)
        # How well a plane's sources agree judges the plane; how one differs from them may be
        # light, and then the error round the hole knows better.
        most = np.where(usable, odds, np.inf).min(axis=0) + _ODD_MOST
        for index, odd in zip(own, odds, strict=True):
            away[index] = np.minimum(odd, most).astype(np.float32)
    return away


def _without_shade(source: Alignment) -> Floats:
    """Return a source's levels less most of what varies slowly.

    A shadow that wanders sets the one source that has it right apart from all others; a
    wrong place does that to edges and texture, too.
    """
    shown = source.usable.astype(np.float32)
    mass = np.maximum(_blurred(shown, _SHADE_PX), np.float32(1e-2))
    shade = _blurred(np.asarray(source.levels * shown, np.float32), _SHADE_PX) / mass
    return np.asarray(source.levels - _SHADE_SHARE * shade, np.float32)


def apart(levels: Floats, usable: Mask, several: bool) -> Floats:
    """Return the distance (stops) of each source to the median of all, smoothed, (n, h, w).

    ``levels`` (n, h, w) are lumas at the target's exposure, ``usable`` where they hold.
    With ``several`` planes to choose from, less what texture there is.

    With two sources neither is the odd one; both get half of their difference. A source
    alone at a pixel gets what a middling disagreement would be: it is not known to be right.
    """
    stack = np.where(usable, levels, np.float32(np.nan))
    known = np.isfinite(stack)
    ordered = np.sort(stack, axis=0)
    count = known.sum(axis=0)
    top = len(stack) - 1
    low = np.take_along_axis(ordered, (np.maximum(count - 1, 0) // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, (count // 2).clip(max=top)[None], axis=0)[0]
    middle = (0.5 * (low + high)).astype(np.float32)
    texture = _texture(np.nan_to_num(middle), count > 1) if several else np.float32(0.0)
    away: list[Floats] = []
    for plane, mask in zip(stack, known, strict=True):
        shared = mask & (count > 1)
        difference = np.where(shared, np.abs(plane - middle), 0.0).astype(np.float32)
        mass = _blurred(shared.astype(np.float32), 3)
        smooth = _blurred(difference, 3) / np.maximum(mass, np.float32(1e-3))
        smooth = np.where(mass > 0.05, smooth / np.float32(LEVELS_PER_STOP), ALONE_STOPS)
        smooth -= np.where(mass > 0.05, texture, np.float32(0.0))
        away.append(smooth.astype(np.float32))
    return np.stack(away)


def _texture(levels: Floats, known: Mask) -> Floats:
    """Return the local mean slope of ``levels`` in stops a pixel, weighted, at most a quarter.

    That is what sources would disagree by if the plane were wrong by a pixel between them.
    """
    slope_x = cv2.Sobel(levels, cv2.CV_32F, 1, 0, ksize=3) / 8.0
    slope_y = cv2.Sobel(levels, cv2.CV_32F, 0, 1, ksize=3) / 8.0
    inner = cv2.erode(known.astype(np.float32), np.ones((3, 3), np.uint8))
    slope = np.asarray(np.hypot(slope_x, slope_y) * inner, np.float32)
    mass = np.maximum(_blurred(np.asarray(inner, np.float32), 3), np.float32(1e-2))
    mean = _blurred(slope, 3) / mass / np.float32(LEVELS_PER_STOP)
    return np.asarray(TEXTURE_WORTH * np.minimum(mean, 0.25), np.float32)


def costs(target: Target, aligned: Sequence[Alignment], device: Device) -> Floats:
    """Return the cost of each source at each pixel, (n, h, w), in stops of error."""
    away = _disagreement(aligned, device)
    hidden = _hidden(aligned)
    planes = []
    for source, odd, behind in zip(aligned, away, hidden, strict=True):
        distance = abs(source.frame - target.proxy.frame)
        blur = _BLUR_COST * max(0.0, 1.0 - source.sharpness)
        plane = source.error + odd + np.float32(_TIME_COST * distance + blur) + behind
        planes.append(np.where(source.usable, plane, UNUSABLE).astype(np.float32))
    return np.stack(planes)


def _hidden(aligned: Sequence[Alignment]) -> list[Floats | np.float32]:
    """Return what it costs a source to show something else than the nearest thing known.

    Behind a near thing sources that see past it agree perfectly well. A plane, which may or
    may not hold at a pixel, gives way to measured depth wherever there is some that leads
    elsewhere; where both lead to the same place, the plane is the more exact.
    """
    deep = [(a.usable, a.nearness) for a in aligned if a.nearness is not None]
    if not deep:
        return [np.float32(0.0)] * len(aligned)
    seen = np.any([usable for usable, _ in deep], axis=0)
    nearness = [np.where(usable, near, -np.inf).astype(np.float32) for usable, near in deep]
    nearest = np.max([cv2.medianBlur(near, 3) for near in nearness], axis=0)
    doubt = _doubt(aligned)
    found: list[Floats | np.float32] = []
    for source in aligned:
        if source.nearness is None:
            guessed = _GUESSED_COST * doubt.get(source.plane, np.float32(1.0))
            found.append(np.where(seen, guessed, 0.0).astype(np.float32))
            continue
        behind = np.clip((nearest - source.nearness) / _SAME_DEPTH - 1.0, 0.0, 1.0)
        found.append(np.where(source.usable, _HIDDEN_COST * behind, 0.0).astype(np.float32))
    return found


def _doubt(aligned: Sequence[Alignment]) -> dict[int, Floats]:
    """Return by plane how doubtful it is at each pixel (h, w), 0 to 1.

    It is where depth leads elsewhere, in the middle of the frames that have both.
    """
    by_depth = {a.frame: a for a in aligned if a.nearness is not None}
    gaps: dict[int, list[Floats]] = {}
    for one in aligned:
        if one.nearness is None and one.frame in by_depth:
            other = by_depth[one.frame]
            apart_px = np.hypot(*np.moveaxis(one.place - other.place, -1, 0))
            both = one.usable & other.usable
            gaps.setdefault(one.plane, []).append(
                np.where(both, np.minimum(apart_px, _FAR_PX), _FAR_PX).astype(np.float32)
            )
    found: dict[int, Floats] = {}
    for plane, own in gaps.items():
        middle = np.ascontiguousarray(_middle_of_known(np.stack(own)))
        doubtful = (cv2.medianBlur(middle, 3) - _SAME_PLACE_PX) / np.float32(1.0)
        found[plane] = np.clip(doubtful, 0.0, 1.0).astype(np.float32)
    return found


def _middle_of_known(gaps: Floats) -> Floats:
    """Return the lower median over the first axis of what is not `_FAR_PX`; that, where all is."""
    ordered = np.sort(gaps, axis=0)
    known = (gaps < _FAR_PX).sum(axis=0)
    middle = np.maximum(known - 1, 0) // 2
    return np.asarray(np.take_along_axis(ordered, middle[None], axis=0)[0], np.float32)


def choose(target: Target, aligned: Sequence[Alignment], device: Device) -> Floats:
    """Return the weight of each source at each pixel of the region, (n, h, w)."""
    return device.weighed(costs(target, aligned, device), [a.plane for a in aligned])


def weighed(own_price: Floats, planes: Sequence[int]) -> Floats:
    """Return weights (n, h, w) of sources that cost ``own_price`` (n, h, w, of `costs`).

    ``planes`` are the planes of the sources. Weights are 0 or 1 except in a narrow band where
    two sources meet; their sum is 0 where no source shows the pixel.
    """
    allowed = own_price < UNUSABLE
    price = own_price.copy()
    for _ in range(ROUNDS):
        labels = np.argmin(price, axis=0)
        for index in range(len(price)):
            alike = _blurred((labels == index).astype(np.float32), 4)
            price[index] = own_price[index] + np.float32(NEIGHBOUR_COST) * (1.0 - alike)
        if len(set(planes)) > 1:
            for plane in set(planes):
                own = [i for i, p in enumerate(planes) if p == plane]
                alike = _blurred(np.isin(labels, own).astype(np.float32), PLANE_PX)
                price[own] += np.float32(PLANE_COST) * (1.0 - alike)
    labels = np.argmin(price, axis=0)
    weights = np.zeros_like(price)
    for index in range(len(price)):
        own = ((labels == index) & allowed[index]).astype(np.float32)
        soft = _blurred(own, 1)
        weights[index] = np.where(allowed[index], soft, 0.0)
    total = weights.sum(axis=0)
    return np.asarray(weights / np.maximum(total, 1e-6) * (total > 0), np.float32)


def seen_by_any(aligned: Sequence[Alignment]) -> npt.NDArray[np.bool_]:
    """Return where at least one source shows background, (h, w)."""
    return np.asarray(np.any([a.usable for a in aligned], axis=0), np.bool_)
