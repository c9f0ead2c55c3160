from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_server.engines.diffusers.refining import OVERLAP, fade_weights, plan_tiles, refine


def box(size, y0, x0, y1, x1):
    hole = np.zeros(size, bool)
    hole[y0:y1, x0:x1] = True
    return hole


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(20, 400),
    width=st.integers(20, 400),
    side=st.sampled_from([16, 64, 100]),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_tiles_cover_the_hole_stay_inside_and_overlap(height, width, side, corners):
    y0, y1 = sorted(int(c * (height - 1)) for c in corners[:2])
    x0, x1 = sorted(int(c * (width - 1)) for c in corners[2:])
    hole = box((height, width), y0, x0, y1 + 1, x1 + 1)

    tiles = plan_tiles(hole, side)

    covered = np.zeros_like(hole)
    for tile in tiles:
        assert 0 <= tile.y0 < tile.y1 <= height
        assert 0 <= tile.x0 < tile.x1 <= width
        assert tile.y1 - tile.y0 == min(side, height)
        assert tile.x1 - tile.x0 == min(side, width)
        assert all(fade == 0 or fade >= int(side * OVERLAP) - 1 for fade in tile.fades)
        covered[tile.slices] = True
    assert covered[hole].all()


def test_a_hole_that_fits_one_tile_takes_one_round_its_middle():
    (tile,) = plan_tiles(box((400, 400), 190, 190, 210, 210), 100)

    assert (tile.y0, tile.x0) == (150, 150)
    assert tile.fades == (0, 0, 0, 0)


def test_tiles_without_any_of_the_hole_are_left_out():
    hole = box((400, 400), 0, 0, 20, 20) | box((400, 400), 380, 380, 400, 400)

    assert len(plan_tiles(hole, 100)) == 2


def test_no_hole_no_tiles():
    assert plan_tiles(np.zeros((50, 50), bool), 16) == []


def test_nothing_outside_the_hole_changes():
    hole = box((200, 200), 40, 50, 150, 160)
    picture = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)

    refined = refine(picture, hole, plan_tiles(hole, 64), lambda p, h, n: p + 1)

    np.testing.assert_array_equal(refined[~hole], picture[~hole])
    assert (refined[hole] != picture[hole]).all()


def test_tiles_that_change_nothing_leave_the_picture():
    hole = box((200, 200), 40, 50, 150, 160)
    picture = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)

    refined = refine(picture, hole, plan_tiles(hole, 64), lambda p, h, n: p)

    np.testing.assert_allclose(refined, picture, atol=1e-6)


def test_tiles_that_disagree_show_no_seam():
    hole = np.ones((300, 300), bool)
    flat = np.full((300, 300, 3), 0.5, np.float32)
    tiles = plan_tiles(hole, 128)
    offsets = np.random.default_rng(1).uniform(-0.1, 0.1, len(tiles)).astype(np.float32)

    refined = refine(flat, hole, tiles, lambda p, h, n: np.full_like(p, 0.5 + offsets[n]))

    assert len(tiles) >= 9
    step = max(np.abs(np.diff(refined, axis=axis)).max() for axis in (0, 1))
    # Without fading the steps would be as large as the disagreement, 0.2 at most.
    assert step < 0.012


def test_each_tile_is_given_what_the_ones_before_it_made():
    hole = np.ones((64, 112), bool)
    tiles = plan_tiles(hole, 64)
    seen = []

    def generate(picture, inside, number):
        seen.append(picture.copy())
        return np.full_like(picture, number + 1)

    refine(np.zeros((64, 112, 3), np.float32), hole, tiles, generate)

    overlap = tiles[0].x1 - tiles[1].x0
    assert (seen[1][:, :overlap] == 1).all()
    assert (seen[1][:, overlap:] == 0).all()


@pytest.mark.parametrize("side", [64, 100])
def test_a_fade_rises_smoothly_from_nearly_nothing_to_all(side):
    weights = fade_weights(plan_tiles(np.ones((300, 300), bool), side)[-1])

    assert weights[0, 0] < 0.01
    assert weights[-1, -1] == 1
    assert (np.diff(weights, axis=0) >= 0).all()
    assert (np.diff(weights, axis=1) >= 0).all()
