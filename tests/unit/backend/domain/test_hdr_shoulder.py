import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_server.domain.hdr_shoulder import (
    HdrShoulder,
    shot_peak,
    srgb_decode,
    srgb_encode,
)

PEAKS = st.sampled_from([0.0, 0.5, 1.0, 1.0001, 1.5, 4.0, 31.0, 100.0, 1000.0, 65504.0])


def pixels(*values):
    return np.array(values, dtype=np.float32).reshape(-1, 3)


@settings(max_examples=100, deadline=None)
@given(PEAKS, st.integers(0, 10_000))
def test_the_round_trip_is_exact_up_to_the_peak(peak, seed):
    rng = np.random.default_rng(seed)
    top = max(1.0, peak)
    linear = (10 ** rng.uniform(-4, np.log10(top), (500, 3))).astype(np.float32)
    shoulder = HdrShoulder(peak)
    encoded = shoulder.encode(linear)
    assert encoded.dtype == np.float32
    assert encoded.min() >= 0
    assert encoded.max() <= 1
    # Brightness comes back to a few parts in 100 000 at any peak; a channel far darker than
    # the brightest shares its error.
    np.testing.assert_allclose(shoulder.decode(encoded), linear, rtol=6e-5)


@settings(max_examples=60, deadline=None)
@given(PEAKS.filter(lambda p: p > 1))
def test_grey_keeps_its_order(peak):
    ramp = np.geomspace(1e-4, peak, 4000).astype(np.float32)
    encoded = HdrShoulder(peak).encode(np.repeat(ramp[:, None], 3, axis=1))[:, 0]
    assert (np.diff(encoded) >= 0).all()
    assert encoded[-1] == pytest.approx(1.0, abs=2e-7)


def test_the_curve_is_srgb_below_the_knee_and_smooth_at_it():
    shoulder = HdrShoulder(100.0)
    below = np.repeat(np.linspace(0, 0.5, 50, dtype=np.float32)[:, None], 3, axis=1)
    np.testing.assert_array_equal(shoulder.encode(below), srgb_encode(below))
    step = 1e-3
    grey = [shoulder.encode(pixels([x] * 3))[0, 0] for x in (0.5 - step, 0.5, 0.5 + step)]
    assert grey[2] - grey[1] == pytest.approx(grey[1] - grey[0], rel=0.02)


@pytest.mark.parametrize(("linear", "encoded"), [(1, 0.818), (4, 0.883), (10, 0.918), (100, 1)])
def test_known_values_at_a_peak_of_100(linear, encoded):
    assert HdrShoulder(100.0).encode(pixels([linear] * 3))[0, 0] == pytest.approx(encoded, abs=6e-4)


def test_hue_is_kept_where_channels_apart_would_bleach_it():
    orange = pixels([20.0, 5.0, 0.5])
    linear = srgb_decode(HdrShoulder(100.0).encode(orange))
    np.testing.assert_allclose(linear[0] / linear[0, 0], orange[0] / orange[0, 0], rtol=1e-4)


def test_negatives_survive_the_round_trip():
    colour = pixels([3.0, -0.02, 0.1], [-0.5, 0.2, 0.3], [-0.1, -0.2, -0.3])
    shoulder = HdrShoulder(10.0)
    np.testing.assert_allclose(shoulder.decode(shoulder.encode(colour)), colour, rtol=2e-5)


def test_what_is_not_a_number_does_not_reach_the_engine_and_is_not_hidden_on_the_way_back():
    shoulder = HdrShoulder(8.0)
    encoded = shoulder.encode(pixels([np.nan, 0.5, 0.5], [np.inf, 0, 0], [-np.inf, 0.1, 0.2]))
    assert np.isfinite(encoded).all()
    assert encoded[1, 0] == pytest.approx(1.0, abs=1e-6)
    decoded = shoulder.decode(pixels([np.nan, 0.9, 0.9], [2.0, 0.5, 0.5]))
    assert np.isnan(decoded[0, 0])
    assert decoded[1, 0] == pytest.approx(8.0, rel=1e-4)


def test_encoding_leaves_its_input_alone():
    image = pixels([2.0, np.nan, 0.5])
    before = image.copy()
    HdrShoulder(4.0).encode(image)
    HdrShoulder(0.5).encode(image)
    np.testing.assert_array_equal(image, before)


def test_the_peak_passes_over_what_is_not_finite():
    assert shot_peak(pixels([1, 2, np.nan], [np.inf, 3, 0])) == 3.0
    assert shot_peak(pixels([-1, -2, -3])) == 0.0
    assert shot_peak(np.full((2, 3), np.nan, np.float32)) == 0.0
    assert shot_peak(pixels([1e30, 0, 0])) == 65504.0


@pytest.mark.parametrize("peak", [-1.0, float("nan"), float("inf")])
def test_a_peak_that_makes_no_sense_is_refused(peak):
    with pytest.raises(ValueError, match="peak"):
        HdrShoulder(peak)
