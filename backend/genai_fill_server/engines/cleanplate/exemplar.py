"""Texture and structure for what no frame shows, from the plate's own surroundings.

Patch-based completion in a pyramid (Y. Wexler et al., "Space-Time Completion of Video",
PAMI 2007; PatchMatch search; texture features after A. Newson et al., SIAM 2014). Coarse
levels are settled once for each guess at the structure; the guess that the picture's own
patches can follow best is carried on to the fine levels, which copy texture. The last level
copies whole pixels from the best patch instead of averaging, so grain stays grain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.evening import evened
from genai_fill_server.engines.cleanplate.guides import Guide, guides_for
from genai_fill_server.engines.cleanplate.levels import (
    RADIUS,
    Field,
    Level,
    Mask,
    enlarged,
    paint_from_coarse,
    pyramid,
)
from genai_fill_server.engines.cleanplate.settling import (
    Manner,
    busyness,
    peeled,
    settled,
    unlikeness,
)
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one
from genai_fill_server.service.ports import Watch

_JUDGED_THICKNESS_PX = 26.0
_JUDGED_MOST_PX = 6000
_LEAST_TEXTURE = 0.8


def synthesise(
    encoded: Floats,
    hole: Mask,
    unusable: Mask,
    seed: int,
    rounds: int,
    watch: Watch,
    run: Runner = one_by_one,
    guided: bool = True,
) -> Floats:
    """Return ``encoded`` (h, w, 3, of `encoding.encode`) with ``hole`` repainted.

    ``unusable`` pixels outside the hole are neither copied nor looked at as truth. With
    nothing to copy from, the hole is filled smoothly. Nothing comes out brighter or darker
    than what is known. Deterministic in ``seed``, whatever threads ``run`` shares the work
    out to. Without ``guided`` patches are alone: no guess at the structure is made.
    """
    unknown = hole | unusable
    start = pull_push(encoded, (~unknown).astype(np.float32))
    levels = pyramid(encoded, start, unknown, watch.check)
    if not levels:
        return np.where(hole[..., None], start, encoded)
    manner = Manner(seed, rounds, watch, run)
    guides = guides_for(encoded, unknown) if guided else [Guide()]
    watch.check()
    made = _best_start(levels, guides, manner)
    for depth in range(made.depth - 1, -1, -1):
        made = _finer(levels[depth], made, manner)
    watch.check()
    painted = made.level.image[RADIUS:-RADIUS, RADIUS:-RADIUS, :3]
    painted = evened(np.where(hole[..., None], painted, encoded), unknown)
    watch.check()
    known = encoded[~unknown]
    painted = np.clip(painted, known.min(axis=0), known.max(axis=0))
    return np.where(hole[..., None], painted, encoded)


@dataclass(frozen=True)
class _Made:
    """A painted level and where its patches come from."""

    level: Level
    field: Field
    depth: int
    guide: Guide


def _best_start(levels: list[Level], guides: list[Guide], manner: Manner) -> _Made:
    """Paint the coarse levels by each guide; return what looks most like the picture."""
    top = len(levels) - 1
    judged = next(
        (
            depth
            for depth, level in enumerate(levels)
            if level.thickness_px <= _JUDGED_THICKNESS_PX and level.hole.sum() <= _JUDGED_MOST_PX
        ),
        top,
    )
    if len(guides) == 1:
        return _coarse(levels, guides[0], top, judged, manner)
    made = [
        _coarse(levels, guide, top, judged, replace(manner, seed=manner.seed + 7919 * number))
        for number, guide in enumerate(guides)
    ]
    # A calm fill finds patches like itself more easily than a busy one; what has less texture
    # than the unguided fill counts by how much.
    enough = _LEAST_TEXTURE * busyness(made[0].level)
    prices = [
        unlikeness(one.level, one.field, judged, manner)
        * max(1.0, (enough + 1e-6) / (busyness(one.level) + 1e-6))
        / (1 + one.guide.credit)
        for one in made
    ]
    return made[int(np.argmin(prices))]


def _coarse(levels: list[Level], guide: Guide, top: int, last: int, manner: Manner) -> _Made:
    """Paint the levels from ``top`` down to ``last``; the levels given stay as they are."""
    level = levels[top].copy()
    manner.watch.check()
    field = peeled(level, guide.drawn(top, level), manner)
    made = _Made(level, settled(level, field, top, guide, manner), top, guide)
    for depth in range(top - 1, last - 1, -1):
        made = _finer(levels[depth].copy(), made, manner)
    return made


def _finer(level: Level, made: _Made, manner: Manner) -> _Made:
    """Paint the next finer level."""
    manner.watch.check()
    depth = made.depth - 1
    field = enlarged(made.field, level)
    manner.watch.check()
    paint_from_coarse(level, made.level.image, field)
    return _Made(
        level, settled(level, field, depth, made.guide, manner, begun=True), depth, made.guide
    )
