import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_fill.domain.eta import SmoothedEta, duration_in_words
from genai_fill.domain.frame_ranges import (
    SOURCE_REACH_FRAMES,
    frames_in_words,
    resolve_range,
    source_range,
)
from genai_fill.domain.output_paths import PathFields, output_place, safe_name
from genai_fill.domain.reachable import is_under
from genai_fill.domain.seeds import MAX_NODE_SEED, roll_seed, seed_for_generate
from genai_fill.domain.status_text import (
    final_text,
    gap_text,
    progress_text,
    queue_text,
    tells_of_gap,
)
from genai_fill.domain.takes import TakeList, decode_takes, encode_takes, reading_of
from genai_fill_contract.errors import (
    ConfigError,
    MalformedMessage,
    PathNotAllowed,
    RangeMismatch,
    UnsavedScript,
)
from genai_fill_contract.fill import MAX_TAKES, FillRequest, OutputPlace
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef
from genai_fill_contract.take import Take

PLATE = FrameRange(1001, 1050)
FIELDS = PathFields("/shots/sh010/comp.v2.nk", "Shot.GenAIFill1", "show", "sh010")


def resolve(mode, current=1010, first=1020, last=1030, plate=PLATE):
    return resolve_range(mode, current=current, plate=plate, first=first, last=last)


def test_each_mode_means_its_frames():
    assert resolve("frame") == FrameRange(1010, 1010)
    assert resolve("input") == PLATE
    assert resolve("custom") == FrameRange(1020, 1030)


@pytest.mark.parametrize(("mode", "current"), [("frame", 1000), ("frame", 1051), ("custom", 1)])
def test_frames_that_the_plate_has_not_are_refused(mode, current):
    with pytest.raises(RangeMismatch):
        resolve(mode, current=current, first=1040, last=1051)


def test_a_range_that_runs_backwards_is_refused():
    with pytest.raises(RangeMismatch, match="backwards"):
        resolve("custom", first=1030, last=1020)


def test_a_still_has_every_frame():
    assert resolve("frame", plate=FrameRange(1, 1)) == FrameRange(1010, 1010)


@given(st.integers(-500, 500), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_source_frames_hold_the_fill_and_lie_in_the_plate(first, length, before, after):
    fill = FrameRange(first, first + length)
    plate = FrameRange(fill.first - before, fill.last + after)
    source = source_range(fill, plate)
    assert source.first <= fill.first
    assert source.last >= fill.last
    assert source.first >= plate.first
    assert source.last <= plate.last
    assert len(source) <= len(fill) + 2 * SOURCE_REACH_FRAMES


@pytest.mark.parametrize(
    ("frames", "words"),
    [([], ""), ([3], "3"), ([3, 1, 2, 2], "1-3"), ([1, 2, 5, 7, 8], "1-2, 5, 7-8")],
)
def test_frames_in_words(frames, words):
    assert frames_in_words(frames) == words


def test_the_default_place_is_beside_the_script():
    place = output_place("{script_dir}/genai_fill/{node}", "{node}", FIELDS)
    assert place == OutputPlace("/shots/sh010/genai_fill/Shot.GenAIFill1", "Shot.GenAIFill1")


def test_every_field_is_filled_in():
    place = output_place("/x/{show}/{shot}/{script}", "{shot}_{node}", FIELDS)
    assert place == OutputPlace("/x/show/sh010/comp.v2", "sh010_Shot.GenAIFill1")


@pytest.mark.parametrize("template", ["{script_dir}/x", "/x/{script}"])
def test_an_unsaved_script_has_no_place(template):
    with pytest.raises(UnsavedScript):
        output_place(template, "{node}", PathFields(node="N"))


@pytest.mark.parametrize(
    ("directory", "name"),
    [("/x/{shto}", "n"), ("/x", "{script_dir}"), ("/x/{}", "n")],
)
def test_a_field_that_does_not_exist_names_those_that_do(directory, name):
    with pytest.raises(ConfigError, match="no field") as caught:
        output_place(directory, name, FIELDS)
    assert "{shot}" in caught.value.hint


def test_a_field_without_a_value_says_which_variable_sets_it():
    with pytest.raises(ConfigError) as caught:
        output_place("/x/{show}", "n", PathFields("/a/b.nk", "N"))
    assert "SHOW" in caught.value.hint


@pytest.mark.parametrize("folder", ["relative/x", "", "/x/v%04d", "/x/#1", "/x/a\nb"])
def test_a_folder_that_is_no_place_is_refused(folder):
    with pytest.raises(PathNotAllowed):
        output_place(folder, "n", FIELDS)


def test_windows_folders_come_out_with_slashes():
    assert output_place("D:\\show\\{shot}", "n", FIELDS).directory == "D:/show/sh010"


@given(st.text(max_size=300))
def test_a_safe_name_is_always_a_valid_output_name(text):
    name = safe_name(text)
    assert OutputPlace("/x", name).name == name
    assert len(name) <= 120


@given(st.text(max_size=50), st.text(max_size=50))
def test_values_of_fields_cannot_climb_out_of_their_folder(show, shot):
    fields = PathFields("/s/c.nk", "N", show, shot)
    try:
        place = output_place("/x/{show}/{shot}", "n", fields)
    except ConfigError:
        assert not show or not shot
    else:
        assert place.directory.startswith("/x/")
        assert ".." not in place.directory.split("/")


def test_paths_are_under_roots_by_whole_names():
    assert is_under("/a/b/c.exr", ["/a/b"])
    assert is_under("/a/b/c.exr", ["/x", "/"])
    assert is_under("D:/a/c.exr", ["D:\\a"])
    assert not is_under("/a/bc/d.exr", ["/a/b"])
    assert not is_under("/a/b/../c.exr", ["/a/b"])
    assert is_under("/anything", [])


def test_rolled_seeds_fit_into_a_knob_with_all_their_takes():
    assert roll_seed(lambda bound: bound - 1) == MAX_NODE_SEED
    assert MAX_NODE_SEED + MAX_TAKES <= 2**31 - 1


def test_a_locked_seed_is_not_rolled():
    assert seed_for_generate(5, locked=True, random_below=lambda bound: 1 / 0) == 5
    assert seed_for_generate(5, locked=False, random_below=lambda bound: 9) == 9


def test_an_eta_counts_down_between_estimates():
    eta = SmoothedEta()
    assert eta.update(0.0, None) is None
    assert eta.update(0.0, 100.0) == 100.0
    assert eta.update(30.0, None) == 70.0


def test_a_jumping_estimate_moves_the_eta_only_a_little():
    eta = SmoothedEta(weight=0.3)
    eta.update(0.0, 100.0)
    assert eta.update(0.0, 200.0) == pytest.approx(130.0)
    eta.reset()
    assert eta.rest(0.0) is None


def test_an_eta_is_never_negative():
    eta = SmoothedEta()
    eta.update(0.0, 1.0)
    assert eta.rest(50.0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (3599, "1 h 00 min"), (4800, "1 h 20 min")],
)
def test_durations_in_words(seconds, words):
    assert duration_in_words(seconds) == words


def test_status_texts():
    assert progress_text("Filling", 0.4, 180.0) == "Filling, 40 %, 3 min left"
    assert progress_text("", None, None) == ""
    assert progress_text("Filling", 7.0, None) == "Filling, 100 %"
    assert queue_text(None) == queue_text(0) == "Waiting to start"
    assert queue_text(1) == "Waiting behind 1 other job"
    assert queue_text(2) == "Waiting behind 2 other jobs"
    assert "lost" in final_text(JobState.LOST, ())


# --- takes -----------------------------------------------------------------------------------


def job(job_id="j1", versions=(1,), directory="/x", options=None):
    request = FillRequest(
        PlateRef("/p.%04d.exr", FrameRange(1, 9)),
        MatteRef("/m.%04d.exr", FrameRange(1, 9)),
        FrameRange(1, 9),
        "cleanplate",
        OutputPlace(directory, "n"),
        prompt='a "wall" [x] $y {z} \\ ünï\n2',
        engine_options=options or {"a": True, "b": 2, "c": 0.5, "d": "x"},
    )
    takes = tuple(
        Take(job_id, i, v, 7 + i, f"{directory}/v{v}.%04d.exr", "/r.json", FrameRange(1, 9))
        for i, v in enumerate(versions)
    )
    return Job(job_id, JobState.DONE, request, takes, 1.0)


def test_takes_remember_what_was_asked():
    known = TakeList().with_job(job()).get(1)
    assert known.prompt.startswith("a ")
    assert known.engine_options == {"a": True, "b": 2, "c": 0.5, "d": "x"}
    assert known.label == "v001"


def test_a_job_told_twice_is_listed_once():
    takes = TakeList().with_job(job(versions=(1, 2))).with_job(job(versions=(1, 2)))
    assert takes.labels() == ("none", "v001", "v002")


def test_the_same_version_in_another_folder_keeps_apart():
    takes = TakeList().with_job(job()).with_job(job("j2", directory="/y"))
    assert takes.labels() == ("none", "v001", "v001 #2")
    assert takes.by_label("v001 #2").take.path_pattern.startswith("/y")
    takes = takes.with_job(job("j3", versions=(2,)))
    assert len(set(takes.labels())) == 4


def test_finished_frames_are_kept_in_order_and_within_the_range():
    takes = TakeList().with_job(job()).with_frames("j1", 0, [5, 2, 99]).with_frames("j1", 0, [3])
    assert takes.get(1).take.frames_done == (2, 3, 5)
    assert takes.with_frames("other", 0, [1]) == takes


def test_forgetting_a_take_leaves_the_others():
    takes = TakeList().with_job(job(versions=(1, 2, 3))).without(2)
    assert takes.labels() == ("none", "v001", "v003")


def test_a_forgotten_take_is_still_known_and_can_come_back():
    takes = TakeList().with_job(job(versions=(1, 2))).without(1)
    assert [known.number for known in takes.listed] == [2]
    assert decode_takes(encode_takes(takes)) == takes
    again = takes.with_job(job(versions=(1, 2))).with_frames("j1", 0, [4])
    assert again.labels() == ("none", "v002")
    assert again.get(1).take.frames_done == (4,)
    assert again.with_listed(1).labels() == ("none", "v001", "v002")
    assert takes.with_job(job("j2", versions=(1,))).labels() == ("none", "v002", "v001 #3")


def test_a_job_that_is_told_late_takes_no_frames_away():
    takes = TakeList().with_job(job()).with_frames("j1", 0, [1, 2]).with_job(job())
    assert takes.get(1).take.frames_done == (1, 2)
    assert takes.get(1).missing == (3, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize(
    ("made", "growing", "frames", "missing_is_error"),
    [
        (range(1, 10), False, "1-9", True),
        (range(1, 10), True, "1-9", False),
        ((3, 4, 5), False, "3-5", True),
        ((3, 4, 5), True, "1-9", False),
        ((3, 5), False, "3-5", False),
        ((4,), False, "4", True),
        ((), False, "1-9", False),
    ],
)
def test_a_missing_file_is_an_error_only_where_nothing_else_can_be_meant(
    made, growing, frames, missing_is_error
):
    take = TakeList().with_job(job()).get(1).take
    reading = reading_of(take, frozenset(made), growing=growing)
    assert (str(reading.frames), reading.missing_is_error) == (frames, missing_is_error)


def test_gaps_are_told_in_words():
    assert gap_text("v001", []) == ""
    assert gap_text("v001", [4]) == "v001 has no frame 4: the plate shows there."
    text = gap_text("v002", [7, 4, 5])
    assert text == "v002 has no frames 4-5, 7: the plate shows there."
    assert tells_of_gap(f"Cancelled. {text}")
    assert not tells_of_gap("Cancelled.")


def test_takes_of_a_job_come_in_its_order():
    takes = TakeList().with_job(job(versions=(4, 5)))
    assert [known.take.index for known in takes.of_job("j1")] == [0, 1]


def test_the_list_survives_its_text():
    takes = TakeList().with_job(job(versions=(1, 2))).with_frames("j1", 1, [1, 2, 3])
    assert decode_takes(encode_takes(takes)) == takes
    assert encode_takes(TakeList()) == ""
    assert decode_takes(" \n") == TakeList()


def test_fields_of_a_later_release_are_ignored():
    text = encode_takes(TakeList().with_job(job())).replace('"number"', '"new": 1, "number"')
    assert decode_takes(text).labels() == ("none", "v001")


@pytest.mark.parametrize("text", ["{", "[]", '{"takes": [1]}', '{"takes": [{"number": "x"}]}'])
def test_damaged_text_is_said(text):
    with pytest.raises(MalformedMessage, match="damaged"):
        decode_takes(text)
