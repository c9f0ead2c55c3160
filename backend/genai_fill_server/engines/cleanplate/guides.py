"""Guesses at the structure inside a hole, which patches are then held to while they settle.

"Structure first, then texture": a guide is a picture of what runs through the hole, without
texture. There are up to four: none at all, edges carried through, areas of colour, and both.
Which one the picture's own texture can follow best is decided by `exemplar`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.edge_ends import ends_of
from genai_fill_server.engines.cleanplate.edge_links import links_between, strips
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.levels import RADIUS, Level, half, thickness
from genai_fill_server.engines.cleanplate.regions import areas
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one

Mask = npt.NDArray[np.bool_]

_EDGES_THICKNESS_PX = 26.0
_LARGE_EDGES_THICKNESS_PX = 50.0
_AREAS_THICKNESS_PX = 12.0
_AREAS_MOST_PX = 4000
_MOST_COST = 1.45
_LONGEST = 4.0
_LEAST_THICKNESS_PX = 8.0

_EDGES_HOLD = (0.7, 0.5)
_AREAS_HOLD = (0.5, 0.3)
_EDGES_CREDIT, _STRONG_EDGES_CREDIT, _CERTAIN_EDGES_CREDIT = 0.02, 0.14, 0.25
_STRONGEST = 8.0


@dataclass(frozen=True)
class Layer:
    """A picture (h, w, 3), encoded, that counts ``where`` (h, w, 0 to 1).

    It was made ``halvings`` below the full size and says nothing of finer levels. ``hold`` is
    how much of it is kept on coarser levels and on its own.
    """

    picture: Floats
    where: Floats
    halvings: int
    hold: tuple[float, float]

    def at(self, depth: int, level: Level) -> tuple[Floats, Floats]:
        """Return picture and weight at the size of the level ``depth`` >= ``halvings``."""
        picture, where = self.picture * self.where[..., None], self.where
        for _ in range(depth - self.halvings):
            picture, where = half(picture), half(where)
        height, width = level.hole.shape
        shown = np.zeros((height, width, 3), np.float32)
        weight = np.zeros((height, width), np.float32)
        rows = min(height - 2 * RADIUS, where.shape[0])
        columns = min(width - 2 * RADIUS, where.shape[1])
        inner = np.s_[RADIUS : RADIUS + rows, RADIUS : RADIUS + columns]
        weight[inner] = where[:rows, :columns]
        shown[inner] = picture[:rows, :columns]
        shown /= np.maximum(weight, 1e-6)[..., None]
        return shown, np.where(level.hole, weight, np.float32(0))


@dataclass(frozen=True)
class Guide:
    """Layers, later ones over earlier ones. ``credit`` is how much worse its fill may be.

    Without layers it is no guide: what texture makes of the hole by itself.
    """

    layers: tuple[Layer, ...] = ()
    credit: float = 0.0

    def drawn(self, depth: int, level: Level) -> Mask:
        """Paint the guide into the coarsest level; return where."""
        where = np.zeros(level.hole.shape, np.bool_)
        for layer in self._of(depth):
            picture, weight = layer.at(depth, level)
            here = weight > 0.5
            level.image[here, :3] = picture[here]
            where |= here
        return where

    def held(self, depth: int, level: Level) -> list[tuple[Floats, Floats]]:
        """Return pictures and how much of each is mixed in before every search."""
        found = []
        for layer in self._of(depth):
            picture, weight = layer.at(depth, level)
            firm, soft = layer.hold
            share = np.float32(firm if depth > layer.halvings else soft)
            found.append((picture, np.asarray(weight * share, np.float32)))
        return found

    def trusted(self, depth: int, level: Level) -> Mask:
        """Return where patches are as sure of themselves as at the hole's edge."""
        where = np.zeros(level.hole.shape, np.bool_)
        for layer in self._of(depth):
            where |= layer.at(depth, level)[1] > 0.5
        return where

    def _of(self, depth: int) -> list[Layer]:
        # The full size is left to texture, except where there is nothing coarser.
        return [layer for layer in self.layers if depth >= max(layer.halvings, 1)]


def guides_for(
    encoded: Floats,
    unknown: Mask,
    check: Callable[[], None] = lambda: None,
    run: Runner = one_by_one,
) -> list[Guide]:
    """Return the guides for a picture (h, w, 3) that is not known in ``unknown``.

    Thin holes get none: what is beside them says enough. ``check`` is called often and may
    cancel; ``run`` may share work out to threads.
    """
    plain = [Guide()]
    check()
    thick = thickness(unknown)
    if thick <= _LEAST_THICKNESS_PX:
        return plain
    how = _How(check, run)
    edges, credit = _edges(encoded, unknown, thick, how)
    regions = _areas(encoded, unknown, how)
    check()
    guides = [*plain, Guide(regions, 0.02)] if regions else plain
    if edges:
        guides += [Guide(edges, credit), Guide(regions + edges, credit)]
    return guides


@dataclass(frozen=True)
class _How:
    """Who is asked for cancel, and who works."""

    check: Callable[[], None]
    run: Runner


def _reduced(
    encoded: Floats, unknown: Mask, thick_px: float, most_px: int, how: _How
) -> tuple[Floats, Mask, int]:
    """Return the picture halved until the hole is thin and small, filled smoothly."""
    known = (~unknown).astype(np.float32)
    how.check()
    image, halvings = encoded * known[..., None], 0
    hole = unknown
    while thickness(hole) > thick_px or int(hole.sum()) > most_px:
        if min(hole.shape) < 16:
            break
        how.check()
        less = half(known)
        image = half(image * known[..., None]) / np.maximum(less, 1e-6)[..., None]
        known, halvings = (less > 0.6).astype(np.float32), halvings + 1
        hole = known < 0.5
    how.check()
    return pull_push(np.asarray(image, np.float32), known, how.run), hole, halvings


def _edges(
    encoded: Floats, unknown: Mask, thick: float, how: _How
) -> tuple[tuple[Layer, ...], float]:
    # Seen too small, the joints of a wall are gone; at full size, grain looks like edges.
    large = thick > 2 * _EDGES_THICKNESS_PX
    limit = _LARGE_EDGES_THICKNESS_PX if large else _EDGES_THICKNESS_PX
    image, hole, halvings = _reduced(encoded, unknown, limit, 1 << 30, how)
    ends = ends_of(image, hole)
    how.check()
    longest = 2 * _LONGEST * max(thickness(hole), 4.0)
    links = links_between(ends, longest, _MOST_COST)
    how.check()
    if not links:
        return (), 0.0
    picture, where = strips((hole.shape[0], hole.shape[1]), hole, links)
    usual = float(np.mean([min(_STRONGEST, link.strength) for link in links]))
    share = min(1.0, max(0.0, float(np.log2(max(usual, 1e-3))) / 3))
    credit = _EDGES_CREDIT + _STRONG_EDGES_CREDIT * share
    if any(link.is_certain for link in links):
        credit += _CERTAIN_EDGES_CREDIT
    return (Layer(picture, where.astype(np.float32), halvings, _EDGES_HOLD),), credit


def _areas(encoded: Floats, unknown: Mask, how: _How) -> tuple[Layer, ...]:
    image, hole, halvings = _reduced(encoded, unknown, _AREAS_THICKNESS_PX, _AREAS_MOST_PX, how)
    if hole.all():
        # What is known is too narrow to be seen at this size.
        return ()
    return (Layer(areas(image, hole), hole.astype(np.float32), halvings, _AREAS_HOLD),)


def mixed_in(level: Level, held: list[tuple[Floats, Floats]], firmness: float) -> None:
    """Draw a level's picture towards its guide; the less firmly, the more it has settled."""
    for picture, share in held:
        colours = level.image[..., :3]
        colours += (picture - colours) * (np.float32(firmness) * share[..., None])


def depth_from_edge(level: Level, sure: Mask) -> Floats:
    """Return how far each pixel of the hole lies from what is known or sure, in pixels."""
    inside = (level.hole & ~sure).astype(np.uint8)
    far = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3), np.float32)
    return np.where(sure & level.hole, np.float32(1), far)
