"""Texture and structure for what no frame shows, from the plate's own surroundings.

Patch-based completion in a pyramid (Y. Wexler et al., "Space-Time Completion of Video",
PAMI 2007; PatchMatch search; texture features after A. Newson et al., SIAM 2014): coarse
levels settle where edges run, fine ones copy texture. The last level copies whole pixels
from the best patch instead of averaging, so grain stays grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.kernels import (
    match_patches,
    measure_patches,
    peel_patches,
    random_states,
    vote_patches,
)
from genai_fill_server.engines.cleanplate.waves import (
    Runner,
    one_by_one,
    shares,
    waves,
)
from genai_fill_server.service.ports import Watch

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.int32]

RADIUS = 3
_SMALLEST_SIDE_PX = 24
_TEXTURE_WEIGHT = 2.0
_TRUST_FALLOFF = 2.0
_WAY_PRICE = 0.02
_SHIFT_LIMIT = np.float32(0.25)
_BITE = 12000
_COARSE_THICKNESS_PX = 6.0
_PEEL_CHOICES = 20000
_PEEL_BITE = 16


@dataclass
class _Level:
    """One size of the picture, padded by the patch radius.

    ``image`` (h, w, 5) holds three colours and two texture planes; both are repainted.
    """

    image: Floats
    hole: Mask
    allowed: Mask


def synthesise(
    encoded: Floats,
    hole: Mask,
    unusable: Mask,
    seed: int,
    rounds: int,
    watch: Watch,
    run: Runner = one_by_one,
) -> Floats:
    """Return ``encoded`` (h, w, 3, of `encoding.encode`) with ``hole`` repainted.

    ``unusable`` pixels outside the hole are neither copied nor looked at as truth. With
    nothing to copy from, the hole is filled smoothly. Deterministic in ``seed``, whatever
    threads ``run`` shares the work out to.
    """
    start = pull_push(encoded, (~(hole | unusable)).astype(np.float32))
    unknown = hole | unusable
    levels = _pyramid(encoded, start, unknown)
    if not levels:
        return np.where(hole[..., None], start, encoded)
    field: Field | None = None
    painted: Floats | None = None
    for depth in range(len(levels) - 1, -1, -1):
        watch.check()
        level = levels[depth]
        if painted is not None and field is not None:
            field = _enlarged(field, level)
            _paint_from_coarse(level, painted, field)
        else:
            field = _peeled(level, watch, run)
        field = _settle(level, field, depth, seed, rounds, watch, run)
        painted = level.image
    inner = levels[0].image[RADIUS:-RADIUS, RADIUS:-RADIUS, :3]
    return np.where(hole[..., None], inner[: hole.shape[0], : hole.shape[1]], encoded)


def _pyramid(encoded: Floats, start: Floats, unknown: Mask) -> list[_Level]:
    levels: list[_Level] = []
    image, known = np.where(unknown[..., None], start, encoded), (~unknown).astype(np.float32)
    while True:
        level = _level(image, known < 0.999)
        if not level.allowed.any():
            break
        levels.append(level)
        height, width = known.shape
        thick = cv2.distanceTransform((known < 0.999).astype(np.uint8), cv2.DIST_L2, 3).max()
        if min(height, width) < 2 * _SMALLEST_SIDE_PX or thick <= _COARSE_THICKNESS_PX:
            break
        half_known = _half(known)
        half = _half(image * known[..., None])
        mean = np.asarray(half / np.maximum(half_known, 1e-6)[..., None], np.float32)
        filled = pull_push(mean, (half_known > 0.3).astype(np.float32))
        # A reduced pixel that is partly known is known: holes must shrink, not grow.
        image, known = filled, (half_known > 0.3).astype(np.float32)
    return levels


def _half(plane: Floats) -> Floats:
    height, width = plane.shape[:2]
    padded = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // 2, padded.shape[0] // 2)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _level(image: Floats, unknown: Mask) -> _Level:
    padded = cv2.copyMakeBorder(
        image.astype(np.float32), RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101
    )
    hole = np.pad(unknown, RADIUS, constant_values=False)
    free = np.pad(~unknown, RADIUS, constant_values=False).astype(np.uint8)
    side = 2 * RADIUS + 1
    allowed = cv2.erode(
        free, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    colours = np.asarray(padded, np.float32)
    features = np.dstack([colours, _texture(colours, hole)])
    return _Level(np.ascontiguousarray(features), hole, allowed.astype(np.bool_))


def _texture(padded: Floats, hole: Mask) -> Floats:
    """Return how busy the picture is, (h, w, 2): mean absolute slope in x and y."""
    grey = np.asarray(padded.mean(axis=2), np.float32)
    planes = []
    known = (~hole).astype(np.float32)
    for dx, dy in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, dy, ksize=3)) / 4.0
        weight = cv2.erode(known, np.ones((3, 3), np.uint8))
        mass = cv2.blur(weight, (9, 9))
        mean = cv2.blur(slope * weight, (9, 9)) / np.maximum(mass, 1e-6)
        planes.append(pull_push(np.asarray(mean, np.float32), (mass > 0.1).astype(np.float32)))
    return np.dstack(planes) * np.float32(_TEXTURE_WEIGHT)


def _enlarged(field: Field, level: _Level) -> Field:
    height, width = level.hole.shape
    rows = np.clip((np.arange(height) - RADIUS) // 2 + RADIUS, 0, field.shape[0] - 1)
    columns = np.clip((np.arange(width) - RADIUS) // 2 + RADIUS, 0, field.shape[1] - 1)
    coarse = field[rows][:, columns]
    odd_rows = (np.arange(height) - RADIUS) % 2
    odd_columns = (np.arange(width) - RADIUS) % 2
    big = (coarse - RADIUS) * 2 + RADIUS
    big[..., 0] += odd_rows[:, None]
    big[..., 1] += odd_columns[None]
    return np.asarray(big, np.int32)


def _paint_from_coarse(level: _Level, painted: Floats, field: Field) -> None:
    """Start a level with the pixels that the coarser level's matches point at."""
    height, width = level.hole.shape
    rows = np.clip(field[..., 0], RADIUS, height - RADIUS - 1)
    columns = np.clip(field[..., 1], RADIUS, width - RADIUS - 1)
    good = level.hole & ~level.hole[rows, columns] & (field[..., 0] > 0)
    level.image[good] = level.image[rows, columns][good]
    rest = level.hole & ~good
    if rest.any():
        inner = painted[RADIUS:-RADIUS, RADIUS:-RADIUS]
        size = (inner.shape[1] * 2, inner.shape[0] * 2)
        big = cv2.resize(inner, size, interpolation=cv2.INTER_LINEAR)
        padded = cv2.copyMakeBorder(
            big, RADIUS, RADIUS + 1, RADIUS, RADIUS + 1, cv2.BORDER_REFLECT_101
        )[:height, :width]
        level.image[rest] = padded[rest]


def _peeled(level: _Level, watch: Watch, run: Runner) -> Field:
    """Paint the coarsest level from the hole's edge inwards; return where pixels came from.

    Lines that enter the hole are carried on before any average can wash them out.
    """
    height, width = level.hole.shape
    choices = np.ascontiguousarray(np.argwhere(level.allowed), np.int32)
    choices = np.ascontiguousarray(choices[:: max(1, len(choices) // _PEEL_CHOICES)])
    field = np.zeros((height, width, 2), np.int32)
    known = (~level.hole).astype(np.uint8)
    while not known.all():
        watch.check()
        edge = (cv2.dilate(known, np.ones((3, 3), np.uint8)) > 0) & (known == 0)
        ring = np.ascontiguousarray(np.argwhere(edge), np.int32)
        if len(ring) == 0:
            break
        inner = np.clip(ring, RADIUS, np.array([height, width]) - RADIUS - 1).astype(np.int32)
        inner = np.ascontiguousarray(inner)
        matches = np.zeros_like(ring)
        bites = (slice(i, i + _PEEL_BITE) for i in range(0, len(ring), _PEEL_BITE))
        run(
            [
                partial(peel_patches, level.image, known, inner[b], choices, matches[b], RADIUS)
                for b in bites
            ]
        )
        rows, columns = ring[:, 0], ring[:, 1]
        level.image[rows, columns] = level.image[matches[:, 0], matches[:, 1]]
        field[rows, columns] = matches
        known[rows, columns] = 1
    return field


def _settle(
    level: _Level,
    field: Field | None,
    depth: int,
    seed: int,
    rounds: int,
    watch: Watch,
    run: Runner,
) -> Field:
    """Alternate search and repainting until a level is settled; return its field."""
    height, width = level.hole.shape
    grown = cv2.dilate(level.hole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    inside_frame = np.zeros_like(grown)
    inside_frame[RADIUS : height - RADIUS, RADIUS : width - RADIUS] = True
    matched = grown & inside_frame
    search = _Search(
        level=level,
        depth=depth,
        wanted=np.ascontiguousarray(np.argwhere(matched), np.int32),
        field=_valid_field(level, field, matched, seed + depth),
        distance=np.full((height, width), np.inf, np.float32),
        shifts=np.zeros((height, width, 3), np.float32),
        watch=watch,
        runner=run,
    )
    inside = np.ascontiguousarray(np.argwhere(level.hole), np.int32)
    hole = level.hole.astype(np.uint8)
    # The hole's edge knows what belongs there; its middle only what was guessed before.
    depth_px = cv2.distanceTransform(hole, cv2.DIST_L2, 3)
    trust = np.where(matched, np.power(_TRUST_FALLOFF, -depth_px), 0.0).astype(np.float32)
    turns = rounds if depth == 0 else rounds + 2 * min(depth, 4)
    for turn in range(turns):
        search.run(seed * 1009 + depth * 64 + turn)
        last = depth == 0 and turn == turns - 1
        scale = np.float32(max(1e-6, 0.3 * float(np.percentile(search.distance[matched], 60))))
        _repaint(search, hole, inside, trust, scale, last)
    return search.field


def _repaint(
    search: _Search,
    hole: npt.NDArray[np.uint8],
    inside: npt.NDArray[np.int32],
    trust: Floats,
    scale: np.float32,
    last: bool,
) -> None:
    """Paint the hole with what its patches say; ``last`` copies instead of averaging."""
    image = search.level.image
    found = (search.field, search.distance, search.shifts)
    # No pixel of the hole is ever copied from, so each may be repainted on its own.
    search.runner(
        [
            partial(vote_patches, image, hole, inside[share], *found, trust, RADIUS, scale, last)
            for share in shares(len(inside))
        ]
    )


@dataclass
class _Search:
    """The nearest-neighbour field of one level and what improves it."""

    level: _Level
    depth: int
    wanted: npt.NDArray[np.int32]
    field: Field
    distance: Floats
    shifts: Floats
    watch: Watch
    runner: Runner

    def __post_init__(self) -> None:
        self._forth = waves(self.wanted, forward=True)
        self._back = waves(np.ascontiguousarray(self.wanted[::-1]), forward=False)

    def run(self, seed: int) -> None:
        """Measure the field on the picture as it is now, then improve it both ways."""
        features = self.level.image.copy()
        price = np.float32(_WAY_PRICE * 2.0**self.depth)
        self.runner(
            [
                partial(
                    measure_patches,
                    features,
                    self.wanted[share],
                    self.field,
                    self.distance,
                    self.shifts,
                    RADIUS,
                    _SHIFT_LIMIT,
                    price,
                )
                for share in shares(len(self.wanted))
            ]
        )
        allowed = self.level.allowed.astype(np.uint8)
        for turn in range(2):
            states = self._states(seed * 2 + turn)
            order = self.wanted if turn == 0 else self.wanted[::-1]
            states = states if turn == 0 else self._turned(states)
            for wave in self._forth if turn == 0 else self._back:
                # In waves, so that a cancel is noticed within a fraction of a second.
                self.watch.check()
                self.runner(
                    [
                        partial(
                            match_patches,
                            features,
                            allowed,
                            np.ascontiguousarray(order[part]),
                            self.field,
                            self.distance,
                            self.shifts,
                            RADIUS,
                            _SHIFT_LIMIT,
                            price,
                            turn == 0,
                            states[part],
                        )
                        for part in wave
                    ]
                )

    def _states(self, seed: int) -> npt.NDArray[np.uint64]:
        """Return the random state of each wanted centre, a sequence for each bite of them."""
        states = np.empty(len(self.wanted), np.uint64)
        reach = max(self.level.allowed.shape)
        for start in range(0, len(states), _BITE):
            random_states(states[start : start + _BITE], reach, np.uint64(seed * 1000003 + start))
        return states

    def _turned(self, states: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return states for the reverse order; each bite keeps its sequence from its start."""
        starts = range(0, len(states), _BITE)
        bites = [states[start : start + _BITE] for start in reversed(starts)]
        return np.concatenate([np.zeros(0, np.uint64), *bites])


def _valid_field(level: _Level, field: Field | None, matched: Mask, seed: int) -> Field:
    """Return a field whose matched entries all point at allowed centres."""
    height, width = level.hole.shape
    choices = np.argwhere(level.allowed).astype(np.int32)
    random = np.random.default_rng(seed)
    fresh = choices[random.integers(0, len(choices), (height, width))]
    if field is None:
        return np.ascontiguousarray(fresh)
    rows = np.clip(field[..., 0], 0, height - 1)
    columns = np.clip(field[..., 1], 0, width - 1)
    good = level.allowed[rows, columns] & (field[..., 0] == rows) & (field[..., 1] == columns)
    result = np.where((good & matched)[..., None], field, fresh)
    return np.ascontiguousarray(result.astype(np.int32))
