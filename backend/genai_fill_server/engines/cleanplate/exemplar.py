"""Texture and structure for what no frame shows, from the plate's own surroundings.

Patch-based completion in a pyramid (Y. Wexler et al., "Space-Time Completion of Video",
PAMI 2007; PatchMatch search; texture features after A. Newson et al., SIAM 2014). Coarse
levels are settled once for each guess at the structure; the guess that the picture's own
patches can follow best is carried on to the fine levels, which copy texture. The last level
copies whole pixels from the best patch instead of averaging, so grain stays grain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

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
    Pace,
    Silence,
    busyness,
    peeled,
    settled,
    turns_of,
    unlikeness,
)
from genai_fill_server.engines.cleanplate.waves import Runner, bands, one_by_one
from genai_fill_server.service.ports import Watch

_JUDGED_THICKNESS_PX = 26.0
_JUDGED_MOST_PX = 6000
_LEAST_TEXTURE = 0.8


def to_nobody(share: float) -> None:
    """Hear what share of a search is done, and do nothing."""


def synthesise(
    encoded: Floats,
    hole: Mask,
    unusable: Mask,
    seed: int,
    rounds: int,
    watch: Watch,
    run: Runner = one_by_one,
    guided: bool = True,
    told: Callable[[float], None] = to_nobody,
) -> Floats:
    """Return ``encoded`` (h, w, 3, of `encoding.encode`) with ``hole`` repainted.

    ``unusable`` pixels outside the hole are neither copied nor looked at as truth. With
    nothing to copy from, the hole is filled smoothly. Nothing comes out brighter or darker
    than what is known. Deterministic in ``seed``, whatever threads ``run`` shares the work
    out to. Without ``guided`` patches are alone: no guess at the structure is made. ``told``
    hears what share of the search is done, now and then.
    """
    unknown = hole | unusable
    start = pull_push(encoded, (~unknown).astype(np.float32), run)
    levels = pyramid(encoded, start, unknown, watch.check, run)
    if not levels:
        return np.where(hole[..., None], start, encoded)
    pace = Pace(watch, told)
    manner = Manner(seed, rounds, pace, run)
    guides = guides_for(encoded, unknown, watch.check, run) if guided else [Guide()]
    watch.check()
    judged = _judged(levels)
    pace.plan(_visits(levels, judged, len(guides), rounds))
    made = _best_start(levels, guides, judged, manner)
    for depth in range(made.depth - 1, -1, -1):
        made = _finer(levels[depth], made, manner)
    watch.check()
    painted = made.level.image[RADIUS:-RADIUS, RADIUS:-RADIUS, :3]
    painted = evened(np.where(hole[..., None], painted, encoded), unknown, run)
    watch.check()
    return _within_known(painted, encoded, hole, unknown, run)


def _within_known(
    painted: Floats, encoded: Floats, hole: Mask, unknown: Mask, run: Runner
) -> Floats:
    """Return ``encoded`` with ``hole`` as painted, but nowhere beyond what is known."""
    every = bands(len(hole))

    def range_of(rows: slice) -> tuple[Floats, Floats] | None:
        known = encoded[rows][~unknown[rows]]
        return (known.min(axis=0), known.max(axis=0)) if len(known) else None

    found = [one for one in run([partial(range_of, rows) for rows in every]) if one is not None]
    least = np.min([low for low, _ in found], axis=0)
    most = np.max([high for _, high in found], axis=0)
    result = np.empty_like(encoded)

    def put(rows: slice) -> None:
        held = np.clip(painted[rows], least, most)
        result[rows] = np.where(hole[rows][..., None], held, encoded[rows])

    run([partial(put, rows) for rows in every])
    return result


@dataclass(frozen=True)
class _Made:
    """A painted level and where its patches come from."""

    level: Level
    field: Field
    depth: int
    guide: Guide


def _judged(levels: list[Level]) -> int:
    """Return the depth of the level on which guesses at the structure are compared."""
    return next((depth for depth, level in enumerate(levels) if _is_small(level)), len(levels) - 1)


def _is_small(level: Level) -> bool:
    small = int(level.hole.sum()) <= _JUDGED_MOST_PX
    return small and level.thickness_px <= _JUDGED_THICKNESS_PX


def _visits(levels: list[Level], judged: int, guesses: int, rounds: int) -> int:
    """Return how many visits of centres painting takes, about, each both ways."""
    total = 0
    for depth, level in enumerate(levels):
        centres = max(1, int(level.hole.sum()))
        turns = turns_of(centres, depth, rounds, begun=depth < len(levels) - 1)
        total += 2 * turns * centres * (guesses if depth >= judged else 1)
    return total


def _best_start(levels: list[Level], guides: list[Guide], judged: int, manner: Manner) -> _Made:
    """Paint the coarse levels by each guide; return what looks most like the picture."""
    if len(guides) == 1:
        return _coarse(levels, guides[0], judged, manner)
    run, alone = one_by_one, manner
    if _is_small(levels[judged]):
        # Waves of a small level are too short to be shared out; whole guesses are not.
        run, alone = manner.run, replace(manner, pace=Silence(), run=one_by_one)
    made = run(
        [
            partial(
                _coarse, levels, guide, judged, replace(alone, seed=manner.seed + 7919 * number)
            )
            for number, guide in enumerate(guides)
        ]
    )
    # A calm fill finds patches like itself more easily than a busy one; what has less texture
    # than the unguided fill counts by how much.
    unlike = run([partial(unlikeness, one.level, one.field, judged, alone) for one in made])
    busy = run([partial(busyness, one.level, alone.run) for one in made])
    enough = _LEAST_TEXTURE * busy[0]
    prices = [
        price * max(1.0, (enough + 1e-6) / (texture + 1e-6)) / (1 + one.guide.credit)
        for one, price, texture in zip(made, unlike, busy, strict=True)
    ]
    return made[int(np.argmin(prices))]


def _coarse(levels: list[Level], guide: Guide, last: int, manner: Manner) -> _Made:
    """Paint the levels from the coarsest to ``last``; the levels given stay as they are."""
    top = len(levels) - 1
    level = levels[top].copy()
    manner.pace.check()
    field = peeled(level, guide.drawn(top, level), manner)
    made = _Made(level, settled(level, field, top, guide, manner), top, guide)
    for depth in range(top - 1, last - 1, -1):
        made = _finer(levels[depth].copy(), made, manner)
    return made


def _finer(level: Level, made: _Made, manner: Manner) -> _Made:
    """Paint the next finer level."""
    manner.pace.check()
    depth = made.depth - 1
    field = enlarged(made.field, level)
    manner.pace.check()
    paint_from_coarse(level, made.level.image, field)
    return _Made(
        level, settled(level, field, depth, made.guide, manner, begun=True), depth, made.guide
    )
