import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_contract.fill import CropMode
from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.domain.crop_path import Corridor, shortest_path
from genai_fill_server.domain.crop_window import CropRules, plan_crops

PLATE = Window(0, 0, 4096, 2160)


@st.composite
def windows(draw):
    x0, y0 = draw(st.integers(-60, 400)), draw(st.integers(-60, 300))
    return Window(x0, y0, x0 + draw(st.integers(0, 200)), y0 + draw(st.integers(0, 200)))


@st.composite
def shots(draw):
    bounds = Window(
        draw(st.integers(-50, 0)),
        draw(st.integers(-50, 0)),
        draw(st.integers(1, 420)),
        draw(st.integers(1, 320)),
    )
    frames = FrameRange(1001, 1000 + draw(st.integers(1, 12)))
    mattes = {frame: draw(windows()) for frame in frames if draw(st.booleans())}
    rules = CropRules(
        mode=draw(st.sampled_from(list(CropMode))),
        context_px=draw(st.integers(0, 150)),
        multiple_px=draw(st.sampled_from([1, 8, 16, 32])),
        native_size_px=draw(st.sampled_from([0, 64, 512])),
    )
    return bounds, frames, mattes, rules


@settings(max_examples=300, deadline=None)
@given(shots())
def test_every_crop_has_one_size_lies_on_the_plate_and_holds_the_matte(shot):
    bounds, frames, mattes, rules = shot
    crops = plan_crops(mattes, frames, bounds, rules)
    assert list(crops) == list(frames)
    assert len({(crop.width, crop.height) for crop in crops.values()}) == 1
    for frame, crop in crops.items():
        assert not crop.is_empty
        assert bounds.contains(crop)
        if frame in mattes:
            assert crop.contains(mattes[frame].intersection(bounds))


@settings(max_examples=300, deadline=None)
@given(shots())
def test_sides_are_multiples_unless_the_plate_cannot_offer_one(shot):
    bounds, frames, mattes, rules = shot
    crop = plan_crops(mattes, frames, bounds, rules)[frames.first]
    inside = [m.intersection(bounds) for m in mattes.values()]
    inside = [m for m in inside if not m.is_empty]
    for side, limit in ((crop.width, bounds.width), (crop.height, bounds.height)):
        if side % rules.multiple_px:
            assert side == limit
            assert limit < rules.multiple_px or inside


@settings(max_examples=200, deadline=None)
@given(shots())
def test_context_is_kept_whole_where_the_plate_is_large_enough(shot):
    _, frames, mattes, rules = shot
    for frame, crop in plan_crops(mattes, frames, PLATE, rules).items():
        matte = mattes.get(frame, Window(0, 0, 0, 0)).intersection(PLATE)
        if not matte.is_empty:
            assert crop.contains(matte.grown(rules.context_px).intersection(PLATE))


def test_a_small_matte_gets_the_engines_native_size():
    rules = CropRules(CropMode.FIXED, context_px=32, multiple_px=16, native_size_px=1024)
    crop = plan_crops({1: Window(100, 100, 150, 150)}, FrameRange(1, 1), PLATE, rules)[1]
    assert (crop.width, crop.height) == (1024, 1024)
    assert crop.x0 == crop.y0 == 0  # shifted to stay on the plate, not shrunk


def test_a_still_crop_holds_the_matte_of_the_whole_range():
    rules = CropRules(CropMode.FIXED, context_px=10, multiple_px=8)
    mattes = {1: Window(500, 500, 600, 600), 2: Window(900, 500, 1000, 600)}
    crops = plan_crops(mattes, FrameRange(1, 2), PLATE, rules)
    assert crops[1] == crops[2]
    assert crops[1].contains(Window(490, 490, 1010, 610))


def test_a_following_crop_is_smaller_and_moves_evenly():
    frames = FrameRange(1, 50)
    mattes = {f: Window(200 + 40 * f, 800, 500 + 40 * f, 1000) for f in frames}
    rules = CropRules(CropMode.FOLLOW, context_px=64, multiple_px=16)
    crops = plan_crops(mattes, frames, PLATE, rules)
    assert crops[1].width < 600
    steps = [b.x0 - a.x0 for a, b in itertools.pairwise(crops.values())]
    assert max(steps) - min(steps) <= 2
    assert {crop.y0 for crop in crops.values()} == {crops[1].y0}


def test_a_following_crop_stands_still_when_the_matte_only_trembles():
    frames = FrameRange(1, 40)
    mattes = {f: Window(500 + f % 3, 500 - f % 2, 900 + f % 3, 800 - f % 2) for f in frames}
    crops = plan_crops(mattes, frames, PLATE, CropRules(CropMode.FOLLOW, context_px=64))
    assert len(set(crops.values())) == 1


def test_the_whole_plate_is_cut_to_the_multiple_if_the_matte_allows():
    bounds = Window(0, 0, 1998, 1080)
    rules = CropRules(CropMode.FULL, context_px=0, multiple_px=16)
    held = plan_crops({1: Window(10, 10, 20, 20)}, FrameRange(1, 1), bounds, rules)[1]
    assert (held.width, held.height) == (1984, 1072)
    edge_to_edge = plan_crops({1: bounds}, FrameRange(1, 1), bounds, rules)[1]
    assert edge_to_edge == bounds


CORRIDORS = st.lists(
    st.tuples(st.integers(-40, 40), st.integers(0, 30)).map(lambda p: Corridor(p[0], p[0] + p[1])),
    min_size=1,
    max_size=7,
)


@settings(max_examples=300, deadline=None)
@given(CORRIDORS)
def test_the_path_stays_in_its_corridor(corridors):
    path = shortest_path(corridors)
    assert len(path) == len(corridors)
    assert all(c.low <= x <= c.high for c, x in zip(corridors, path, strict=True))


@settings(max_examples=200, deadline=None)
@given(CORRIDORS)
def test_no_path_through_the_corridor_moves_less(corridors):
    # The least possible travel, by dynamic programming over all whole positions.
    best = dict.fromkeys(range(corridors[0].low, corridors[0].high + 1), 0)
    for corridor in corridors[1:]:
        best = {
            x: min(cost + abs(x - other) for other, cost in best.items())
            for x in range(corridor.low, corridor.high + 1)
        }
    path = shortest_path(corridors)
    assert sum(abs(b - a) for a, b in itertools.pairwise(path)) == min(best.values())


@pytest.mark.parametrize("count", [1, 2, 500])
def test_an_open_corridor_gives_one_place_in_its_middle(count):
    assert shortest_path([Corridor(0, 100)] * count) == [50] * count
