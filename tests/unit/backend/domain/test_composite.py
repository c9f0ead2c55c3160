import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genai_fill_server.domain.composite import composite

ANYTHING = arrays(np.float32, (5, 7, 3), elements=st.floats(width=32))
BLENDS = arrays(np.float32, (5, 7), elements=st.sampled_from([0.0, 1.0, 0.5, 1e-6]))


def bits(image):
    return np.ascontiguousarray(image).view(np.uint32)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, ANYTHING, BLENDS)
def test_outside_is_the_plate_bit_for_bit_whatever_is_in_either(plate, fill, blend):
    result = composite(plate, fill, blend).rgb
    assert result.dtype == np.float32
    np.testing.assert_array_equal(bits(result[blend == 0]), bits(plate[blend == 0]))


@settings(max_examples=200, deadline=None)
@given(ANYTHING, ANYTHING, BLENDS)
def test_inside_is_exactly_the_fill_and_never_a_nan_of_its(plate, fill, blend):
    done = composite(plate, fill, blend)
    good = np.isfinite(fill.astype(np.float64)).all(axis=2) & (np.abs(fill) < 1e38).all(axis=2)
    full = (blend == 1) & good
    np.testing.assert_array_equal(bits(done.rgb[full]), bits(fill[full]))
    broken = (blend > 0) & ~np.isfinite(fill).all(axis=2)
    assert np.isfinite(done.rgb[broken]).all()
    assert done.replaced_pixels >= broken.sum()


def test_a_soft_edge_mixes_in_linear_light():
    plate = np.full((1, 1, 3), 10.0, np.float32)
    fill = np.full((1, 1, 3), 2.0, np.float32)
    blend = np.full((1, 1), 0.25, np.float32)
    np.testing.assert_array_equal(composite(plate, fill, blend).rgb, 8.0)


def test_a_broken_plate_under_a_soft_edge_does_not_spread():
    plate = np.array([[[np.nan, 1, 1], [np.inf, 1, 1]]], np.float32)
    fill = np.full((1, 2, 3), 0.5, np.float32)
    np.testing.assert_array_equal(composite(plate, fill, np.full((1, 2), 0.1, np.float32)).rgb, 0.5)


def test_a_broken_fill_over_a_broken_plate_is_black_and_counted():
    nothing = np.full((1, 1, 3), np.nan, np.float32)
    done = composite(nothing, nothing, np.ones((1, 1), np.float32))
    np.testing.assert_array_equal(done.rgb, 0)
    assert done.replaced_pixels == 1
