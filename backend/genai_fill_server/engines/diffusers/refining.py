"""Detail at full size: overlapping tiles, each starting from what is there.

A model that works at a megapixel fills a large hole softly. Going over the enlarged result
in tiles at low strength, as SDEdit does (Meng et al. 2022), gives it the plate's own
sharpness. Each tile sees the tiles before it, and they fade into each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.diffusers.picture import Sizing
from genai_fill_server.service.ports import FloatImage

OVERLAP = 0.25
"""The least share of a tile that it has in common with its neighbour."""

_CONTEXT = 0.125
_LONGEST = 2
"""The longest side of a tile, in sides of a square one."""

Mask = npt.NDArray[np.bool_]
Generate = Callable[[FloatImage, Mask, int], FloatImage]
"""Picture, hole and number of a tile in; the new picture, of the same size, out."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the crop. ``fades`` (top, bottom, left, right) are the pixels that it
    shares with a neighbour on that side, over which it fades."""

    y0: int
    x0: int
    y1: int
    x1: int
    fades: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def area_px(self) -> int:
        """How many pixels it has."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rectangle as an index."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def plan_tiles(hole: Mask, sizing: Sizing) -> list[Tile]:
    """Return tiles that cover ``hole`` with some of what is round it, in as few pixels as can be.

    Of all grids of equal tiles that the model is good at, the one is taken whose tiles with any
    of the hole in them have the least area together. Row by row; the other tiles are left out.
    """
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if not len(rows):
        return []
    side = max(sizing.multiple_px, math.isqrt(sizing.max_area_px))
    axes = [
        _Axis.round(each, length, side)
        for each, length in zip((rows, columns), hole.shape, strict=True)
    ]
    sums = np.pad(np.cumsum(np.cumsum(hole, axis=0, dtype=np.int32), axis=1), ((1, 0), (1, 0)))
    grids = (
        [tile for tile in grid if _has_any(sums, tile)]
        for down in range(1, axes[0].most + 1)
        for across in range(1, axes[1].most + 1)
        if (grid := _grid(axes, (down, across), sizing, side))
    )
    # A tile that is smaller than the model works at is enlarged to that.
    least = sizing.min_area_px
    return min(grids, key=lambda tiles: (sum(max(t.area_px, least) for t in tiles), len(tiles)))


def refine(picture: FloatImage, hole: Mask, tiles: list[Tile], generate: Generate) -> FloatImage:
    """Return ``picture`` with its hole gone over, tile by tile.

    ``picture`` (h, w, 3) and ``hole`` (h, w) may also be stacks of frames, gone over together.
    Nothing outside ``hole`` changes. Each tile is given what the ones before it made, and
    where tiles overlap their results are mixed by weights that fade to the edges.
    """
    canvas = picture.copy()
    total = np.zeros(picture.shape, np.float32)
    weights = np.zeros(hole.shape, np.float32)
    for number, tile in enumerate(tiles):
        part = (*[slice(None)] * (hole.ndim - 2), *tile.slices)
        inside = hole[part]
        made = generate(canvas[part].copy(), inside, number)
        weight = fade_weights(tile) * inside
        total[part] += made * weight[..., None]
        weights[part] += weight
        mixed = total[part] / np.maximum(weights[part], 1e-12)[..., None]
        canvas[part] = np.where(inside[..., None], mixed, canvas[part])
    return canvas


def fade_weights(tile: Tile) -> npt.NDArray[np.float32]:
    """Return the weight of a tile's pixels (h, w): half cosines over its fades, 1 elsewhere."""
    top, bottom, left, right = tile.fades
    height, width = tile.y1 - tile.y0, tile.x1 - tile.x0
    rows = _rise(height, top) * _rise(height, bottom)[::-1]
    columns = _rise(width, left) * _rise(width, right)[::-1]
    return np.outer(rows, columns).astype(np.float32)


def _rise(length: int, fade: int) -> npt.NDArray[np.float64]:
    position = np.clip((np.arange(length) + 0.5) / max(1, fade), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * position) if fade else np.ones(length)


@dataclass(frozen=True)
class _Axis:
    """What has to be covered of an axis of ``length``: from ``first`` to before ``last``.

    ``most`` tiles are enough, however small they have to be.
    """

    length: int
    first: int
    last: int
    most: int

    @staticmethod
    def round(places: npt.NDArray[np.intp], length: int, side: int) -> _Axis:
        """Return the axis with a margin round the hole's ``places``."""
        margin = round(side * _CONTEXT)
        first, last = max(0, int(places[0]) - margin), min(length, int(places[-1]) + 1 + margin)
        return _Axis(length, first, last, _count(last - first, side) + 1)

    def side(self, count: int, multiple: int) -> int:
        """Return the side of ``count`` tiles that overlap as they should."""
        least = (self.last - self.first) / (count - (count - 1) * OVERLAP)
        return min(self.length, math.ceil(least / multiple) * multiple)

    def spans(self, side: int) -> list[tuple[int, int, int, int]]:
        """Return (start, end, fade before, fade after) of tiles spread over the axis."""
        first, last = self.first, self.last
        if last - first <= side:
            start = min(max(0, (first + last - side) // 2), self.length - side)
            return [(start, start + side, 0, 0)]
        count = _count(last - first, side)
        starts = [round(first + i * (last - first - side) / (count - 1)) for i in range(count)]
        shared = [0, *(before + side - after for before, after in itertools.pairwise(starts)), 0]
        return [
            (start, start + side, shared[place], shared[place + 1])
            for place, start in enumerate(starts)
        ]


def _count(length: int, side: int) -> int:
    return max(1, math.ceil((length - side * OVERLAP) / (side * (1 - OVERLAP))))


def _grid(
    axes: list[_Axis], counts: tuple[int, int], sizing: Sizing, side: int
) -> list[Tile] | None:
    """Return the tiles of a grid, None if the model is not good at their size."""
    sides = [axis.side(n, sizing.multiple_px) for axis, n in zip(axes, counts, strict=True)]
    sides = _grown(sides, [axis.length for axis in axes], sizing)
    if sides[0] * sides[1] > sizing.max_area_px or max(sides) > _LONGEST * side:
        return None
    return [
        Tile(y0, x0, y1, x1, (top, bottom, left, right))
        for y0, y1, top, bottom in axes[0].spans(sides[0])
        for x0, x1, left, right in axes[1].spans(sides[1])
    ]


def _grown(sides: list[int], lengths: list[int], sizing: Sizing) -> list[int]:
    """Return sides of the least area that the model is good at, where there is room for it."""
    for _ in range(2):  # again where the first axis had no room
        share = math.sqrt(sizing.min_area_px / (sides[0] * sides[1]))
        if share <= 1:
            break
        up = [min(n, _to_multiple(s * share, sizing)) for s, n in zip(sides, lengths, strict=True)]
        if up[0] * up[1] > sizing.max_area_px:
            break
        sides = up
    return sides


def _to_multiple(side: float, sizing: Sizing) -> int:
    return math.ceil(round(side / sizing.multiple_px, 6)) * sizing.multiple_px


def _has_any(sums: npt.NDArray[np.int32], tile: Tile) -> bool:
    whole, above = sums[tile.y1, tile.x1], sums[tile.y0, tile.x1]
    return bool(whole - above - sums[tile.y1, tile.x0] + sums[tile.y0, tile.x0])
