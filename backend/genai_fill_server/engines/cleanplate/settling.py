"""How one level of the picture is painted: inwards from its edge, then until it is settled.

The coarsest level is peeled, as in A. Criminisi et al., "Region Filling and Object Removal by
Exemplar-Based Image Inpainting", IEEE TIP 2004. Every level then alternates PatchMatch search
and voting, after Y. Wexler et al., "Space-Time Completion of Video", PAMI 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.guides import Guide, depth_from_edge, mixed_in
from genai_fill_server.engines.cleanplate.level_kernels import choose_matches
from genai_fill_server.engines.cleanplate.levels import RADIUS, Field, Level, Mask, texture
from genai_fill_server.engines.cleanplate.melding import stitch
from genai_fill_server.engines.cleanplate.patch_kernels import (
    COLOURS,
    match_patches,
    measure_patches,
    peel_patches,
    random_states,
    sum_patches,
)
from genai_fill_server.engines.cleanplate.softening import Softened
from genai_fill_server.engines.cleanplate.vote_kernels import vote_patches, weigh_patches
from genai_fill_server.engines.cleanplate.waves import Runner, bands, shares, waves
from genai_fill_server.service.ports import Watch

_TRUST_FALLOFF, _LEAST_TRUST = 2.0, 1e-30
_LOOSENED = 0.5
_WAY_PRICE = 0.02
_SHIFT_LIMIT = np.float32(0.25)
_BITE = 12000
_GRAINY_DEPTH = 1
_PEEL_CHOICES = 20000
_PEEL_BITE = 16
_SUMMED_ROWS = 128
_PEEL_REACH_PX = 48

VISITS = 120_000
"""How often centres are visited on a level that begins from a settled coarser one.

A larger level has fewer turns, at least one: what patches it takes is decided by then.
"""

_FINE_REACH_PX = 64


class Pace:
    """How far the search is, as a share of all centres that will be visited.

    ``watch`` is asked for cancel at every step, ``told`` of the share whenever it has grown
    by a hundredth.
    """

    def __init__(self, watch: Watch, told: Callable[[float], None]) -> None:
        self._watch, self._tell = watch, told
        self._done, self._all = 0, 1
        self._last = 0.0

    def plan(self, visits: int) -> None:
        """Set how many visits there will be."""
        self._all = max(1, visits)

    def check(self) -> None:
        """Ask for cancel. Raises `FillCancelled`."""
        self._watch.check()

    def went_on(self, visits: int) -> None:
        """Count visits of centres, and ask for cancel. Raises `FillCancelled`."""
        self.check()
        self._done += visits
        share = min(1.0, self._done / self._all)
        if share >= self._last + 0.01:
            self._last = share
            self._tell(share)


class Silence:
    """A pace without anybody to ask or tell: for work on another thread, in short pieces."""

    def check(self) -> None:
        """Ask nobody."""

    def went_on(self, visits: int) -> None:
        """Tell nobody."""


@dataclass(frozen=True)
class Manner:
    """How a picture is synthesised: seed, rounds at the full size, who is asked and works."""

    seed: int
    rounds: int
    pace: Pace | Silence
    run: Runner


def peeled(level: Level, drawn: Mask, manner: Manner) -> Field:
    """Paint the coarsest level from the hole's edge inwards; return where pixels came from.

    Lines that enter the hole are carried on before any average can wash them out. What a
    guide has ``drawn`` is known from the start.
    """
    height, width = level.hole.shape
    choices = np.ascontiguousarray(np.argwhere(level.allowed), np.int32)
    choices = np.ascontiguousarray(choices[:: max(1, len(choices) // _PEEL_CHOICES)])
    field = np.zeros((height, width, 2), np.int32)
    known = (~level.hole | drawn).astype(np.uint8)
    while not known.all():
        manner.pace.check()
        edge = (cv2.dilate(known, np.ones((3, 3), np.uint8)) > 0) & (known == 0)
        if not edge.any():
            break
        ring, matches = _best_of_all(level, known, edge, choices, manner)
        rows, columns = ring[:, 0], ring[:, 1]
        level.image[rows, columns] = level.image[matches[:, 0], matches[:, 1]]
        field[rows, columns] = matches
        known[rows, columns] = 1
    if drawn.any():
        ring, matches = _best_of_all(level, known, drawn, choices, manner)
        field[ring[:, 0], ring[:, 1]] = matches
    return field


def _best_of_all(
    level: Level,
    known: npt.NDArray[np.uint8],
    where: Mask,
    choices: npt.NDArray[np.int32],
    manner: Manner,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the pixels of ``where`` (n, 2) and the best choice for each."""
    height, width = where.shape
    ring = np.ascontiguousarray(np.argwhere(where), np.int32)
    inner = np.clip(ring, RADIUS, np.array([height, width]) - RADIUS - 1).astype(np.int32)
    inner = np.ascontiguousarray(inner)
    matches = np.zeros_like(ring)
    manner.run(
        [
            partial(
                peel_patches,
                level.image,
                known,
                inner[start : start + _PEEL_BITE],
                choices,
                matches[start : start + _PEEL_BITE],
                RADIUS,
                _PEEL_REACH_PX,
            )
            for start in range(0, len(ring), _PEEL_BITE)
        ]
    )
    return ring, matches


def turns_of(centres: int, depth: int, rounds: int, begun: bool) -> int:
    """Return how often all centres of a level are visited."""
    turns = rounds if depth == 0 else rounds + 2 * min(depth, 4)
    return max(1, VISITS // centres) if begun and turns * centres > VISITS else turns


def settled(
    level: Level, field: Field, depth: int, guide: Guide, manner: Manner, begun: bool = False
) -> Field:
    """Alternate search and repainting until a level is settled; return its field.

    ``begun``: the field comes from a coarser level that is settled.
    """
    search = _search_of(level, field, depth, manner)
    manner.pace.check()
    inside = np.ascontiguousarray(np.argwhere(level.hole), np.int32)
    hole = level.hole.view(np.uint8)
    manner.pace.check()
    held = guide.held(depth, level)
    # The hole's edge knows what belongs there; its middle only what was guessed before.
    away_px = depth_from_edge(level, guide.trusted(depth, level))
    manner.pace.check()
    trust = _trusts(search.matched, away_px, manner.run)
    turns = turns_of(len(search.wanted), depth, manner.rounds, begun)
    if begun and len(search.wanted) * turns_of(1, depth, manner.rounds, False) > VISITS:
        search.reach = min(search.reach, _FINE_REACH_PX)
    for turn in range(turns):
        manner.pace.check()
        mixed_in(level, held, 1 - _LOOSENED * turn / turns)
        search.run(manner.seed * 1009 + depth * 64 + turn)
        manner.pace.check()
        if depth == 0 and turn == turns - 1:
            found = (search.field, search.distance, search.shifts)
            stitch(level, inside, found, trust, manner.run, manner.pace.check)
            break
        wanted = search.distance[search.matched]
        scale = np.float32(max(1e-6, 0.3 * float(np.percentile(wanted, 60))))
        _repaint(search, hole, inside, trust, scale)
    return search.field


def _trusts(matched: Mask, away_px: Floats, run: Runner) -> Floats:
    """Return how far each match is trusted, (h, w), by how far it lies from what is known."""
    trust = np.empty(matched.shape, np.float32)

    def put(rows: slice) -> None:
        # However deep a match lies, it says more than none: 0 would leave its pixels as they are.
        far = np.maximum(np.power(_TRUST_FALLOFF, -away_px[rows]), _LEAST_TRUST)
        trust[rows] = np.where(matched[rows], far, 0.0)

    run([partial(put, rows) for rows in bands(len(trust))])
    return trust


def unlikeness(level: Level, field: Field, depth: int, manner: Manner) -> float:
    """Return how far the patches of a painted level are from the nearest known ones."""
    search = _search_of(level, field, depth, manner)
    search.run(manner.seed + 5)
    return float(search.distance[search.matched].mean(dtype=np.float64))


def busyness(level: Level, run: Runner) -> float:
    """Return how much texture a painted level has in its hole."""
    planes = np.empty((*level.hole.shape, 2), np.float32)
    texture(level.image[..., :COLOURS], np.zeros_like(level.hole), planes, run)
    return float(planes[level.hole].mean(dtype=np.float64))


def _search_of(level: Level, field: Field, depth: int, manner: Manner) -> _Search:
    height, width = level.hole.shape
    grown = cv2.dilate(level.hole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    inside_frame = np.zeros_like(grown)
    inside_frame[RADIUS : height - RADIUS, RADIUS : width - RADIUS] = True
    manner.pace.check()
    matched = grown & inside_frame
    manner.pace.check()
    valid = _valid_field(level, field, matched, manner.seed + depth)
    manner.pace.check()
    compared = Softened(level) if depth <= _GRAINY_DEPTH else level
    manner.pace.check()
    sums, largest = _summed(compared.image, level, manner.run)
    return _Search(
        level=level,
        compared=compared,
        depth=depth,
        sums=sums,
        largest=largest,
        matched=matched,
        wanted=np.ascontiguousarray(np.argwhere(matched), np.int32),
        field=valid,
        distance=np.full((height, width), np.inf, np.float32),
        shifts=np.zeros((height, width, 3), np.float32),
        pace=manner.pace,
        runner=manner.run,
    )


def _summed(image: Floats, level: Level, run: Runner) -> tuple[Floats, np.float32]:
    """Return the sums of colours over each patch that may be copied, and the largest magnitude.

    They stay true while a level is painted: such patches hold no pixel of the hole.
    """
    sums = np.zeros((*level.hole.shape, COLOURS), np.float32)
    allowed, height = level.allowed.view(np.uint8), level.hole.shape[0]
    largest = run(
        [
            partial(sum_patches, image, allowed, RADIUS, top, top + _SUMMED_ROWS, sums)
            for top in range(0, height, _SUMMED_ROWS)
        ]
    )
    return sums, np.float32(max(largest))


def _repaint(
    search: _Search,
    hole: npt.NDArray[np.uint8],
    inside: npt.NDArray[np.int32],
    trust: Floats,
    scale: np.float32,
) -> None:
    """Paint the hole with the mean of what its patches say."""
    image, weight = search.level.image, np.zeros(hole.shape, np.float32)
    wanted, distance = search.wanted, search.distance
    search.runner(
        [
            partial(weigh_patches, wanted[share], distance, trust, scale, weight)
            for share in shares(len(wanted))
        ]
    )
    found = (search.field, search.shifts, weight)
    # No pixel of the hole is ever copied from, so each may be repainted on its own.
    search.runner(
        [
            partial(vote_patches, image, hole, inside[share], *found, RADIUS)
            for share in shares(len(inside))
        ]
    )


@dataclass
class _Search:
    """The nearest-neighbour field of one level and what improves it."""

    level: Level
    compared: Level | Softened
    depth: int
    sums: Floats
    largest: np.float32
    matched: Mask
    wanted: npt.NDArray[np.int32]
    field: Field
    distance: Floats
    shifts: Floats
    pace: Pace | Silence
    runner: Runner

    def __post_init__(self) -> None:
        self.reach = max(self.level.allowed.shape)
        self.pace.check()
        self._forth = waves(self.wanted, forward=True)
        self.pace.check()
        self._back = waves(np.ascontiguousarray(self.wanted[::-1]), forward=False)

    def run(self, seed: int) -> None:
        """Measure the field on the picture as it is now, then improve it both ways."""
        self.pace.check()
        if isinstance(self.compared, Softened):
            self.compared.follow()
            self.pace.check()
        features, found = self.compared.image, (self.field, self.distance, self.shifts)
        rules = (RADIUS, _SHIFT_LIMIT, np.float32(_WAY_PRICE * 2.0**self.depth))
        self.runner(
            [
                partial(measure_patches, features, self.wanted[share], *found, *rules)
                for share in shares(len(self.wanted))
            ]
        )
        allowed = self.level.allowed.view(np.uint8)
        for turn, every in enumerate((self._forth, self._back)):
            states = self._states(seed * 2 + turn)
            order = self.wanted if turn == 0 else self.wanted[::-1]
            states = states if turn == 0 else self._turned(states)
            sums = (self.reach, self.sums, self.largest)
            for wave in every:
                # In waves, so that a cancel is noticed within a fraction of a second.
                self.pace.went_on(sum(len(part) for part in wave))
                parts = [(np.ascontiguousarray(order[part]), states[part]) for part in wave]
                self.runner(
                    [
                        partial(
                            match_patches,
                            features,
                            allowed,
                            part,
                            *found,
                            *rules,
                            turn == 0,
                            own_states,
                            *sums,
                        )
                        for part, own_states in parts
                    ]
                )

    def _states(self, seed: int) -> npt.NDArray[np.uint64]:
        """Return the random state of each wanted centre, a sequence for each bite of them."""
        states = np.empty(len(self.wanted), np.uint64)
        for start in range(0, len(states), _BITE):
            bite = states[start : start + _BITE]
            random_states(bite, self.reach, np.uint64(seed * 1000003 + start))
        return states

    def _turned(self, states: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return states for the reverse order; each bite keeps its sequence from its start."""
        starts = range(0, len(states), _BITE)
        bites = [states[start : start + _BITE] for start in reversed(starts)]
        return np.concatenate([np.zeros(0, np.uint64), *bites])


def _valid_field(level: Level, field: Field, matched: Mask, seed: int) -> Field:
    """Return a field whose matched entries all point at allowed centres."""
    choices = np.flatnonzero(level.allowed)
    drawn = np.random.default_rng(seed).integers(0, len(choices), level.hole.shape)
    valid = np.empty_like(field)
    choose_matches(field, matched, level.allowed, choices, drawn, valid)
    return valid
