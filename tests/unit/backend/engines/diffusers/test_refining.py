from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genai_fill_server.engines.diffusers.painting import detail_options
from genai_fill_server.engines.diffusers.picture import Sizing
from genai_fill_server.engines.diffusers.refining import OVERLAP, fade_weights, plan_tiles, refine


def sized(side, smallest=0.5):
    """What a model is good at whose square tiles have that side."""
    return Sizing(4, round((side * smallest) ** 2), side * side)


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

    tiles = plan_tiles(hole, sized(side))

    covered = np.zeros_like(hole)
    for tile in tiles:
        assert 0 <= tile.y0 < tile.y1 <= height
        assert 0 <= tile.x0 < tile.x1 <= width
        sides = tile.y1 - tile.y0, tile.x1 - tile.x0
        assert tile.area_px <= side * side
        assert max(sides) <= 2 * side
        least = [each * OVERLAP - 1 for each in sides]
        assert all(
            fade == 0 or fade >= int(floor)
            for fade, floor in zip(tile.fades, (least[0],) * 2 + (least[1],) * 2, strict=True)
        )
        assert hole[tile.slices].any()
        covered[tile.slices] = True
    assert covered[hole].all()


def test_a_hole_that_fits_one_tile_takes_one_round_its_middle():
    (tile,) = plan_tiles(box((400, 400), 190, 190, 210, 210), sized(100, smallest=1.0))

    assert (tile.y0, tile.x0, tile.y1, tile.x1) == (150, 150, 250, 250)
    assert tile.fades == (0, 0, 0, 0)


def test_a_small_hole_takes_the_smallest_tile_that_the_model_is_good_at():
    (tile,) = plan_tiles(box((400, 400), 190, 190, 210, 210), sized(100))

    assert 50 * 50 * 0.8 <= tile.area_px <= 60 * 60


def test_a_long_hole_takes_one_long_tile_and_not_two_square_ones():
    (tile,) = plan_tiles(box((400, 400), 190, 140, 210, 260), sized(100))

    assert tile.x1 - tile.x0 > 1.5 * (tile.y1 - tile.y0)
    assert tile.area_px <= 100 * 100


def test_of_a_ring_no_tile_goes_over_the_middle_alone():
    hole = np.ones((600, 600), bool)
    hole[100:500, 100:500] = False

    tiles = plan_tiles(hole, sized(100))

    solid = plan_tiles(np.ones_like(hole), sized(100))
    assert sum(tile.area_px for tile in tiles) < 0.75 * sum(tile.area_px for tile in solid)


def test_tiles_without_any_of_the_hole_are_left_out():
    hole = box((400, 400), 0, 0, 20, 20) | box((400, 400), 380, 380, 400, 400)

    assert len(plan_tiles(hole, sized(100))) == 2


def test_no_hole_no_tiles():
    assert plan_tiles(np.zeros((50, 50), bool), sized(16)) == []


def test_nothing_outside_the_hole_changes():
    hole = box((200, 200), 40, 50, 150, 160)
    picture = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)

    refined = refine(
        picture, hole, plan_tiles(hole, sized(64, smallest=1.0)), lambda p, h, n: p + 1
    )

    np.testing.assert_array_equal(refined[~hole], picture[~hole])
    assert (refined[hole] != picture[hole]).all()


def test_tiles_that_change_nothing_leave_the_picture():
    hole = box((200, 200), 40, 50, 150, 160)
    picture = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)

    refined = refine(picture, hole, plan_tiles(hole, sized(64, smallest=1.0)), lambda p, h, n: p)

    np.testing.assert_allclose(refined, picture, atol=1e-6)


def test_tiles_that_disagree_show_no_seam():
    hole = np.ones((300, 300), bool)
    flat = np.full((300, 300, 3), 0.5, np.float32)
    tiles = plan_tiles(hole, sized(128, smallest=1.0))
    offsets = np.random.default_rng(1).uniform(-0.1, 0.1, len(tiles)).astype(np.float32)

    refined = refine(flat, hole, tiles, lambda p, h, n: np.full_like(p, 0.5 + offsets[n]))

    assert len(tiles) >= 9
    step = max(np.abs(np.diff(refined, axis=axis)).max() for axis in (0, 1))
    # Without fading the steps would be as large as the disagreement, 0.2 at most.
    assert step < 0.012


def test_each_tile_is_given_what_the_ones_before_it_made():
    hole = np.ones((64, 112), bool)
    tiles = plan_tiles(hole, sized(64, smallest=1.0))
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
    weights = fade_weights(plan_tiles(np.ones((300, 300), bool), sized(side, smallest=1.0))[-1])

    assert weights[0, 0] < 0.01
    assert weights[-1, -1] == 1
    assert (np.diff(weights, axis=0) >= 0).all()
    assert (np.diff(weights, axis=1) >= 0).all()


@given(steps=st.integers(1, 150), detail=st.floats(0.01, 0.7))
@example(steps=49, detail=0.03)
@example(steps=103, detail=0.01)
def test_a_tile_makes_a_step_at_least_however_a_pipeline_rounds(steps, detail):
    """Some cut steps * strength to whole ones, some cut what is left out."""
    strength = detail_options({"steps": steps, "detail": detail})["strength"]

    assert int(steps * strength) >= 1
    assert steps - int(max(steps - steps * strength, 0)) <= max(1, steps * detail) + 1
    assert strength <= 1.0
