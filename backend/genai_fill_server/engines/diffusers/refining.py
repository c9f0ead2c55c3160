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

from genai_fill_server.service.ports import FloatImage

OVERLAP = 0.25
"""The least share of a tile that it has in common with its neighbour."""

_CONTEXT = 0.125

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
    def slices(self) -> tuple[slice, slice]:
        """The rectangle as an index."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def plan_tiles(hole: Mask, side_px: int) -> list[Tile]:
    """Return tiles of at most ``side_px`` that cover ``hole`` with some of what is round it.

    Row by row; tiles without any of the hole are left out.
    """
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if not len(rows):
        return []
    height, width = hole.shape
    spans_y = _spans(int(rows[0]), int(rows[-1]) + 1, height, side_px)
    spans_x = _spans(int(columns[0]), int(columns[-1]) + 1, width, side_px)
    tiles = [
        Tile(y0, x0, y1, x1, (top, bottom, left, right))
        for y0, y1, top, bottom in spans_y
        for x0, x1, left, right in spans_x
    ]
    return [tile for tile in tiles if hole[tile.slices].any()]


def refine(picture: FloatImage, hole: Mask, tiles: list[Tile], generate: Generate) -> FloatImage:
    """Return ``picture`` with its hole gone over, tile by tile.

    Nothing outside ``hole`` changes. Each tile is given what the ones before it made, and
    where tiles overlap their results are mixed by weights that fade to the edges.
    """
    canvas = picture.copy()
    total = np.zeros(picture.shape, np.float32)
    weights = np.zeros(hole.shape, np.float32)
    for number, tile in enumerate(tiles):
        inside = hole[tile.slices]
        made = generate(canvas[tile.slices].copy(), inside, number)
        weight = fade_weights(tile) * inside
        total[tile.slices] += made * weight[..., None]
        weights[tile.slices] += weight
        mixed = total[tile.slices] / np.maximum(weights[tile.slices], 1e-12)[..., None]
        canvas[tile.slices] = np.where(inside[..., None], mixed, canvas[tile.slices])
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


def _spans(first: int, last: int, length: int, side: int) -> list[tuple[int, int, int, int]]:
    """Return (start, end, fade before, fade after) along an axis, spread over first to last."""
    margin = round(side * _CONTEXT)
    first, last = max(0, first - margin), min(length, last + margin)
    side = min(side, length)
    if last - first <= side:
        start = min(max(0, (first + last - side) // 2), length - side)
        return [(start, start + side, 0, 0)]
    count = math.ceil((last - first - side * OVERLAP) / (side * (1 - OVERLAP)))
    starts = [round(first + i * (last - first - side) / (count - 1)) for i in range(count)]
    shared = [0, *(before + side - after for before, after in itertools.pairwise(starts)), 0]
    return [
        (start, start + side, shared[place], shared[place + 1])
        for place, start in enumerate(starts)
    ]
