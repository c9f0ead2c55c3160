import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_server.domain.pull_push import complete, upsample
from genai_fill_server.domain.seam import MAX_STOPS, correct_seam, ring_around
from tests.fakes.plates import disc, grainy

SIZE = (240, 320)
HOLE = disc(*SIZE, (120, 160), 50)


def test_a_fill_that_is_off_in_exposure_and_balance_is_brought_back():
    plate = grainy(*SIZE, sigma=0.02)
    off = (plate * np.array([1.3, 0.9, 1.1])).astype(np.float32)
    corrected = correct_seam(off, plate, HOLE)
    inside = HOLE > 0
    np.testing.assert_allclose(corrected[inside], plate[inside], rtol=0.02)


def test_a_drift_across_the_ring_is_followed():
    plate = grainy(*SIZE, sigma=0.0)
    drift = np.linspace(0.8, 1.25, SIZE[1], dtype=np.float32)[None, :, None]
    corrected = correct_seam(plate * drift, plate, HOLE)
    inside = HOLE > 0
    error = np.abs(corrected[inside] / plate[inside] - 1)
    assert error.max() < 0.05
    assert error.mean() < 0.01


def test_a_fill_that_already_fits_is_hardly_touched():
    plate = grainy(*SIZE)
    corrected = correct_seam(plate, plate, HOLE)
    np.testing.assert_allclose(corrected, plate, rtol=1e-6)


def test_something_new_in_the_hole_keeps_its_own_look():
    plate = grainy(*SIZE, sigma=0.0)
    fill = plate.copy()
    fill[100:140, 140:180] = [8.0, 0.01, -0.2]
    corrected = correct_seam(fill, plate, HOLE)
    np.testing.assert_allclose(corrected[100:140, 140:180], fill[100:140, 140:180], rtol=1e-5)


def test_something_that_differs_in_one_place_of_the_ring_does_not_bend_the_rest():
    plate = grainy(*SIZE, sigma=0.01)
    fill = plate.copy()
    fill[52:66, 150:170] *= 6  # the model drew a lamp just outside the matte
    corrected = correct_seam(fill, plate, HOLE)
    inside = HOLE > 0
    np.testing.assert_allclose(corrected[inside], plate[inside], rtol=0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(-6, 6), st.integers(0, 99))
def test_no_correction_beyond_the_limit(stops, seed):
    plate = grainy(*SIZE, seed=seed)
    fill = (plate * 2.0**stops).astype(np.float32)
    gain = correct_seam(fill, plate, HOLE) / fill
    assert gain.max() <= 2**MAX_STOPS * 1.0001
    assert gain.min() >= 2**-MAX_STOPS / 1.0001


@pytest.mark.parametrize("hole", [np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)])
def test_without_a_ring_the_fill_comes_back(hole):
    plate = grainy(*SIZE)
    np.testing.assert_array_equal(correct_seam(plate * 2, plate, hole), plate * 2)


def test_broken_pixels_in_the_ring_are_passed_over():
    plate = grainy(*SIZE)
    plate[50:70, 100:200] = np.nan
    plate[180, :] = np.inf
    corrected = correct_seam(grainy(*SIZE) * np.float32(1.2), plate, HOLE)
    assert np.isfinite(corrected).all()
    np.testing.assert_allclose(corrected[120, 160], grainy(*SIZE)[120, 160], rtol=0.03)


def test_the_ring_is_outside_the_matte_and_about_as_wide_as_said():
    ring = ring_around(HOLE, 24)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = np.hypot(y - 120, x - 160) - 50
    assert not ring[away <= 0].any()
    assert ring[(away > 1) & (away < 18)].all()
    assert not ring[away > 34].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 999))
def test_completion_never_overshoots_and_keeps_what_is_known(height, width, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 5, (height, width, 2)).astype(np.float32)
    known = rng.random((height, width)) < 0.2
    known[0, 0] = True
    done = complete(values * known[..., None], known.astype(np.float32))
    np.testing.assert_allclose(done[known], values[known], rtol=1e-6)
    slack = 1e-4
    assert (done >= values[known].min(axis=0) - slack).all()
    assert (done <= values[known].max(axis=0) + slack).all()


def test_upsampling_a_ramp_gives_a_ramp():
    coarse = np.arange(5, dtype=np.float32)[None, :, None]
    fine = upsample(coarse, 4, 3, 18)[0, :, 0]
    np.testing.assert_allclose(np.diff(fine)[2:-3], 0.25, atol=1e-6)
    assert fine.shape == (18,)
