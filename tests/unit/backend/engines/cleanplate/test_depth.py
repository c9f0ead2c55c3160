"""Depth: cameras from pixels, what hides what, and shots with more depths than planes."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.alignment import Alignment, Target
from genai_fill_server.engines.cleanplate.depth_way import DEPTH_PLANE, Seen, agreed, told_by
from genai_fill_server.engines.cleanplate.description import Detail
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.frame_depth import FrameDepth, FrameDepths
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import region_round
from genai_fill_server.engines.cleanplate.relative_depth import (
    camera_of,
    depth_of,
    epipole,
    seen_at,
    share_along,
)
from genai_fill_server.engines.cleanplate.splatting import carried, contested, ranges_of
from genai_fill_server.engines.cleanplate.tracks import nodes_of, shortest
from genai_fill_server.engines.cleanplate.waves import one_by_one
from genai_fill_server.engines.cleanplate.weighing import costs
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.sliding_slabs import five_depths


def points(count=900, seed=4):
    """Return pixels of a first view and true cameras' view of a scene with depth."""
    random = np.random.default_rng(seed)
    here = random.uniform([0, 0], [400, 250], (count, 2)).astype(np.float32)
    depth = random.uniform(0.0, 1.0, count).astype(np.float32)
    return here, depth, random


def truth_camera(along):
    """Return a camera that has slid, turned a little and gone ahead a little."""
    plane = np.array([[1.01, 0.004, 3.0], [-0.003, 0.995, -2.0], [1e-5, -2e-5, 1.0]])
    return np.column_stack([plane, [18.0 * along, -5.0 * along, 0.01 * along]])


def test_a_camera_is_found_again_from_pixels_and_depth():
    here, depth, random = points()
    there, _ = seen_at(truth_camera(1.0), here, depth)
    there += random.normal(0, 0.1, there.shape).astype(np.float32)

    found = camera_of(here, depth, there)

    assert found is not None
    again, front = seen_at(found.matrix, here, depth)
    assert front.all()
    assert np.abs(again - seen_at(truth_camera(1.0), here, depth)[0]).max() < 0.2
    assert found.miss_px < 0.2


def test_what_moves_by_itself_does_not_bend_the_camera():
    here, depth, random = points()
    there, _ = seen_at(truth_camera(1.0), here, depth)
    moving = random.uniform(0, 1, len(here)) < 0.2
    there[moving] += [9.0, 7.0]

    found = camera_of(here, depth, there)

    assert found is not None
    again, _ = seen_at(found.matrix, here, depth)
    assert np.abs(again - there)[~moving].max() < 0.3


def test_depth_that_one_view_measures_tells_where_another_sees_it():
    here, depth, _ = points()
    one, other = truth_camera(1.0), truth_camera(-1.3)
    measured = depth_of(one, here, seen_at(one, here, depth)[0])

    assert measured == pytest.approx(depth, abs=1e-3)
    there, _ = seen_at(other, here, measured)
    assert np.abs(there - seen_at(other, here, depth)[0]).max() < 0.05


def test_parallax_of_a_still_scene_has_an_epipole_and_noise_has_none():
    here, depth, random = points()
    there, _ = seen_at(truth_camera(1.0), here, depth)
    flat, _ = seen_at(truth_camera(1.0), here, np.zeros_like(depth))

    way = epipole(there, there - flat)
    none = epipole(there, random.normal(0, 12.0, there.shape).astype(np.float32))

    assert none is None
    assert way is not None
    toward = way[:2] - there * way[2]
    shift = there - flat
    cross = toward[:, 0] * shift[:, 1] - toward[:, 1] * shift[:, 0]
    assert np.abs(cross / np.linalg.norm(toward, axis=1)).max() < 0.05


def test_shifts_of_a_scene_go_along_their_lines_and_those_of_a_flat_one_do_not():
    here, depth, random = points()
    there, _ = seen_at(truth_camera(1.0), here, depth)
    flat, _ = seen_at(truth_camera(1.0), here, np.zeros_like(depth))
    noise = random.normal(0, 0.3, there.shape).astype(np.float32)
    # Most of a flat scene is followed well; in a dark corner flow wanders.
    wandering = noise * np.where(here[:, :1] > 320, 10.0, 0.2).astype(np.float32)

    parallax, made_up = there - flat + noise, wandering
    found = [(epipole(there, shift), shift) for shift in (parallax, made_up)]

    assert all(way is not None for way, _ in found), "the epipole alone does not tell them apart"
    shares = [share_along(way, there, shift, 1.0) for way, shift in found]
    assert shares[0] > 0.9
    assert shares[1] < 0.6
    assert share_along(found[0][0], there, noise * 0, 1.0) == 0.0


def _alignment(plane, place, nearness=None, odd=0.0):
    shape = place.shape[:2]
    return Alignment(
        frame=5,
        plane=plane,
        place=place,
        usable=np.ones(shape, np.bool_),
        levels=np.full(shape, 100.0 + odd, np.float32),
        error=np.zeros(shape, np.float32),
        gain=lambda: np.zeros((shape[0] // 2, shape[1] // 2, 3), np.float32),
        sharpness=1.0,
        nearness=nearness,
    )


class _TargetAtFrame4:
    """What `costs` asks of a target: its frame."""

    proxy = type("ProxyOfFrame4", (), {"frame": 4})


def test_a_plane_that_depth_confirms_costs_no_more_and_one_that_it_does_not_does():
    place = np.zeros((40, 60, 2), np.float32)
    off = place.copy()
    off[:, 30:, 0] = 3.0
    by_depth = _alignment(DEPTH_PLANE, place, nearness=np.zeros((40, 60), np.float32))

    plane, _ = costs(_TargetAtFrame4(), [_alignment(0, off), by_depth], NumbaDevice())

    confirmed, doubted = plane[:, :28], plane[:, 32:]
    alone = costs(_TargetAtFrame4(), [_alignment(0, off)], NumbaDevice())[0]
    np.testing.assert_allclose(confirmed, alone[:, :28], atol=1e-6)
    assert (doubted - alone[:, 32:]).min() > 0.15


def test_too_few_points_make_no_camera():
    here, depth, _ = points(60)

    assert camera_of(here, depth, here) is None


def test_places_that_are_not_numbers_make_no_camera():
    here, depth, _ = points()
    there = np.full_like(here, np.nan)

    assert camera_of(here, depth, there) is None


SLIDE = np.column_stack([np.eye(3), [10.0, 0.0, 0.0]])
"""A camera that sees a pixel of depth g ten times g pixels further to the right."""


def row_of(depths, known=None):
    """Return the depth of a frame of one row, and where it is known."""
    depth = np.array([depths], np.float32)
    return depth, np.ones(depth.shape, np.bool_) if known is None else np.array([known])


def test_what_is_nearer_hides_what_is_farther_and_the_same_depth_mixes():
    depth, known = row_of([0.3, 0.0, 0.0, 0.0, 0.105, 0.005, 0.0])

    place, there = carried(SLIDE, depth, known, ranges_of(depth, known), 1.0, 0.2, (0, 0), (8, 1))
    turned, _ = carried(SLIDE, depth, known, ranges_of(depth, known), -1.0, 0.2, (0, 0), (8, 1))

    assert place[0, 3, 0] == 0.0, "pixel 0 lands on pixel 3 and is nearer"
    assert turned[0, 3, 0] == 3.0, "where less depth is nearer, it is hidden"
    assert 4.0 < place[0, 5, 0] < 5.0
    assert there[0].tolist() == [False, True, True, True, False, True, True, False]


def test_pixels_that_land_outside_or_are_not_known_are_left_out():
    depth, known = row_of([-5.0, 99.0, 1e9, 0.0, 0.0], [True, True, True, True, False])

    place, there = carried(SLIDE, depth, known, ranges_of(depth, known), 1.0, 0.1, (2, 0), (3, 1))

    assert there[0].tolist() == [False, True, False]
    assert place[0, 1].tolist() == [3.0, 0.0]


@pytest.mark.parametrize("seed", range(6))
def test_blocks_that_are_left_out_would_have_landed_nowhere(seed):
    random = np.random.default_rng(seed)
    depth = random.uniform(-1, 1, (70, 110)).astype(np.float32)
    known = random.random(depth.shape) < 0.6
    camera = truth_camera(random.uniform(-3, 3))
    camera[:, 2] += [random.uniform(-90, 90), random.uniform(-60, 60), 0]
    ranges = ranges_of(depth, known)
    everywhere = np.full_like(ranges, 1e9)
    everywhere[..., 0] = -1e9

    told, all_asked = (
        carried(camera, depth, known, blocks, 1.0, 0.2, (20, 15), (50, 30))
        for blocks in (ranges, everywhere)
    )

    assert all_asked[1].any()
    assert np.array_equal(told[0], all_asked[0])
    assert np.array_equal(told[1], all_asked[1])


def test_ranges_are_the_least_and_most_depth_of_what_is_known():
    depth = np.zeros((20, 40), np.float32)
    depth[3, 5], depth[3, 6], depth[18, 17] = 4.0, -9.0, 2.0
    known = np.ones(depth.shape, np.bool_)
    known[3, 6] = False
    known[:16, 32:] = False

    ranges = ranges_of(depth, known)

    assert ranges.shape == (2, 3, 2)
    assert ranges[0, 0].tolist() == [0.0, 4.0]
    assert ranges[1, 1].tolist() == [0.0, 2.0]
    assert ranges[0, 2, 0] > ranges[0, 2, 1], "nothing is known there"


def test_what_hides_what_tells_which_end_of_depth_is_near():
    random = np.random.default_rng(3)
    levels = random.integers(0, 255, (60, 80)).astype(np.uint8)
    depth = np.zeros((60, 80), np.float32)
    depth[20:40, 30:50] = 1.2
    known = np.ones(depth.shape, np.bool_)
    seen, behind = levels.copy(), levels.copy()
    seen[20:40, 42:62] = levels[20:40, 30:50]
    free = np.full(levels.shape, 255, np.uint8)

    near = contested(SLIDE, depth, known, (levels, seen), free, 0.5, 40.0)
    far = contested(SLIDE, depth, known, (levels, behind), free, 0.5, 40.0)
    covered = contested(SLIDE, depth, known, (levels, seen), 0 * free, 0.5, 40.0)

    assert near > 1000.0
    assert far < -1000.0
    assert covered == 0.0


def _proxy(frame, height=100):
    return type("ProxyOf", (), {"frame": frame, "levels": np.zeros((height, 200), np.uint8)})()


def _others(frame, frames, cut_after=None):
    """Return which of ``frames`` are to measure ``frame``'s depth."""

    def chain(first, last):
        low, high = min(first, last), max(first, last)
        crosses = cut_after is not None and low <= cut_after < high
        return None if crosses or last not in frames else (_proxy(last), np.eye(3))

    return sorted(FrameDepths(kit=None, chain=chain).others(frame))


def test_a_frame_is_measured_by_two_frames_to_each_side_and_never_across_a_cut():
    assert _others(10, range(1, 30)) == [5, 8, 12, 15]
    assert _others(1, range(1, 30)) == [3, 6]
    assert _others(2, range(1, 30)) == [1, 4, 7]
    assert _others(10, range(8, 12)) == [8, 11]
    assert _others(10, range(1, 30), cut_after=11) == [5, 8, 11]
    assert _others(10, [10]) == []


def test_in_long_shots_every_second_frame_is_measured_and_one_way_leads_there_from_others():
    def chain(first, last):
        return (_proxy(last), np.eye(3)) if last in range(1, 90) else None

    depths = FrameDepths(kit=None, chain=chain, in_reach=49)

    assert [depths.nearest(frame, range(1, 90)) for frame in (4, 5, 6)] == [4, 6, 6]
    assert depths.nearest(5, {3, 4, 5}) == 4
    assert depths.nearest(5, {3, 5, 7}) == 5, "where both beside it are missing"
    assert sorted(depths.others(10)) == [4, 8, 12, 16]
    assert sorted(depths.others(88)) == [82, 86]
    assert list(depths.others(11)) == [12]
    assert list(depths.others(89)) == [88]
    way = shortest(11, 34, depths.others)
    assert (way[0], way[1], way[-1]) == (11, 12, 34)
    assert len(way) <= 7


def test_shots_on_twos_and_gaps_lose_no_depth():
    def on_twos(first, last):
        return (_proxy(last), np.eye(3)) if last in range(1001, 1101, 2) else None

    depths = FrameDepths(kit=None, chain=on_twos, first=1001, in_reach=49)
    assert depths.nearest(1033, range(1001, 1101, 2)) == 1033
    assert sorted(depths.others(1033)) == [1027, 1031, 1035, 1039]

    uneven = FrameDepths(kit=None, chain=on_twos, first=1000, in_reach=49)
    assert uneven.nearest(1033, range(1001, 1101, 2)) == 1033
    assert sorted(uneven.others(1033)) == [1027, 1031, 1035, 1039]


def test_a_frame_that_vanishes_meanwhile_is_no_source_and_no_error():
    there = set(range(1, 30))

    def chain(first, last):
        return (_proxy(last), np.eye(3)) if {first, last} <= there else None

    depths = FrameDepths(kit=None, chain=chain)
    assert list(depths.others(10))
    there.clear()

    assert depths.followed(10, [12], one_by_one) == [None]
    assert depths.of([_proxy(12)], one_by_one) == [None]


def test_flow_on_low_frames_is_never_measured():
    def chain(first, last):
        return (_proxy(last, 31), np.eye(3)) if last in range(1, 30) else None

    assert list(FrameDepths(kit=None, chain=chain).others(10)) == []
    with pytest.raises(ValueError, match="no flow on 200x12 pixels"):
        DisFlow(Detail.NORMAL).between(*np.zeros((2, 12, 200), np.uint8))


def test_depth_of_more_frames_than_are_kept_is_told_all_the_same():
    alone = FrameDepths(kit=None, chain=lambda first, last: None)
    first = [_proxy(frame) for frame in range(64)]
    alone.of(first, one_by_one)

    found = alone.of([first[0], *(_proxy(frame) for frame in range(64, 140))], one_by_one)

    assert found == [None] * 77
    assert len(alone._maps) == 77
    alone.of(first[:2], one_by_one)
    assert len(alone._maps) <= 77


def test_depth_is_told_of_pictures_with_very_many_places():
    height, width = 800, 1024
    random = np.random.default_rng(0)
    levels = random.integers(0, 255, (height, width)).astype(np.uint8)
    hole = np.zeros((height, width), np.bool_)
    hole[208:592, 205:819] = True
    valid = np.where(hole, 0, 255).astype(np.uint8)
    light = np.zeros((height // 2, width // 2, 3), np.float32)
    proxy = Proxy(1, levels, valid, hole, light, light[..., 0])
    target = Target.of(proxy, region_round(Window(205, 208, 819, 592), width, height))
    wave = np.sin(np.mgrid[0:height, 0:width].sum(axis=0) / 90.0).astype(np.float32)
    known = np.ones((height, width), np.bool_)
    depth = FrameDepth(wave, known, 1.0, ranges_of(wave, known))
    nodes = nodes_of(height, width)
    places = nodes + np.dstack([3 * wave[2::4, 2::4], np.zeros(nodes.shape[:2])])
    places[hole[2::4, 2::4]] = np.nan
    assert int(np.isfinite(places[..., 0]).sum()) > 1 << 15

    tools = type("Tools", (), {"device": NumbaDevice()})
    told = told_by(target, Seen(proxy, np.eye(3)), depth, places.astype(np.float32), tools)

    assert told is not None
    assert told.camera.miss_px < 0.5
    assert not told.known[hole[2::4, 2::4]].any()


def test_a_source_that_firmly_says_otherwise_than_most_is_left_out():
    assert agreed([900.0, 1200.0, -1000.0, 1100.0, 1000.0, -30.0]) == (1.0, {2})
    assert agreed([-900.0, -1200.0, 1000.0, -1100.0]) == (-1.0, {2})
    assert agreed([900.0, -1000.0, 800.0]) == (1.0, set()), "no clear majority"
    assert agreed([]) == (1.0, set())


def test_a_shot_with_more_depths_than_planes_is_filled_with_what_is_behind():
    plates, mattes, truths = five_depths()
    watch = QuietWatch()
    engine = create({"worker.threads": 1})[0]
    engine.prepare(watch)
    errors = []
    for index in (4, 7):
        shot = ArrayShot(plates, mattes, frames=FrameRange(1001 + index, 1001 + index))
        (filled,) = engine.fill(shot, EngineJob(seeds=(1,)), watch)
        hole = mattes[index] > 0
        errors.append(np.abs(np.log2(filled.pixels[hole] / truths[index][hole])).ravel())
        assert np.array_equal(filled.pixels[~hole], plates[index][~hole])

    share_off = float((np.concatenate(errors) > 0.35).mean())

    assert share_off < 0.15
