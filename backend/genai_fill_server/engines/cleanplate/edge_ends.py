"""Where edges of the picture run into a hole: place, direction and cross-section of each.

Edges are read off the structure tensor (W. Foerstner, E. Guelch, ISPRS Intercommission
Workshop 1987) along a contour just outside the hole and followed outwards for some pixels.
What cannot be followed is texture, and is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

HALF_WIDTH = 5
"""A cross-section reaches this many pixels to either side of its edge."""

MOST_ENDS = 160
_CONTOUR_PX = 3.0
_LEAST_SLOPE = 0.03
_COHERENT, _STILL_COHERENT = 0.5, 0.4
_FADED = 0.4
_STEEPEST = 0.3
_LONGEST_PX = 14
_LEAST_PX, _LEAST_PX_WHEN_STRONG = 5, 3
_STRONG = 3.0
_SECTION_PX = 8
_LEAST_TURN = 0.8


@dataclass(frozen=True)
class End:
    """One edge at the rim of a hole.

    ``place`` (x, y) in pixels, ``way`` the unit vector along the edge into the hole,
    ``section`` (2 * `HALF_WIDTH` + 1, 3) the mean colours across the edge, from its left (in
    the direction of ``way``, y down: ``(-way.y, way.x)`` is positive) to its right, and
    ``strength`` its slope against the usual slope round the hole.
    """

    place: Doubles
    way: Doubles
    section: Doubles
    strength: float


@dataclass(frozen=True)
class _Slopes:
    """Planes of a picture: where edges run and how clearly. All (h, w)."""

    image: Floats
    away_px: Floats
    slope: Floats
    edge: Floats
    coherence: Floats
    along: Floats
    inwards: Floats


def ends_of(image: Floats, hole: Mask) -> list[End]:
    """Return the ends of edges round ``hole`` (h, w) of ``image`` (h, w, 3, encoded).

    ``image`` has to hold something smooth inside the hole. At most `MOST_ENDS`, the
    strongest.
    """
    if min(hole.shape) < 8 or hole.all():
        return []
    slopes = _slopes(image, hole)
    ring = (slopes.away_px > 2) & (slopes.away_px < 20)
    usual = float(np.median(slopes.edge[ring])) if ring.any() else 0.0
    found = []
    for x, y, way in _crossings(slopes, max(_LEAST_SLOPE, usual)):
        strength = float(slopes.edge[y, x]) / max(usual, 1e-3)
        path = _followed(slopes, x, y, way)
        least = _LEAST_PX_WHEN_STRONG if strength > _STRONG else _LEAST_PX
        if len(path) <= least:
            continue
        end = _end(slopes, path, strength)
        if end is not None:
            found.append(end)
    found.sort(key=lambda end: -end.strength)
    return found[:MOST_ENDS]


def _blurred(plane: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _slopes(image: Floats, hole: Mask) -> _Slopes:
    known = (~hole).astype(np.float32)
    mass = np.maximum(_blurred(known, 1.0), 1e-3)
    smooth = _blurred(image * known[..., None], 1.0) / mass[..., None]
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    away = np.asarray(cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    clear = (away > 1.5).astype(np.float32)
    norm = np.maximum(_blurred(clear, 1.5), 1e-3)
    xx, xy, yy = (
        _blurred((a * b).sum(axis=2) * clear, 1.5) / norm for a, b in ((gx, gx), (gx, gy), (gy, gy))
    )
    total, apart = xx + yy, np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    rim = _blurred(np.minimum(away, 16), 1.0)
    inwards = -np.dstack([cv2.Sobel(rim, cv2.CV_32F, 1, 0), cv2.Sobel(rim, cv2.CV_32F, 0, 1)])
    return _Slopes(
        image=image,
        away_px=away,
        slope=np.asarray(np.sqrt((gx**2 + gy**2).sum(axis=2)), np.float32),
        edge=np.asarray(np.sqrt(np.maximum((total + apart) / 2, 0)), np.float32),
        coherence=np.asarray(apart / np.maximum(total, 1e-9), np.float32),
        along=np.dstack([np.cos(angle), np.sin(angle)]).astype(np.float32),
        inwards=np.asarray(inwards / 8, np.float32),
    )


def _crossings(slopes: _Slopes, floor: float) -> list[tuple[int, int, Doubles]]:
    """Return (x, y, way into the hole) of the edges that a contour round the hole crosses."""
    region = (slopes.away_px <= _CONTOUR_PX).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    height, width = region.shape
    found = []
    for contour in contours:
        xs, ys = contour[:, 0, 0], contour[:, 0, 1]
        if len(xs) < 8:
            continue
        slope = slopes.slope[ys, xs]
        slope = 0.5 * slope + 0.25 * (np.roll(slope, 1) + np.roll(slope, -1))
        around = np.max([np.roll(slope, step) for step in (-2, -1, 1, 2)], axis=0)
        clear = (slopes.edge[ys, xs] >= floor) & (slopes.coherence[ys, xs] >= _COHERENT)
        inner = (xs >= 2) & (ys >= 2) & (xs < width - 2) & (ys < height - 2)
        for k in np.flatnonzero((slope >= around) & clear & inner):
            x, y = int(xs[k]), int(ys[k])
            way = slopes.along[y, x].astype(np.float64)
            across = float(way @ slopes.inwards[y, x]) / max(
                float(np.hypot(*slopes.inwards[y, x])), 1e-6
            )
            if abs(across) >= _STEEPEST:
                found.append((x, y, way if across > 0 else -way))
    return found


def read(plane: Floats, places: Doubles) -> Doubles:
    """Interpolate ``plane`` (h, w[, c]) at ``places`` (n, 2: x, y), its edge repeated."""
    height, width = plane.shape[:2]
    x = np.clip(places[:, 0], 0, width - 1.001)
    y = np.clip(places[:, 1], 0, height - 1.001)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = x - left, y - top
    if plane.ndim == 3:
        fx, fy = fx[:, None], fy[:, None]
    upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
    lower = plane[below, left] * (1 - fx) + plane[below, right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float64)


_SIDEWAYS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
_SIDEWAYS_PRICE = np.array([0.15, 0.04, 0.0, 0.04, 0.15])


def _followed(slopes: _Slopes, x: int, y: int, way: Doubles) -> Doubles:
    """Return the edge's places (n, 2) from the hole's rim outwards, a pixel apart."""
    height, width = slopes.edge.shape
    start, coherence = float(slopes.edge[y, x]), _STILL_COHERENT
    path, here = [np.array([x, y], np.float64)], way
    for _ in range(_LONGEST_PX):
        ahead = path[-1] - here
        tried = ahead + _SIDEWAYS[:, None] * np.array([-here[1], here[0]])
        value = read(slopes.slope, tried) - _SIDEWAYS_PRICE * slopes.slope[y, x]
        place = tried[int(value.argmax())]
        px, py = round(float(place[0])), round(float(place[1]))
        if not (1 <= px < width - 1 and 1 <= py < height - 1) or slopes.away_px[py, px] < 2:
            break
        if slopes.edge[py, px] < _FADED * start or slopes.coherence[py, px] < coherence:
            break
        turned = slopes.along[py, px].astype(np.float64)
        turned = turned if turned @ here > 0 else -turned
        if turned @ here < _LEAST_TURN:
            break
        path.append(place)
        here = turned
    return np.array(path)


def _end(slopes: _Slopes, path: Doubles, strength: float) -> End | None:
    """Return the end that a followed edge makes, None where too little of it is known."""
    padded = np.pad(path, ((1, 1), (0, 0)), mode="edge")
    even = 0.5 * path + 0.25 * (padded[:-2] + padded[2:])
    even[0], even[-1] = path[0], path[-1]
    way = even[0] - even[min(4, len(even) - 1)]
    length = float(np.hypot(*way))
    if length < 1e-6:
        return None
    across = np.arange(-HALF_WIDTH, HALF_WIDTH + 1, dtype=np.float64)
    total = np.zeros((len(across), 3))
    mass = np.zeros(len(across))
    for k in range(min(_SECTION_PX, len(even))):
        step = even[max(k - 1, 0)] - even[min(k + 1, len(even) - 1)]
        step = step / max(float(np.hypot(*step)), 1e-6)
        places = even[k] + across[:, None] * np.array([-step[1], step[0]])
        free = read(slopes.away_px, places) > 0.5
        total[free] += read(slopes.image, places)[free]
        mass[free] += 1
    known = mass > 0
    if known.sum() < len(across) - 4:
        return None
    section = total / np.maximum(mass, 1)[:, None]
    for channel in range(3):
        section[~known, channel] = np.interp(across[~known], across[known], section[known, channel])
    return End(even[0], way / length, section, strength)
