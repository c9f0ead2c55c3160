"""The bars on speed and memory judge what was measured, strictly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cleanplate.speed import PAN_FRAMES, Cost, PannedShot, bars, flat_bar
from genai_fill_contract.plate import Window

GOOD = Cost(
    size="4K",
    frames=300,
    first_frame_s=2.9,
    first_busy_s=5.0,
    frame_s=1.1,
    frame_busy_s=0.6,
    third_mib=1000.0,
    peak_mib=1040.0,
    slope_mib=2.0,
    load=1.0,
)


def test_a_shot_that_costs_little_meets_every_bar():
    assert [bar.met for bar in bars(GOOD)] == [True, True, True, True]


@pytest.mark.parametrize(
    ("number", "worse"),
    [(0, {"frame_s": 1.21}), (1, {"first_frame_s": 3.01}), (2, {"peak_mib": 4096.0})],
)
def test_each_bar_is_missed_by_its_own_figure(number, worse):
    found = [bar.met for bar in bars(replace(GOOD, **worse))]
    assert found.index(False) == number
    assert found.count(False) == 1


def test_what_grows_with_the_shot_is_not_flat_and_a_late_peak_is_told():
    # A kept proxy a frame is 4 MiB: 400 MiB in 100 frames.
    assert not flat_bar(replace(GOOD, slope_mib=400.0)).met
    assert not flat_bar(replace(GOOD, slope_mib=50.1)).met
    late = flat_bar(replace(GOOD, peak_mib=1340.0))
    assert late.met
    assert "+34 %" in late.found


def test_a_long_shot_only_has_to_be_flat():
    assert len(bars(replace(GOOD, size="540p", frames=1000, frame_s=9.0))) == 1


def test_the_shots_picture_does_not_grow_with_its_length():
    long, short = PannedShot(64, 48, 5 * PAN_FRAMES), PannedShot(64, 48, PAN_FRAMES)
    for frame in (1, PAN_FRAMES, PAN_FRAMES + 7, 5 * PAN_FRAMES):
        assert long.plate(frame).shape == (48, 64, 3)
    np.testing.assert_array_equal(long.plate(9, Window(5, 3, 20, 30)), short.plate(9)[3:30, 5:20])
