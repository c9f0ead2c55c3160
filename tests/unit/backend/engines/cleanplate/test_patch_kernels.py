"""The search takes a quick look at a patch before it measures it: that must change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate.patch_kernels import (
    COLOURS,
    _room,
    match_patches,
    measure_patches,
    random_states,
    sum_patches,
)
from genai_fill_server.engines.cleanplate.wide_squares import WIDE

HEIGHT, WIDTH, RADIUS, REACH = 70, 90, 3, 40
LIMIT, NEAR = np.float32(0.25), np.float32(0.02)


def flat(random: np.random.Generator) -> np.ndarray:
    """Return steps of colour and nothing else: nearly all of a difference is a step."""
    steps = random.integers(0, 4, (HEIGHT // 10, WIDTH // 10, 5)) * np.float32(0.1)
    return np.kron(steps, np.ones((10, 10, 1)))


def grainy(random: np.random.Generator) -> np.ndarray:
    return 3.0 + 0.08 * random.standard_normal((HEIGHT, WIDTH, 5))


def with_highlights(random: np.random.Generator) -> np.ndarray:
    picture = grainy(random) - 3.0
    picture[::7, ::5] += random.uniform(0, 60, picture[::7, ::5].shape)
    return picture


def repeated(random: np.random.Generator) -> np.ndarray:
    """Return a tile over and over: many patches fit equally well, and without any error."""
    return np.tile(random.standard_normal((10, 10, 5)), (HEIGHT // 10, WIDTH // 10, 1))


def shaded(random: np.random.Generator) -> np.ndarray:
    """Return a texture that is lighter where it is to be matched than where it is copied from."""
    picture = 0.02 * random.standard_normal((HEIGHT, WIDTH, 5))
    picture[:, WIDTH // 2 :, :COLOURS] += 0.2
    return picture


def searched(features: np.ndarray, error: float | None) -> tuple[np.ndarray, ...]:
    """Return field, distance and shifts after a search each way.

    With ``error`` infinite the quick look lets everything through; None is what is so.
    """
    random = np.random.default_rng(8)
    allowed = np.zeros((HEIGHT, WIDTH), np.uint8)
    allowed[RADIUS:-RADIUS, RADIUS : WIDTH // 2] = 1
    wanted = np.argwhere(np.arange(WIDTH) >= WIDTH // 2 + RADIUS)[:, 0]
    rows, columns = np.meshgrid(
        np.arange(RADIUS, HEIGHT - RADIUS), wanted[: -RADIUS or None], indexing="ij"
    )
    centres = np.stack([rows.ravel(), columns.ravel()], axis=1).astype(np.int32)
    choices = np.argwhere(allowed).astype(np.int32)
    field = np.ascontiguousarray(choices[random.integers(0, len(choices), (HEIGHT, WIDTH))])
    distance = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    shifts = np.zeros((HEIGHT, WIDTH, COLOURS), np.float32)
    sums = np.zeros((HEIGHT, WIDTH, COLOURS), np.float32)
    largest = sum_patches(features, allowed, RADIUS, 0, HEIGHT, sums)
    measure_patches(features, centres, field, distance, shifts, RADIUS, LIMIT, NEAR)
    found = (field, distance, shifts, RADIUS, LIMIT, NEAR)
    for forward in (True, False):
        order = np.ascontiguousarray(centres if forward else centres[::-1])
        states = np.empty(len(order), np.uint64)
        random_states(states, REACH, np.uint64(5))
        bound = np.float32(largest if error is None else error)
        match_patches(features, allowed, order, *found, forward, states, REACH, sums, bound)
    return field, distance, shifts


MAKERS = [flat, grainy, with_highlights, repeated, shaded]


@pytest.mark.parametrize("make", MAKERS)
def test_a_better_patch_is_never_too_far_for_the_quick_look(make):
    random = np.random.default_rng(4)
    features = np.ascontiguousarray(make(random), np.float32)
    largest = np.float32(np.abs(features[..., :COLOURS]).max())
    rules = (RADIUS, LIMIT, NEAR)
    centres = random.integers(RADIUS, (HEIGHT - RADIUS, WIDTH - RADIUS), (400, 2))
    for (y, x), (cy, cx) in zip(centres[:200], centres[200:], strict=True):
        one, other = (
            features[r - RADIUS : r + RADIUS + 1, c - RADIUS : c + RADIUS + 1]
            for r, c in ((y, x), (cy, cx))
        )
        own, field = np.array([[y, x]], np.int32), np.zeros((HEIGHT, WIDTH, 2), np.int32)
        distance = np.zeros((HEIGHT, WIDTH), np.float32)
        field[y, x] = cy, cx
        shifts = np.zeros((HEIGHT, WIDTH, COLOURS), np.float32)
        measure_patches(features, own, field, distance, shifts, *rules)
        sums = [p[..., :COLOURS].sum(axis=(0, 1), dtype=np.float64) for p in (one, other)]
        noted = np.append(sums[0], 1e-3 * largest).astype(np.float32)
        place = (int(y), int(x), int(cy), int(cx))

        room = _room(place, rules, distance[y, x], noted, sums[1].astype(np.float32))

        # Had it been the least bit better, it would have been found.
        assert ((one.astype(np.float64) - other) ** 2).sum() <= room


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_quick_look_changes_nothing(make, seed):
    features = np.ascontiguousarray(make(np.random.default_rng(seed)), np.float32)
    # There is a quick look at all: a row has to be at least as wide as it.
    assert (2 * RADIUS + 1) * features.shape[2] >= WIDE

    quick, slow = searched(features, None), searched(features, np.inf)

    for one, other in zip(quick, slow, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_largest_magnitude_counts_every_row_that_was_asked_for():
    features = np.zeros((20, 30, 5), np.float32)
    features[0, 4, 1], features[19, 29, 2], features[10, 10, 4] = -7.0, 9.0, 50.0
    sums, allowed = np.zeros((20, 30, 3), np.float32), np.ones((20, 30), np.uint8)

    assert sum_patches(features, allowed, RADIUS, 0, 12, sums) == 7.0
    assert sum_patches(features, allowed, RADIUS, 12, 40, sums) == 9.0
