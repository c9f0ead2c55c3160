"""The calmest way for a moving crop: the taut string in a corridor.

At each frame the window may begin anywhere in an interval of whole pixels. Of all paths
through these intervals, the one that a string pulled taut would take moves least: it also
has the smallest sum of squared steps (Davies & Kovac, *Local Extremes, Runs, Strings and
Multiresolution*, 2001). So a window that can stand still does, and one that must move moves
evenly. Both ends are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Corridor:
    """Where a window may begin at one frame: ``low`` to ``high``, both included."""

    low: int
    high: int


def shortest_path(corridors: Sequence[Corridor]) -> list[int]:
    """Return one whole number in each corridor, moving as little and as evenly as can be."""
    if not corridors:
        return []
    path: list[Fraction] = []
    index, value = 0, _start(corridors)
    path.append(value)
    while index < len(corridors) - 1:
        turn, slope = _next_turn(corridors, index, value)
        for step in range(1, turn - index + 1):
            path.append(value + slope * step)
        index, value = turn, path[-1]
    return [
        min(max(round(position), corridor.low), corridor.high)
        for position, corridor in zip(path, corridors, strict=True)
    ]


def _start(corridors: Sequence[Corridor]) -> Fraction:
    """Return the first value: where the string can stay longest, in the middle if it may."""
    low, high = corridors[0].low, corridors[0].high
    for corridor in corridors[1:]:
        if corridor.high < low:  # must go down later: start as low as may be
            return Fraction(low)
        if corridor.low > high:  # must go up later
            return Fraction(high)
        low, high = max(low, corridor.low), min(high, corridor.high)
    return Fraction((low + high) // 2)


def _next_turn(corridors: Sequence[Corridor], index: int, value: Fraction) -> tuple[int, Fraction]:
    """Return where the straight line from (index, value) must next touch a wall, and its slope.

    The funnel of slopes that stay inside narrows frame by frame; when it closes, the wall
    that closed it first is the turning point.
    """
    least, most = None, None
    least_at = most_at = index + 1
    for frame in range(index + 1, len(corridors)):
        span = frame - index
        low = (corridors[frame].low - value) / span
        high = (corridors[frame].high - value) / span
        if least is not None and high < least:
            return least_at, least
        if most is not None and low > most:
            return most_at, most
        if least is None or low >= least:
            least, least_at = low, frame
        if most is None or high <= most:
            most, most_at = high, frame
    assert least is not None
    assert most is not None
    return _last_leg(len(corridors) - 1, (least_at, least), (most_at, most))


def _last_leg(
    last: int, least: tuple[int, Fraction], most: tuple[int, Fraction]
) -> tuple[int, Fraction]:
    """The end is free: stay level if possible, else go to the wall in the way, then level."""
    if least[1] > 0:
        return least
    if most[1] < 0:
        return most
    return last, Fraction(0)
