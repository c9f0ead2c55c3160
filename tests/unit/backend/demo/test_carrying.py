"""The scene's true motion, and what is measured against it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the demo's photographs come with scikit-image")

import cv2

from genai_fill_server.demo.carrying import shift_between, surface_matte
from genai_fill_server.demo.scene import LaunchPad, SceneSize

SIZE = SceneSize(240, 136, 12)


@pytest.fixture(scope="module")
def scene() -> LaunchPad:
    return LaunchPad(SIZE)


def grid():
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width].astype(np.float64)
    return np.stack([columns, rows], axis=-1)


def test_the_true_motion_leads_back_to_where_it_began(scene):
    there = scene.moved(grid(), 2, 9)
    assert np.abs(there - grid()).max() > 1.0
    np.testing.assert_allclose(scene.moved(there, 9, 2), grid(), atol=1e-9)


def test_the_background_lies_where_the_true_motion_says(scene):
    first, second = scene.frame(2).truth, scene.frame(9).truth
    place = scene.moved(grid(), 2, 9).astype(np.float32)
    put = cv2.remap(second, place[..., 0], place[..., 1], cv2.INTER_CUBIC)
    inner = np.zeros(first.shape[:2], np.bool_)
    inner[8:100, 16:-16] = True
    assert shift_between(first, put, inner) < 0.25
    assert shift_between(first, second, inner) > 1.0


def test_near_and_far_move_apart(scene):
    moved = scene.moved(grid(), 0, 10) - grid()
    far, near = moved[20, 120], moved[132, 120]
    assert np.hypot(*(far - near)) > 4.0
    assert scene.is_far(0)[20].all()
    assert not scene.is_far(0)[132].any()


def test_the_surface_matte_stays_on_its_surfaces(scene):
    first, later = surface_matte(scene, 0), surface_matte(scene, 8)
    assert first.max() == 1.0
    place = scene.moved(grid(), 8, 0).astype(np.float32)
    put = cv2.remap(first, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
    assert np.abs(put - later)[:120].max() < 0.35
    assert (later[scene.is_far(8)] > 0).any()
    assert (later[~scene.is_far(8)] > 0).any()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.3), (-1.3, 0.8)])
def test_a_shift_is_measured_whatever_the_light(shift):
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.random((80, 120, 3)).astype(np.float32), (0, 0), 3) ** 2
    y, x = np.mgrid[:80, :120].astype(np.float32)
    moved = cv2.remap(noise, x - np.float32(shift[0]), y - np.float32(shift[1]), cv2.INTER_CUBIC)
    where = np.zeros((80, 120), np.bool_)
    where[10:-10, 10:-10] = True
    assert shift_between(moved * np.float32(1.4), noise, where) == pytest.approx(
        np.hypot(*shift), abs=0.06
    )
