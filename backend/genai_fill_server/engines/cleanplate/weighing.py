"""Which of the aligned sources each missing pixel is taken from.

One source a pixel, never an average of differing content. The cost of a source is what is
known of it round the hole, how far it stands from what most sources say inside it, its
distance in time and its sharpness. Costs are smoothed and labels drawn together, so that
regions are whole and stay whole from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.alignment import Alignment, Mask, Target
from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP, Floats
from genai_fill_server.engines.cleanplate.waves import Runner, bands, one_by_one
from genai_fill_server.engines.cleanplate.weighing_kernels import label, lower_median, middle_of

UNUSABLE = np.float32(1e3)
_TIME_COST = 0.006
_MOVED_LIGHT_COST = 0.15
"""What a frame of distance costs, in stops, where light moved. With less than half of that far
sources win again; with a third more near ones win that are wrong."""

_AS_GOOD, _SHADES_APART = np.float32(0.2), (np.float32(0.1), np.float32(0.3))
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
_NEIGHBOUR_PX = 4
_NEAR_PX = 24
ALONE_STOPS = np.float32(0.1)
TEXTURE_WORTH = np.float32(0.75)


def choose(
    target: Target, aligned: Sequence[Alignment], device: Device, run: Runner = one_by_one
) -> Floats:
    """Return the weight of each source at each pixel of the region, (n, h, w).

    Only what lies near the hole is weighed; elsewhere weights are 0.
    """
    near = _near(target.hole)
    cut = [_cut(source, near) for source in aligned]
    price = costs(target, cut, device, run)
    weights = np.zeros((len(aligned), *target.hole.shape), np.float32)
    weights[:, *near] = device.weighed(price, [a.plane for a in aligned], run)
    return weights


def _near(hole: Mask) -> tuple[slice, slice]:
    """Return the box round the hole with what smoothing looks at; all of it if there is none."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if len(rows) == 0:
        return slice(None), slice(None)
    return (
        slice(max(0, int(rows[0]) - _NEAR_PX), int(rows[-1]) + 1 + _NEAR_PX),
        slice(max(0, int(columns[0]) - _NEAR_PX), int(columns[-1]) + 1 + _NEAR_PX),
    )


def _cut(source: Alignment, box: tuple[slice, slice]) -> Alignment:
    near = None if source.nearness is None else source.nearness[box]
    return replace(
        source,
        place=source.place[box],
        usable=source.usable[box],
        levels=source.levels[box],
        error=source.error[box],
        nearness=near,
    )


def costs(
    target: Target, aligned: Sequence[Alignment], device: Device, run: Runner = one_by_one
) -> Floats:
    """Return the cost of each source at each pixel, (n, h, w), in stops of error."""
    shades = run([partial(_shade_of, source) for source in aligned])
    away = _disagreement(aligned, shades, device, run)
    hidden = _hidden(aligned, run)
    price = np.empty((len(aligned), *aligned[0].levels.shape), np.float32)

    def add_up(index: int) -> None:
        source = aligned[index]
        distance = abs(source.frame - target.proxy.frame)
        blur = _BLUR_COST * max(0.0, 1.0 - source.sharpness)
        own = source.error + away[index]
        own += np.float32(_TIME_COST * distance + blur)
        own += hidden[index]
        own[~source.usable] = UNUSABLE
        price[index] = own

    run([partial(add_up, index) for index in range(len(aligned))])
    moved = _moved_light(price, shades)

    def hold_to_near(index: int) -> None:
        distance = abs(aligned[index].frame - target.proxy.frame)
        price[index] += np.float32(_MOVED_LIGHT_COST * distance) * moved

    run([partial(hold_to_near, index) for index in range(len(aligned))])
    return price


def _moved_light(price: Floats, shades: Sequence[Floats]) -> Floats:
    """Return from 0 to 1 where light moved between sources (n, h, w) that cost as good as the same.

    They show the same thing under other light: a shadow or a highlight wandered over it. What
    is round the hole need not tell which is right, but light moves steadily: the nearest in time.
    """
    as_good = price < price.min(axis=0) + _AS_GOOD
    least = np.full(price.shape[1:], np.inf, np.float32)
    most = np.full(price.shape[1:], -np.inf, np.float32)
    for own, shade in zip(as_good, shades, strict=True):
        np.minimum(least, shade, out=least, where=own)
        np.maximum(most, shade, out=most, where=own)
    apart = _blurred((most - least) / np.float32(LEVELS_PER_STOP), _NEIGHBOUR_PX)
    low, high = _SHADES_APART
    return np.asarray(np.clip((apart - low) / (high - low), 0.0, 1.0), np.float32)


def _blurred(plane: Floats, px: int) -> Floats:
    return np.asarray(cv2.blur(plane, (2 * px + 1, 2 * px + 1)), np.float32)


def _disagreement(
    aligned: Sequence[Alignment], shades: Sequence[Floats], device: Device, run: Runner
) -> list[Floats]:
    """Return for each source how far (stops) it stands from what others say, smoothed.

    Sources are compared within one plane: on the right one all frames show the same thing
    behind the hole, on a wrong one each shows something else. That is plane-sweep stereo
    (R. Collins, CVPR 1996) where the target itself cannot be seen. Agreement on nothing, such
    as sky, proves nothing, so agreement counts by how much there is to agree on.
    """
    away: list[Floats] = [np.zeros(0, np.float32)] * len(aligned)
    several = len({a.plane for a in aligned}) > 1
    # A shadow that wanders sets the one source that has it right apart from all others; a
    # wrong place does that to edges and texture, too. So most of what varies slowly is left out.
    bare = [one.levels - _SHADE_SHARE * shade for one, shade in zip(aligned, shades, strict=True)]
    for plane in sorted({a.plane for a in aligned}):
        own = [i for i, a in enumerate(aligned) if a.plane == plane]
        levels = np.stack([bare[i] for i in own])
        usable = np.stack([aligned[i].usable for i in own])
        odds = device.apart(levels, usable, several, run)
        # How well a plane's sources agree judges the plane; how one differs from them may be
        # light, and then the error round the hole knows better.
        most = np.full(levels.shape[1:], np.inf, np.float32)
        for odd, shown in zip(odds, usable, strict=True):
            np.minimum(most, odd, out=most, where=shown)
        most += _ODD_MOST
        for index, odd in zip(own, odds, strict=True):
            away[index] = np.minimum(odd, most)
    return away


def _shade_of(source: Alignment) -> Floats:
    """Return what varies slowly of a source's levels, (h, w)."""
    shown = source.usable.astype(np.float32)
    mass = np.maximum(_blurred(shown, _SHADE_PX), np.float32(1e-2))
    shade = _blurred(np.asarray(source.levels * shown, np.float32), _SHADE_PX) / mass
    return np.asarray(shade, np.float32)


def apart(levels: Floats, usable: Mask, several: bool, run: Runner = one_by_one) -> Floats:
    """Return the distance (stops) of each source to the median of all, smoothed, (n, h, w).

    ``levels`` (n, h, w) are lumas at the target's exposure, ``usable`` where they hold.
    With ``several`` planes to choose from, less what texture there is.

    With two sources neither is the odd one; both get half of their difference. A source
    alone at a pixel gets what a middling disagreement would be: it is not known to be right.
    ``run`` may share the work out, and changes no bit.
    """
    levels, usable = np.ascontiguousarray(levels), np.ascontiguousarray(usable)
    shape = levels.shape[1:]
    middle, count = np.empty(shape, np.float32), np.empty(shape, np.int32)
    run(
        [
            partial(middle_of, levels, usable, rows.start, rows.stop, middle, count)
            for rows in bands(shape[0])
        ]
    )
    texture = _texture(middle, count > 1) if several else np.float32(0.0)
    away = np.empty_like(levels)

    def measure(index: int) -> None:
        shared = usable[index] & (count > 1)
        difference = np.where(shared, np.abs(levels[index] - middle), np.float32(0.0))
        mass = _blurred(shared.astype(np.float32), 3)
        smooth = _blurred(difference, 3)
        smooth /= np.maximum(mass, np.float32(1e-3)) * np.float32(LEVELS_PER_STOP)
        smooth -= texture
        away[index] = np.where(mass > 0.05, smooth, ALONE_STOPS)

    run([partial(measure, index) for index in range(len(levels))])
    return away


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


def _hidden(aligned: Sequence[Alignment], run: Runner) -> list[Floats | np.float32]:
    """Return what it costs a source to show something else than the nearest thing known.

    Behind a near thing sources that see past it agree perfectly well. A plane, which may or
    may not hold at a pixel, gives way to measured depth wherever there is some that leads
    elsewhere; where both lead to the same place, the plane is the more exact.
    """
    deep = [(a.usable, a.nearness) for a in aligned if a.nearness is not None]
    if not deep:
        return [np.float32(0.0)] * len(aligned)
    smooth = run([partial(_nearest_of, usable, near) for usable, near in deep])
    nearest, seen = smooth[0], deep[0][0]
    for near, (usable, _) in zip(smooth[1:], deep[1:], strict=True):
        nearest, seen = np.maximum(nearest, near), seen | usable
    doubt = _doubt(aligned, run)
    guessed = {
        plane: np.where(seen, _GUESSED_COST * doubt.get(plane, np.float32(1.0)), np.float32(0.0))
        for plane in {a.plane for a in aligned if a.nearness is None}
    }

    def behind(source: Alignment) -> Floats:
        if source.nearness is None:
            return guessed[source.plane]
        far = np.clip((nearest - source.nearness) / _SAME_DEPTH - 1.0, 0.0, 1.0)
        return np.where(source.usable, _HIDDEN_COST * far, np.float32(0.0)).astype(np.float32)

    return list(run([partial(behind, source) for source in aligned]))


def _nearest_of(usable: Mask, nearness: Floats) -> Floats:
    known = np.where(usable, nearness, np.float32(-np.inf))
    return np.asarray(cv2.medianBlur(known, 3), np.float32)


def _doubt(aligned: Sequence[Alignment], run: Runner) -> dict[int, Floats]:
    """Return by plane how doubtful it is at each pixel (h, w), 0 to 1.

    It is where depth leads elsewhere, in the middle of the frames that have both.
    """
    by_depth = {a.frame: a for a in aligned if a.nearness is not None}
    pairs: dict[int, list[tuple[Alignment, Alignment]]] = {}
    for one in aligned:
        if one.nearness is None and one.frame in by_depth:
            pairs.setdefault(one.plane, []).append((one, by_depth[one.frame]))
    found = run([partial(_doubtful, own) for own in pairs.values()])
    return dict(zip(pairs, found, strict=True))


def _doubtful(pairs: Sequence[tuple[Alignment, Alignment]]) -> Floats:
    """Return how doubtful a plane is, of its alignments and those of the same frames by depth."""
    shape = pairs[0][0].levels.shape
    gaps, middle = np.empty((len(pairs), *shape), np.float32), np.empty(shape, np.float32)
    for gap, (one, other) in zip(gaps, pairs, strict=True):
        away = one.place - other.place
        cv2.magnitude(np.ascontiguousarray(away[..., 0]), np.ascontiguousarray(away[..., 1]), gap)
        gap[~(one.usable & other.usable)] = _FAR_PX
    np.minimum(gaps, _FAR_PX, out=gaps)
    lower_median(gaps, 0, shape[0], _FAR_PX, middle)
    doubtful = (cv2.medianBlur(middle, 3) - _SAME_PLACE_PX) / np.float32(1.0)
    return np.asarray(np.clip(doubtful, 0.0, 1.0), np.float32)


def weighed(own_price: Floats, planes: Sequence[int], run: Runner = one_by_one) -> Floats:
    """Return weights (n, h, w) of sources that cost ``own_price`` (n, h, w, of `costs`).

    ``planes`` are the planes of the sources. Weights are 0 or 1 except in a narrow band where
    two sources meet; their sum is 0 where no source shows the pixel. ``run`` may share the
    work out, and changes no bit.
    """
    own_price = np.ascontiguousarray(own_price)
    shape, none = own_price.shape[1:], np.full(len(own_price), -1, np.int64)
    numbers = sorted(set(planes))
    of_source = np.array([numbers.index(plane) for plane in planes], np.int64)
    labels = np.zeros(shape, np.int32)
    nothing = np.zeros((0, *shape), np.float32)

    def draw(
        alike: Floats, places: npt.NDArray[np.int64], plane_alike: Floats, costly: bool
    ) -> None:
        where = of_source if len(plane_alike) else none
        own, plane = np.float32(NEIGHBOUR_COST * costly), np.float32(PLANE_COST)
        given = (own_price, alike, places, plane_alike, where)
        run(
            [
                partial(label, *given, rows.start, rows.stop, own, plane, labels)
                for rows in bands(shape[0])
            ]
        )

    draw(nothing, none, nothing, False)
    for _ in range(ROUNDS):
        alike, places = _shares(labels, len(own_price), run)
        plane_alike = _plane_shares(of_source[labels], len(numbers), run)
        draw(alike, places, plane_alike if len(numbers) > 1 else nothing, True)
    return _softened(labels, own_price < UNUSABLE, run)


def _shares(
    labels: npt.NDArray[np.int32], count: int, run: Runner
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return how much of what is round each pixel has each label that there is, and where it is."""
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=count))
    alike = np.empty((len(present), *labels.shape), np.float32)

    def share(place: int) -> None:
        own = (labels == present[place]).astype(np.float32)
        side = 2 * _NEIGHBOUR_PX + 1
        cv2.blur(own, (side, side), alike[place])

    run([partial(share, place) for place in range(len(present))])
    places = np.full(count, -1, np.int64)
    places[present] = np.arange(len(present))
    return alike, places


def _plane_shares(planes: npt.NDArray[np.int64], count: int, run: Runner) -> Floats:
    """Return how much of what is round each pixel (h, w) has each plane's number, (n, h, w)."""

    def share(plane: int) -> Floats:
        return _blurred((planes == plane).astype(np.float32), PLANE_PX)

    return np.stack(run([partial(share, plane) for plane in range(count)]))


def _softened(labels: npt.NDArray[np.int32], allowed: Mask, run: Runner) -> Floats:
    """Return weights (n, h, w) that change over a pixel or two where two labels meet."""
    weights = np.zeros(allowed.shape, np.float32)

    def soften(index: int) -> None:
        own = (labels == index) & allowed[index]
        if own.any():
            weights[index] = _blurred(own.astype(np.float32), 1)
            weights[index][~allowed[index]] = 0.0

    run([partial(soften, index) for index in range(len(weights))])
    total = weights.sum(axis=0)
    weights /= np.maximum(total, np.float32(1e-6))
    weights *= total > 0
    return weights
