import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genai_fill_contract.fill import MatteShaping
from genai_fill_server.domain.matte_shaping import (
    NOISE,
    SHOWS,
    blend_matte,
    generation_matte,
    grow,
    reach_px,
    soften,
)

LEVELS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 1.0, 0.25, 0.5, 0.003])
MATTES = arrays(np.float32, st.tuples(st.integers(1, 22), st.integers(1, 22)), elements=LEVELS)
WIDTHS = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.7, 6.0, 11.0])
GROWS = st.sampled_from([0.0, 0.4, 1.0, 1.42, 2.0, 3.5, 5.0, 9.0])


def distances(shape, points):
    """Distance of each pixel to the nearest of ``points``, by looking at every pair."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    if len(points) == 0:
        return np.full(shape, np.inf)
    square = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    return np.sqrt(square.min(axis=-1))


def dilated_by_looking_at_every_pair(matte, radius):
    rows, columns = np.mgrid[: matte.shape[0], : matte.shape[1]]
    result = np.zeros_like(matte)
    for row, column in np.argwhere(matte > 0):
        near = (rows - row) ** 2 + (columns - column) ** 2 <= radius * radius
        result[near] = np.maximum(result[near], matte[row, column])
    return result


@settings(max_examples=60, deadline=None)
@given(MATTES, GROWS)
def test_grow_is_the_exact_euclidean_dilation_of_soft_values(matte, radius):
    np.testing.assert_array_equal(
        grow(matte, radius), dilated_by_looking_at_every_pair(matte, radius)
    )


@settings(max_examples=60, deadline=None)
@given(MATTES, GROWS)
def test_negative_grow_takes_the_smallest_value_within_the_radius(matte, radius):
    expected = 1 - dilated_by_looking_at_every_pair(1 - matte, radius)
    np.testing.assert_allclose(grow(matte, -radius), expected, atol=1e-7)


@settings(max_examples=80, deadline=None)
@given(MATTES, GROWS, WIDTHS, WIDTHS)
def test_the_artists_matte_is_kept_whole(matte, grow_px, feather_px, blend_px):
    shaping = MatteShaping(grow_px, feather_px, blend_px)
    for shaped in (generation_matte(matte, shaping), blend_matte(matte, shaping)):
        assert shaped.dtype == np.float32
        assert (shaped >= matte).all()
        assert shaped.max(initial=0) <= 1
        assert (shaped[matte == 1] == 1).all()


@settings(max_examples=80, deadline=None)
@given(MATTES, st.one_of(GROWS, GROWS.map(lambda px: -px)), WIDTHS, WIDTHS)
def test_nothing_reaches_farther_than_grow_plus_edge(matte, grow_px, feather_px, blend_px):
    shaping = MatteShaping(grow_px, feather_px, blend_px)
    away = distances(matte.shape, np.argwhere(matte > 0))
    reach = max(grow_px, 0)
    assert (blend_matte(matte, shaping)[away > reach + blend_px] == 0).all()
    edge = max(feather_px, blend_px)
    assert (generation_matte(matte, shaping)[away > reach + edge] == 0).all()
    assert reach_px(shaping) >= reach + edge


@settings(max_examples=60, deadline=None)
@given(MATTES, GROWS, WIDTHS, st.floats(0, 5), st.floats(0, 5))
def test_more_grow_and_a_wider_edge_never_give_less(matte, grow_px, width, more_grow, more_width):
    less = soften(grow(matte, grow_px), width)
    more = soften(grow(matte, grow_px + more_grow), width + more_width)
    assert (more >= less - 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(MATTES, MATTES, GROWS, WIDTHS)
def test_a_larger_matte_never_gives_less(one, other, grow_px, width):
    rows, columns = np.minimum(one.shape, other.shape)
    small = one[:rows, :columns]
    large = np.maximum(small, other[:rows, :columns])
    assert (soften(grow(large, grow_px), width) >= soften(grow(small, grow_px), width) - 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(MATTES.map(lambda m: (m > 0.4).astype(np.float32)), WIDTHS.filter(bool))
def test_the_edge_of_a_hard_matte_follows_the_exact_distance(matte, width):
    u = np.minimum(distances(matte.shape, np.argwhere(matte > 0)) / width, 1)
    expected = 1 - u * u * (3 - 2 * u)
    np.testing.assert_allclose(soften(matte, width), expected, atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(MATTES, WIDTHS, WIDTHS)
def test_there_is_generated_picture_wherever_the_composite_shows_some(matte, feather, blend):
    shaping = MatteShaping(2.0, feather, blend)
    assert (generation_matte(matte, shaping) >= blend_matte(matte, shaping)).all()


def test_a_matte_that_runs_off_the_plate_is_not_eroded_from_its_edge():
    matte = np.zeros((9, 9), np.float32)
    matte[:, :5] = 1
    eroded = grow(matte, -2)
    assert (eroded[:, :3] == 1).all()
    assert (eroded[:, 3:] == 0).all()


def test_a_wide_edge_on_a_large_matte_is_exact_far_from_it():
    matte = np.zeros((700, 700), np.float32)
    matte[340:360, 340:360] = 1
    softened = soften(matte, 300)
    # 200 px straight to the right of the square, and 150 px diagonally from its corner.
    for row, column, distance in ((350, 559, 200.0), (359 + 150, 359 + 150, 150 * 2**0.5)):
        u = distance / 300
        assert softened[row, column] == pytest.approx(1 - u * u * (3 - 2 * u), abs=1e-5)


def test_a_pixel_in_which_the_object_shows_is_replaced_whole():
    matte = np.zeros((40, 40), np.float32)
    matte[10:30, 10:30] = np.linspace(0, 1, 20, dtype=np.float32)  # a motion-blurred edge
    shaping = MatteShaping(grow_px=0, feather_px=4, blend_px=4)

    blend = blend_matte(matte, shaping)

    assert (blend[matte >= SHOWS] == 1).all()
    assert (blend[15, 5:11] < 1).any()  # the soft edge lies outside


def test_a_keyers_noise_is_not_an_object():
    noise = np.full((20, 20), NOISE, np.float32)

    assert not generation_matte(noise, MatteShaping()).any()
