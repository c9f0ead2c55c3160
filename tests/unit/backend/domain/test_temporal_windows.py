import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_contract.plate import FrameRange
from genai_fill_server.domain.temporal_windows import frame_weights, plan_windows

PLANS = st.tuples(
    st.integers(1, 500), st.integers(1, 121), st.sampled_from([1, 4, 8]), st.integers(0, 60)
)


def plan(length, window, multiple, overlap):
    frames = FrameRange(1001, 1000 + length)
    return frames, plan_windows(frames, window, multiple, overlap)


@settings(max_examples=200, deadline=None)
@given(PLANS)
def test_windows_cover_every_frame_in_order_and_nothing_else(case):
    frames, windows = plan(*case)
    assert sorted({f for w in windows for f in w.frames}) == list(frames)
    firsts = [w.frames.first for w in windows]
    assert firsts == sorted(set(firsts))
    assert windows[-1].frames.last == frames.last


@settings(max_examples=200, deadline=None)
@given(PLANS)
def test_every_window_has_a_length_the_engine_takes(case):
    length, window, multiple, _ = case
    for w in plan(*case)[1]:
        assert (w.length - 1) % multiple == 0
        assert w.length <= max(window, 1) or length < window + multiple
        assert len(w.source_frames()) == w.length
        assert w.source_frames()[: len(w.frames)] == list(w.frames)
        assert set(w.source_frames()[len(w.frames) :]) <= {w.frames.last}


@settings(max_examples=200, deadline=None)
@given(PLANS)
def test_weights_of_every_frame_sum_to_exactly_one(case):
    frames, windows = plan(*case)
    for frame in frames:
        weights = frame_weights(windows, frame)
        assert sum(weights.values()) == 1.0
        assert all(0 < weight <= 1 for weight in weights.values())


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_anchors_are_the_frames_made_before(case):
    _, windows = plan(*case)
    made = set()
    for w in windows:
        inside = [f in made for f in w.frames]
        assert inside == [True] * w.anchors + [False] * (len(w.frames) - w.anchors)
        made.update(w.frames)


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_only_a_shot_shorter_than_a_window_is_padded(case):
    _, windows = plan(*case)
    if len(windows) > 1:
        assert all(w.padding == 0 for w in windows)


def test_a_cross_fade_hands_over_step_by_step():
    windows = plan_windows(FrameRange(1, 15), 9, 4, overlap=3)
    assert [(w.frames.first, w.frames.last, w.anchors) for w in windows] == [
        (1, 9, 0),
        (7, 15, 3),
    ]
    shares = [frame_weights(windows, frame).get(1, 0.0) for frame in range(6, 11)]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-3)


@pytest.mark.parametrize(("length", "padding"), [(1, 0), (2, 3), (5, 0), (80, 1)])
def test_short_shots_are_padded_at_the_end(length, padding):
    (window,) = plan_windows(FrameRange(1, length), 81, 4, overlap=16)
    assert window.padding == padding
    assert window.anchors == 0
