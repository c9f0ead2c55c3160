"""The panel's sentences."""

from __future__ import annotations

import pytest

from genai_fill.app.panel_state import ActivityView, PanelState
from genai_fill.ui.phrases import (
    activity_text,
    frames_text,
    one_line,
    plain_tooltip,
    shorten,
    time_left,
    why_not_generate,
)
from genai_fill_contract.job import JobState


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (-3, ""),
        (0, "a few seconds left"),
        (7.9, "a few seconds left"),
        (12, "about 10 s left"),
        (44, "about 40 s left"),
        (54.9, "about 50 s left"),
        (56, "about 1 min left"),
        (125, "about 2 min left"),
        (3540, "about 59 min left"),
        (3599, "about 1 h left"),
        (4800, "about 1 h 20 min left"),
        (7200, "about 2 h left"),
    ],
)
def test_time_left_is_as_coarse_as_it_deserves(seconds, words):
    assert time_left(seconds) == words


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_words(state):
    assert activity_text(ActivityView(state))


def test_an_idle_node_says_nothing():
    assert activity_text(ActivityView()) == ""


def test_an_estimate_is_not_shown_once_the_fill_has_ended():
    assert activity_text(ActivityView(JobState.DONE, "Writing", 1.0, 12.0)) == "Done"


def test_without_a_node_there_is_nothing_to_generate():
    assert why_not_generate(PanelState(), "x") == "Select a GenAI Fill node."


@pytest.mark.parametrize(("first", "last", "words"), [(7, 7, "7"), (1001, 1048, "1001–1048")])
def test_ranges_read_as_artists_write_them(first, last, words):
    assert frames_text(first, last) == words


def test_text_for_one_line_has_no_line_breaks_and_an_end():
    assert one_line("  a\n\tb  \u2028c ") == "a b c"
    assert len(one_line("x" * 10**6)) <= 2000


def test_tooltips_are_escaped_and_bounded():
    assert plain_tooltip("") == ""
    assert plain_tooltip("<b>&\nx") == "<qt>&lt;b&gt;&amp;<br>x</qt>"
    assert len(plain_tooltip("x" * 10**6)) < 1600


def test_shortening_keeps_short_text_and_marks_what_was_cut():
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
