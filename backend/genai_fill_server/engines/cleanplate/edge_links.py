"""Edges carried through a hole: ends that belong together, and the strip between them.

Two ends belong together when a smooth curve joins them and their cross-sections agree, as in
good continuation (J. Sun et al., "Image Completion with Structure Propagation", SIGGRAPH 2005,
asks an artist for these curves). The strip is what the cross-sections leave when they are
swept along the curve; patches then give it texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.edge_ends import HALF_WIDTH, Doubles, End
from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]

_ACROSS = np.arange(-HALF_WIDTH, HALF_WIDTH + 1, dtype=np.float64)
_WEIGHTS = np.exp(-0.5 * (_ACROSS / 2.5) ** 2)[:, None]
_LEAST_LENGTH_PX = 5.0
_MOST_ANGLE = 1.2
_BEND_PRICE, _COLOUR_PRICE = 2.0, 3.0
_STRENGTH_GAIN = 0.25
_STRIP_PX = 4.5
_CERTAIN_STRENGTH, _CERTAIN_APART = 4.0, 0.15


@dataclass(frozen=True)
class Link:
    """Two ends that one edge joins; ``cost`` from 0, ``strength`` of the weaker end.

    ``apart`` is how far the cross-sections differ, as a share of what they span.
    """

    first: End
    second: End
    cost: float
    strength: float
    apart: float

    @property
    def is_certain(self) -> bool:
        """Whether both ends stand out and look alike: the edge cannot but go on."""
        return self.strength >= _CERTAIN_STRENGTH and self.apart <= _CERTAIN_APART

    @property
    def order(self) -> float:
        """Which link goes first where two want the same place: cheap and strong ones."""
        return self.cost - _STRENGTH_GAIN * float(np.log2(max(self.strength, 1e-3)))


def links_between(ends: Sequence[End], longest_px: float, most_cost: float) -> list[Link]:
    """Return links, none of which share an end or cross; the best first."""
    chosen: list[Link] = []
    taken: set[int] = set()
    for link, one, other in sorted(
        _possible(ends, longest_px, most_cost), key=lambda found: found[0].order
    ):
        crossing = any(_cross(link, before) for before in chosen)
        if one in taken or other in taken or crossing:
            continue
        taken |= {one, other}
        chosen.append(link)
    return chosen


def _possible(
    ends: Sequence[End], longest_px: float, most_cost: float
) -> list[tuple[Link, int, int]]:
    found = []
    for i, first in enumerate(ends):
        for j in range(i + 1, len(ends)):
            second = ends[j]
            bend = _bend(first, second, longest_px)
            if bend * _BEND_PRICE > most_cost:
                continue
            apart = _unlikeness(first, second)
            cost = _BEND_PRICE * bend + _COLOUR_PRICE * apart
            if cost <= most_cost:
                strength = min(first.strength, second.strength)
                found.append((Link(first, second, cost, strength, apart), i, j))
    return found


def _angle(one: Doubles, other: Doubles) -> float:
    return float(np.arctan2(one[0] * other[1] - one[1] * other[0], one @ other))


def _bend(first: End, second: End, longest_px: float) -> float:
    """Return how much a curve from end to end bends: an arc little, an S much."""
    chord = second.place - first.place
    length = float(np.hypot(*chord))
    if not _LEAST_LENGTH_PX <= length <= longest_px:
        return float("inf")
    leaving, coming = _angle(chord, first.way), _angle(chord, -second.way)
    if max(abs(leaving), abs(coming)) > _MOST_ANGLE:
        return float("inf")
    return leaving**2 + coming**2 + 2 * (leaving + coming) ** 2


def _unlikeness(first: End, second: End) -> float:
    """Return how far two cross-sections are apart, as a share of what they span."""
    one, other = first.section, second.section[::-1]
    middle = slice(2, -2)
    span = 0.5 * (np.ptp(one[middle], axis=0).max() + np.ptp(other[middle], axis=0).max())
    span = max(float(span), 1e-6)
    best = float("inf")
    for shift in np.arange(-1.5, 1.51, 0.5):
        moved = np.stack([np.interp(_ACROSS + shift, _ACROSS, c) for c in other.T], axis=1)
        gap = float((np.abs(one - moved) * _WEIGHTS).sum() / _WEIGHTS.sum()) / 3
        best = min(best, gap / span + 0.02 * abs(shift))
    sides = [np.array([s[1:4].mean(axis=0), s[-4:-1].mean(axis=0)]) for s in (one, other)]
    step = float(np.abs(sides[0][0] - sides[0][1]).max())
    if step > 0.35 * span:
        # A highlight may run along only part of a border between two colours.
        best = min(best, 0.1 + float(np.abs(sides[0] - sides[1]).mean()) / step)
    return best


def _cross(one: Link, other: Link) -> bool:
    a, b, c, d = one.first.place, one.second.place, other.first.place, other.second.place

    def side(p: Doubles, q: Doubles, r: Doubles) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _curve(link: Link) -> tuple[Doubles, Doubles]:
    """Return places (n, 2) half a pixel apart on a cubic between the ends, and directions."""
    a, b = link.first.place, link.second.place
    leaving, coming = link.first.way, -link.second.way
    length = float(np.hypot(*(b - a)))
    s = np.linspace(0.0, 1.0, int(2 * length) + 3)[:, None]
    reach = length / np.sqrt(max(0.3, (float(leaving @ coming) + 1) / 2))
    places = (
        (2 * s**3 - 3 * s**2 + 1) * a
        + (s**3 - 2 * s**2 + s) * reach * leaving
        + (3 * s**2 - 2 * s**3) * b
        + (s**3 - s**2) * reach * coming
    )
    ways = np.gradient(places, axis=0)
    ways /= np.maximum(np.hypot(ways[:, 0], ways[:, 1]), 1e-6)[:, None]
    return places, ways


def strips(shape: tuple[int, int], hole: Mask, links: Sequence[Link]) -> tuple[Floats, Mask]:
    """Return the picture (h, w, 3) of the links' strips in ``hole``, and where they are."""
    total = np.zeros((*shape, 3), np.float64)
    mass = np.zeros(shape, np.float64)
    for link in links:
        places, ways = _curve(link)
        low = np.maximum(np.floor(places.min(axis=0) - _STRIP_PX), 0).astype(int)
        high = np.ceil(places.max(axis=0) + _STRIP_PX).astype(int) + 1
        rows, columns = np.nonzero(hole[low[1] : high[1], low[0] : high[0]])
        rows, columns = rows + low[1], columns + low[0]
        here = np.stack([columns, rows], axis=1).astype(np.float64)
        nearest, near = _nearest(here, places)
        rows, columns, here, nearest = rows[near], columns[near], here[near], nearest[near]
        left = np.stack([-ways[nearest, 1], ways[nearest, 0]], axis=1)
        off = ((here - places[nearest]) * left).sum(axis=1)
        share = (nearest / (len(places) - 1))[:, None]
        colour = _section_at(link.first.section, off) * (1 - share)
        colour += _section_at(link.second.section[::-1], off) * share
        weight = np.exp(-0.5 * (off / 2.5) ** 2 - 2 * link.cost)
        total[rows, columns] += colour * weight[:, None]
        mass[rows, columns] += weight
    picture = total / np.maximum(mass, 1e-12)[..., None]
    return picture.astype(np.float32), mass > 0


def _section_at(section: Doubles, off: Doubles) -> Doubles:
    return np.stack([np.interp(off, _ACROSS, channel) for channel in section.T], axis=1)


def _nearest(here: Doubles, places: Doubles) -> tuple[npt.NDArray[np.intp], Mask]:
    """Return the nearest of ``places`` to each of ``here``, and which are in the strip."""
    index = np.zeros(len(here), np.intp)
    distance = np.full(len(here), np.inf)
    for start in range(0, len(here), 4096):
        part = here[start : start + 4096]
        apart = ((part[:, None] - places[None]) ** 2).sum(axis=2)
        index[start : start + 4096] = apart.argmin(axis=1)
        distance[start : start + 4096] = apart.min(axis=1)
    return index, distance <= _STRIP_PX**2
