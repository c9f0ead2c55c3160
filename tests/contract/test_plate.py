import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_fill_contract.errors import InvalidRequest
from genai_fill_contract.plate import FrameRange, Window, is_still, path_at

coordinate = st.integers(-500, 500)
windows = st.builds(Window, coordinate, coordinate, coordinate, coordinate)


@pytest.mark.parametrize(
    ("pattern", "frame", "expected"),
    [
        ("/a/b.%04d.exr", 7, "/a/b.0007.exr"),
        ("/a/b.%d.exr", 7, "/a/b.7.exr"),
        ("/a/b.%4d.exr", 7, "/a/b.0007.exr"),
        ("/a/b.####.exr", 1001, "/a/b.1001.exr"),
        ("/a/b.##.exr", 1001, "/a/b.1001.exr"),
        ("/a/b.%04d.exr", -7, "/a/b.-007.exr"),
        ("/shot_##/b.%04d.exr", 7, "/shot_##/b.0007.exr"),
        ("/a/still.exr", 7, "/a/still.exr"),
    ],
)
def test_a_pattern_names_its_frame(pattern, frame, expected):
    assert path_at(pattern, frame) == expected


def test_a_pattern_without_a_token_is_a_still():
    assert is_still("/a/b.exr")
    assert not is_still("/a/b.%04d.exr")


@pytest.mark.parametrize("token", ["%0999999999d", "%0999d", "%0" + "9" * 5000 + "d"])
def test_a_pattern_cannot_ask_for_a_name_of_a_gigabyte(token):
    assert is_still(f"/a/b.{token}.exr")
    assert path_at(f"/a/b.{token}.exr", 7) == f"/a/b.{token}.exr"


def test_a_range_counts_both_ends():
    assert list(FrameRange(3, 5)) == [3, 4, 5]
    assert len(FrameRange(3, 5)) == 3
    assert 5 in FrameRange(3, 5)
    assert 6 not in FrameRange(3, 5)
    assert str(FrameRange(3, 3)) == "3"


def test_a_range_that_ends_before_it_starts_is_refused():
    with pytest.raises(InvalidRequest):
        FrameRange(5, 3)


@given(windows, windows)
def test_an_intersection_lies_in_both(a, b):
    both = a.intersection(b)

    assert both.is_empty or (a.contains(both) and b.contains(both))


@given(windows, windows)
def test_a_union_contains_both(a, b):
    union = a.union(b)

    assert union.contains(a)
    assert union.contains(b)


@given(windows)
def test_an_empty_window_has_no_pixels(window):
    assert window.is_empty == (window.width * window.height == 0)
