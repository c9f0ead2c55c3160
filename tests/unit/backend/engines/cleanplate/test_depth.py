"""Depth: cameras from pixels, what hides what, and shots with more depths than planes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.alignment import Alignment
from genai_fill_server.engines.cleanplate.choice import costs
from genai_fill_server.engines.cleanplate.depth_way import DEPTH_PLANE, Seen, neighbours
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.relative_depth import (
    camera_of,
    depth_of,
    epipole,
    seen_at,
    share_along,
)
from genai_fill_server.engines.cleanplate.splatting import splatted
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch


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
        gain=np.zeros((shape[0] // 2, shape[1] // 2, 3), np.float32),
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


def test_what_is_nearer_hides_what_is_farther_and_the_same_depth_mixes():
    landing = np.array([[2, 1], [2, 1], [5, 1], [5, 1]], np.float32)
    near = np.array([0.0, 1.0, 1.0, 0.95], np.float32)
    values = np.array([[10.0], [20.0], [30.0], [40.0]], np.float32)

    found, mass = splatted(landing, near, values, 0.1, (8, 3))

    assert found[1, 2, 0] == 20.0
    assert found[1, 5, 0] == 35.0
    assert mass[1, 2] == 1.0
    assert mass[0].sum() == mass[2].sum() == mass[1, 0] == 0.0


def test_pixels_that_land_outside_are_left_out():
    landing = np.array([[-5, 1], [3, 99], [np.float32(1e9), 0], [1, 1]], np.float32)

    _, mass = splatted(landing, np.zeros(4), np.ones((4, 1)), 0.1, (4, 3))

    assert mass.sum() == 1.0


def test_neighbours_stand_on_the_far_side_first_and_never_on_the_target():
    frames = {n: Seen(None, np.eye(3)) for n in range(1, 20)}

    def chosen(target, source):
        ours = neighbours(target, source, frames)
        return [next(n for n, seen in frames.items() if seen is one) for one in ours]

    assert chosen(5, 8) == [11, 6]
    assert chosen(8, 5) == [2, 7]
    assert chosen(5, 19) == [11]
    assert chosen(2, 3) == [5, 1]


DEPTHS = (1.0, 2.5, 4.0, 5.5, 7.5)
WIDTH, HEIGHT, FRAMES = 320, 200, 12


def _texture(seed, width):
    random = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(random.uniform(0, 1, (HEIGHT, width, 3)), (0, 0), 1.4)
    coarse = cv2.GaussianBlur(random.uniform(0, 1, (HEIGHT, width, 3)), (0, 0), 9.0)
    mixed = 0.5 * fine / fine.std() + coarse / coarse.std()
    tint = np.random.default_rng(90 + seed).uniform(0.5, 1.5, 3)
    return (0.2 * np.exp(0.35 * (mixed - mixed.mean())) * tint).astype(np.float32)


def five_depths():
    """Return plates, mattes and truths of upright slabs at five depths, a camera sliding by."""
    layers = [_texture(i, WIDTH + 140) for i in range(len(DEPTHS))]
    plates, mattes, truths = [], [], []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    for frame in range(FRAMES):
        clean = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for number, (speed, layer) in enumerate(zip(DEPTHS, layers, strict=True)):
            shift = 60.0 - speed * (frame - FRAMES / 2)
            moved = cv2.remap(layer, columns + np.float32(60 + 60 - shift), rows, cv2.INTER_CUBIC)
            start = 36 + 62 * (number - 1) + speed * (FRAMES / 2 - frame)
            inside = (columns > start) & (columns < start + 44) & (rows > 30 + 20 * number)
            clean = np.where((inside | (number == 0))[..., None], moved, clean)
        matte = (np.hypot(columns - (40 + 21 * frame), 0.7 * (rows - 110)) < 30).astype(np.float32)
        truths.append(clean)
        mattes.append(matte)
        plates.append(np.where(matte[..., None] > 0, 0.9, clean))
    return (np.array(stack, np.float32) for stack in (plates, mattes, truths))


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
