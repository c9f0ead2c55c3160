from __future__ import annotations

import pytest

from genai_fill_contract.errors import (
    ErrorCode,
    InvalidOption,
    InvalidRequest,
    MissingFrames,
)
from genai_fill_contract.plate import FrameRange
from genai_fill_server.cli.exit_codes import exit_code_of
from genai_fill_server.cli.fill_request import find_sequence, parse_options, parse_range
from genai_fill_server.cli.following import eta_text
from tests.fakes.job_stores import PAINT


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("1001-1010", 1001, 1010), (" 7 ", 7, 7), ("-5-3", -5, 3), ("-5--3", -5, -3)],
)
def test_ranges_are_read_with_negative_frames(text, first, last):
    assert parse_range(text) == FrameRange(first, last)


@pytest.mark.parametrize("text", ["", "all", "1-", "1-2-3", "1..4", "5-1", "1.5"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InvalidRequest):
        parse_range(text)


@pytest.mark.parametrize("token", ["%04d", "####", "%d", "#"])
def test_the_frames_on_disk_are_found(tmp_path, token):
    for frame in (998, 1001, 1004):
        (tmp_path / f"pl(a)te.{frame:04d}.exr").touch()
    (tmp_path / "pl(a)te.1009.exr.tmp").touch()
    (tmp_path / "other.2000.exr").touch()
    found = find_sequence("The plate", f"{tmp_path}/pl(a)te.{token}.exr", None)
    assert found.frames == FrameRange(998, 1004)
    assert found.pattern == f"{tmp_path}/pl(a)te.{token}.exr"


def test_a_relative_path_becomes_a_full_one(tmp_path, monkeypatch):
    (tmp_path / "a.0001.exr").touch()
    monkeypatch.chdir(tmp_path)
    assert find_sequence("The plate", "a.%04d.exr", None).pattern == f"{tmp_path}/a.%04d.exr"


def test_a_still_serves_the_range_that_was_asked_for(tmp_path):
    (tmp_path / "matte.exr").touch()
    still = f"{tmp_path}/matte.exr"
    assert find_sequence("The matte", still, FrameRange(3, 9)).frames == FrameRange(3, 9)
    with pytest.raises(InvalidRequest, match="still"):
        find_sequence("The matte", still, None)


@pytest.mark.parametrize("pattern", ["a.%04d.exr", "missing/a.####.exr", "still.exr"])
def test_nothing_on_disk_is_said_with_the_path(tmp_path, pattern):
    with pytest.raises(MissingFrames, match="The plate"):
        find_sequence("The plate", f"{tmp_path}/{pattern}", FrameRange(1, 2))


def test_a_frame_number_in_a_folders_name_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="folder"):
        find_sequence("The plate", f"{tmp_path}/%04d/plate.exr", None)


def test_options_take_the_engines_types():
    assert parse_options(["strength=0.25", "reference = /x=y.exr "], PAINT) == {
        "strength": 0.25,
        "reference": "/x=y.exr",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strength", "no value"),
        ("strength=much", "Strength"),
        ("power=1", "power"),
        ("strength=nan", "Strength"),
        ("=1", "no option"),
    ],
)
def test_a_bad_option_is_named(text, words):
    with pytest.raises(InvalidOption, match=words):
        parse_options([text], PAINT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (48.4, "48 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_said_in_words(seconds, text):
    assert eta_text(seconds) == text


def test_every_error_has_an_exit_code_of_its_kind():
    assert {exit_code_of(code) for code in ErrorCode} == {1, 2, 3}
    assert exit_code_of(ErrorCode.BACKEND_UNREACHABLE) == 3
    assert exit_code_of(ErrorCode.CONFIG_INVALID) == 2
    assert exit_code_of(ErrorCode.EMPTY_MATTE) == 1
