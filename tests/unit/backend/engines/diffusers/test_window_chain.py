from __future__ import annotations

import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange
from genai_fill_server.domain.temporal_windows import plan_windows
from genai_fill_server.engines.diffusers.window_chain import (
    GREY,
    ColourMatch,
    Patch,
    cross_fade,
    match_to_kept,
    measure_drift,
    window_inputs,
    with_patches,
)

SIZE = (16, 24)


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((*SIZE, 3), dtype=np.float32) * 0.6 + 0.2 for _ in range(count)]


def hole():
    mask = np.zeros(SIZE, bool)
    mask[4:12, 6:18] = True
    return mask


def first_and_second():
    return plan_windows(FrameRange(1, 14), 9, 4, 5)


def test_the_hole_is_grey_and_the_rest_is_the_plate():
    window = first_and_second()[0]
    plates = dict(enumerate(pictures(14), 1))
    holes = dict.fromkeys(range(1, 15), hole())

    video, open_holes = window_inputs(window, plates, holes, {}, {})

    assert video.shape == (9, *SIZE, 3)
    assert (video[:, hole()] == GREY).all()
    np.testing.assert_array_equal(video[3][~hole()], plates[4][~hole()])
    assert (open_holes == hole()).all()


def test_an_anchor_carries_its_generated_pixels_and_is_kept():
    window = first_and_second()[1]
    plates = dict(enumerate(pictures(14), 1))
    holes = dict.fromkeys(range(1, 15), hole())
    made = {f: np.full((*SIZE, 3), 0.7, np.float32) for f in list(window.frames)[: window.anchors]}

    video, open_holes = window_inputs(window, plates, holes, made, {})

    assert (video[0][hole()] == np.float32(0.7)).all()
    np.testing.assert_array_equal(video[0][~hole()], plates[window.frames.first][~hole()])
    assert not open_holes[: window.anchors].any()
    assert open_holes[window.anchors :].any(axis=(1, 2)).all()


def test_padding_repeats_the_last_frame():
    (window,) = plan_windows(FrameRange(1, 3), 9, 4, 5)
    plates = dict(enumerate(pictures(3), 1))

    video, _ = window_inputs(window, plates, dict.fromkeys(plates, hole()), {}, {})

    assert len(video) == 5
    np.testing.assert_array_equal(video[3], video[2])
    np.testing.assert_array_equal(video[4], video[2])


def stacks(count, known):
    """Return the artist's holes and which of them are still open: all but the first known."""
    holes = np.stack([hole()] * count)
    still_open = holes.copy()
    still_open[:known] = False
    return holes, still_open


def test_a_patch_stands_in_the_hole_where_it_covers_it():
    window = first_and_second()[0]
    plates = dict(enumerate(pictures(14), 1))
    covers = np.zeros(SIZE, bool)
    covers[:, :12] = True
    patch = Patch(np.full((*SIZE, 3), 0.9, np.float32), covers)

    video, still_open = window_inputs(
        window, plates, dict.fromkeys(range(1, 15), hole()), {}, {3: patch}
    )

    assert (video[2][hole() & covers] == np.float32(0.9)).all()
    assert (video[2][hole() & ~covers] == GREY).all()
    np.testing.assert_array_equal(video[2][~hole()], plates[3][~hole()])
    np.testing.assert_array_equal(still_open[2], hole() & ~covers)
    np.testing.assert_array_equal(still_open[1], hole())


def test_a_patch_comes_back_as_it_was_given():
    covers = np.zeros(SIZE, bool)
    covers[:, :12] = True
    patch = Patch(np.full((*SIZE, 3), 0.9, np.float32), covers)
    made = dict(enumerate(pictures(3), 1))

    frames = with_patches(made, {2: patch})

    assert (frames[2][covers] == np.float32(0.9)).all()
    np.testing.assert_array_equal(frames[2][~covers], made[2][~covers])
    np.testing.assert_array_equal(frames[1], made[1])


@pytest.mark.parametrize("known", [0, 4])
def test_a_colour_shift_of_the_codec_is_taken_back(known):
    given = np.stack(pictures(9))
    shift = np.float32([0.02, -0.01, 0.0])
    shifted = (given * np.float32([0.95, 1.0, 1.06]) + shift).astype(np.float32)

    match = match_to_kept(shifted, given, *stacks(9, known))

    restored = match.applied(shifted[-1])
    assert np.abs(restored - given[-1]).mean() < 0.003
    assert np.abs(shifted[-1] - given[-1]).mean() > 0.01


def test_with_anchors_their_generated_content_is_the_measure():
    given = np.stack(pictures(9))
    made = given.copy()
    made[:4, hole()] -= 0.05  # the content drifts, the surroundings do not

    match = match_to_kept(made, given, *stacks(9, 4))

    assert np.allclose(match.applied(made[0])[hole()], given[0][hole()], atol=0.01)


def test_a_match_that_wants_too_much_is_held_back():
    given = np.full((5, *SIZE, 3), 0.9, np.float32)
    black = np.zeros((5, *SIZE, 3), np.float32)

    matched = match_to_kept(black, given, *stacks(5, 0)).applied(black[0])

    assert matched.max() <= 0.1 + 1e-6


def test_without_anything_kept_nothing_is_matched():
    everything = np.ones((5, *SIZE), bool)
    made = np.stack(pictures(5))

    assert match_to_kept(made, made * 0.5, everything, everything) == ColourMatch()


def test_drift_of_brightness_and_contrast_is_measured():
    clip = np.stack(pictures(9))
    clip[4:] = (clip[4:] - 0.5) * 0.5 + 0.6

    drift = measure_drift(clip, *stacks(9, 4))

    assert drift.mean == pytest.approx((0.1, 0.1, 0.1), abs=0.02)
    assert drift.contrast == pytest.approx(0.5, abs=0.05)


def test_no_drift_is_no_drift():
    drift = measure_drift(np.stack(pictures(1) * 9), *stacks(9, 4))

    assert drift.mean == (0, 0, 0)
    assert drift.contrast == 1


def test_without_anchors_there_is_no_drift_to_measure():
    assert measure_drift(np.stack(pictures(5)), *stacks(5, 0)) is None


def test_an_overlap_goes_smoothly_from_the_old_to_the_new():
    window = first_and_second()[1]
    old = {f: np.zeros((*SIZE, 3), np.float32) for f in list(window.frames)[: window.anchors]}
    new = [np.ones((*SIZE, 3), np.float32)] * len(window.frames)

    mixed = cross_fade(window, new, old)

    levels = [float(mixed[f][0, 0, 0]) for f in window.frames]
    assert levels == sorted(levels)
    assert 0 < levels[0] < 0.5
    assert levels[window.anchors :] == [1.0] * (len(window.frames) - window.anchors)
