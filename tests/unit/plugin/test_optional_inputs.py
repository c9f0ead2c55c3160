"""What is wanted of the optional inputs, and what becomes of hero frames on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genai_fill.app.optional_inputs import FillFrames, reach_with_patches, want_inputs
from genai_fill.app.ports import Footage, OptionalInput
from genai_fill.domain.frame_ranges import parse_frames, runs_of
from genai_fill.domain.heroes import HeroFrame, HeroList
from genai_fill_contract.errors import ErrorCode, InvalidRequest, MissingFrames, RangeMismatch
from genai_fill_contract.job import JobState
from genai_fill_contract.plate import FrameRange, InputRole
from tests.unit.plugin.fakes import CLEANPLATE
from tests.unit.plugin.rig import Rig

FRAMES = FillFrames(
    FrameRange(1010, 1020), FrameRange(1000, 1030), FrameRange(1000, 1100), current=1012
)
EVERYTHING = tuple(InputRole)


def given(role, first=1000, last=1100, **more):
    return OptionalInput(role, FrameRange(first, last), **more)


def want(*inputs, heroes=(), roots=()):
    return want_inputs(inputs, HeroList(tuple(heroes)), FRAMES, roots)


def hero(frame, pattern="/t/fill_v001.%04d.exr"):
    return HeroFrame(frame, 1, "v001", pattern)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("", ()),
        ("1010 1032", (1010, 1032)),
        ("1010, 1032,1010", (1010, 1032)),
        ("1010-1013", (1010, 1011, 1012, 1013)),
        ("1001-1011x5", (1001, 1006, 1011)),
        ("-5--3", (-5, -4, -3)),
    ],
)
def test_frames_are_read_as_artists_write_them(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["ten", "1010-", "1012-1010", "1-9x0", "1.5", "1-99999999", "²"])
def test_what_is_no_frame_is_said(text):
    with pytest.raises(InvalidRequest):
        parse_frames(text)


def test_runs_leave_the_gaps_out():
    assert runs_of((5, 1, 2, 5, 9)) == (FrameRange(1, 2), FrameRange(5, 5), FrameRange(9, 9))


def test_a_reference_is_the_frame_that_the_artist_looks_at_or_the_first():
    (one,) = want(given(InputRole.REFERENCE))
    assert one.frames == (1012,)
    (one,) = want(given(InputRole.REFERENCE, 1, 1))
    assert one.frames == (1,)


def test_control_covers_the_fill_and_motion_what_the_plate_covers():
    control, motion = want(given(InputRole.CONTROL), given(InputRole.MOTION_FORWARD))
    assert control.frames == tuple(range(1010, 1021))
    assert motion.frames == tuple(range(1000, 1031))


def test_a_still_of_data_is_held_over_every_frame():
    (one,) = want(given(InputRole.STMAP, 1, 1))
    assert one.frames == tuple(range(1000, 1031))


def test_data_that_misses_the_fill_is_said():
    with pytest.raises(RangeMismatch, match="control input has frames 1-5"):
        want(given(InputRole.CONTROL, 1, 5))
    with pytest.raises(RangeMismatch, match="motion input"):
        want(given(InputRole.MOTION_BACKWARD, 1000, 1009))


def test_a_patch_counts_near_the_fill_or_at_the_frames_named():
    (moving,) = want(given(InputRole.PATCH))
    assert moving.frames == tuple(range(1000, 1031))
    (named,) = want(given(InputRole.PATCH, named=(1010, 1080)))
    assert named.frames == (1010, 1080)
    (still,) = want(given(InputRole.PATCH, 1050, 1050))
    assert still.frames == (1050,)


def test_a_patch_where_the_plate_has_no_frame_is_said():
    with pytest.raises(RangeMismatch, match="counts at 1, where the plate has no frame"):
        want(given(InputRole.PATCH, 1, 1))
    with pytest.raises(RangeMismatch, match="none near"):
        want(given(InputRole.PATCH, 1080, 1090))


def test_the_plate_reaches_as_far_as_the_heroes_and_named_patches():
    heroes = HeroList((hero(1090),))
    assert reach_with_patches(FRAMES, (), heroes) == FrameRange(1000, 1090)
    named = given(InputRole.PATCH, named=(1055,))
    assert reach_with_patches(FRAMES, (named,), HeroList()) == FrameRange(1000, 1055)
    assert reach_with_patches(FRAMES, (given(InputRole.PATCH),), HeroList()) == FRAMES.reach


def test_a_hero_goes_before_the_patch_input_on_its_frame():
    patch, approved = want(given(InputRole.PATCH, 1010, 1014), heroes=[hero(1012)])
    assert patch.frames == (1010, 1011, 1013, 1014)
    refs = patch.refs("/s/patch.%04d.exr", colorspace="ACEScg", view="main")
    assert [str(ref.frame_range) for ref in refs] == ["1010-1011", "1013-1014"]
    (ref,) = approved.refs(approved.path_pattern, colorspace="ACEScg", view="main")
    assert (ref.frame_range, ref.path_pattern) == (FrameRange(1012, 1012), "/t/fill_v001.%04d.exr")
    assert (ref.colorspace, ref.role, ref.layer) == ("ACEScg", InputRole.PATCH, "rgb")


def test_a_hero_outside_the_plate_is_said():
    with pytest.raises(RangeMismatch, match="hero frame 900 of v001"):
        want(heroes=[hero(900)])


def test_data_claims_no_colour_and_names_its_layer():
    (one,) = want(given(InputRole.MOTION_BACKWARD))
    (ref,) = one.refs("/m.%04d.exr", colorspace="ACEScg", view="left")
    assert (ref.colorspace, ref.layer, ref.view) == ("data", "backward", "left")


def test_files_are_passed_on_only_when_they_have_every_frame_and_may_be_read():
    footage = Footage("/plates/control.%04d.exr", FrameRange(1010, 1020))
    control = given(InputRole.CONTROL, 1010, 1020, footage=footage)
    assert want(control)[0].path_pattern == footage.path_pattern
    assert want(control, roots=("/elsewhere",))[0].path_pattern == ""
    short = replace(control, footage=replace(footage, frame_range=FrameRange(1010, 1011)))
    assert want(short)[0].path_pattern == ""


# --- through the whole fill ------------------------------------------------------------------


@pytest.fixture
def rig():
    rig = Rig()
    rig.host.add()
    return rig


def let_engine_use(rig, *roles):
    engine = replace(CLEANPLATE, inputs=roles)
    rig.backend.engine_list = replace(rig.backend.engine_list, engines=(engine,))


def test_only_what_the_engine_names_is_written(rig):
    rig.host.optional["u1"] = (given(InputRole.CONTROL, 1001, 1004), given(InputRole.STMAP, 1, 1))
    rig.submit("u1", rig.watch())
    assert rig.backend.requests[-1].inputs == ()
    assert {what for what, _ in rig.host.spooled} == {"plate", "matte"}
    let_engine_use(rig, InputRole.STMAP)
    rig.submit("u1", rig.watch())
    (ref,) = rig.backend.requests[-1].inputs
    assert ref.role is InputRole.STMAP
    assert ref.path_pattern.startswith(rig.folders.made[-1])
    assert [frame for what, frame in rig.host.spooled if what == "stmap"] == [
        1001,
        1002,
        1003,
        1004,
    ]


def test_the_log_says_what_is_connected_for_nothing(rig):
    rig.host.connected["u1"] = replace(
        rig.host.connected["u1"], optional=("motion", "patch", "control")
    )
    let_engine_use(rig, InputRole.STMAP)
    rig.submit("u1", rig.watch())
    assert rig.lines == ["Clean plate does not use what is connected to patch, control."]


def test_the_log_says_that_heroes_go_before_the_patch_input(rig):
    approve(rig)
    rig.host.connected["u1"] = replace(rig.host.connected["u1"], optional=("patch",))
    let_engine_use(rig, InputRole.PATCH)
    rig.submit("u1", rig.watch())
    assert rig.lines == ["Hero frames go before the patch input at 1002."]


def test_inputs_are_written_even_when_plate_and_matte_need_not_be(rig):
    footage = Footage("/plates/p.%04d.exr", FrameRange(1001, 1004))
    rig.host.connected["u1"] = replace(
        rig.host.connected["u1"], plate=footage, matte=replace(footage, channel="rgba.alpha")
    )
    rig.host.optional["u1"] = (given(InputRole.REFERENCE, 1, 1),)
    let_engine_use(rig, InputRole.REFERENCE)
    rig.run.generate("u1", rig.watch())
    assert rig.host.spooled == [("reference", 1)]
    assert rig.folders.discarded == rig.folders.made  # at the end of the job


def test_cancelling_while_inputs_are_written_leaves_nothing_behind(rig):
    rig.host.optional["u1"] = (given(InputRole.CONTROL, 1001, 1004),)
    let_engine_use(rig, InputRole.CONTROL)
    watch = rig.watch()
    rig.host.on_spool = lambda what, frame: watch.cancel() if what == "control" else None
    assert rig.run.generate("u1", watch) is None
    assert rig.folders.discarded == rig.folders.made
    assert rig.backend.requests == []


def approve(rig, frame=1002):
    rig.host.frame = frame
    rig.session.follow_selection()
    rig.session.generate()
    rig.session.add_hero(1)


def test_heroes_go_along_as_patches_when_the_engine_takes_them(rig):
    approve(rig)
    rig.submit("u1", rig.watch())
    assert rig.backend.requests[-1].inputs == ()
    let_engine_use(rig, InputRole.PATCH)
    rig.submit("u1", rig.watch())
    (ref,) = rig.backend.requests[-1].inputs
    take = rig.host.node("u1").takes.get(1).take
    assert (ref.role, ref.path_pattern) == (InputRole.PATCH, take.path_pattern)
    assert ref.frame_range == FrameRange(1002, 1002)


def test_a_hero_whose_file_is_gone_is_said_before_anything_is_written(rig):
    approve(rig)
    let_engine_use(rig, InputRole.PATCH)
    spooled = len(rig.host.spooled)
    rig.files.gone.add(rig.host.node("u1").takes.get(1).take.path_pattern.replace("%04d", "1002"))
    with pytest.raises(MissingFrames, match="hero frame 1002 of v001"):
        rig.submit("u1", rig.watch())
    assert len(rig.host.spooled) == spooled


def test_the_spool_of_a_take_that_was_approved_is_never_the_folder_of_the_take(rig):
    approve(rig)
    let_engine_use(rig, InputRole.PATCH)
    rig.run.generate("u1", rig.watch())
    assert set(rig.folders.discarded) == set(rig.folders.made)


# --- old folders -----------------------------------------------------------------------------


def test_old_spool_folders_are_swept_but_not_those_of_unfinished_jobs(rig):
    rig.submit("u1", rig.watch())
    (parent, age_s, in_use) = rig.folders.swept[-1]
    assert parent == rig.folders.made[0].rpartition("/")[0]
    assert age_s == 7 * 24 * 3600
    assert in_use == {rig.folders.made[0]}
    job = next(iter(rig.backend.jobs.values()))
    rig.backend.jobs[job.id] = replace(job, state=JobState.DONE)
    rig.submit("u1", rig.watch())
    assert rig.folders.swept[-1][2] == {rig.folders.made[1]}


def test_nothing_is_swept_while_the_backend_cannot_say_what_it_runs(rig):
    rig.backend.hides_jobs = True
    assert rig.submit("u1", rig.watch()).id
    assert rig.folders.swept == []


def test_nothing_is_swept_where_plates_are_to_be_kept():
    rig = Rig(GENAI_FILL_SPOOL_KEEP="true")
    rig.host.add()
    rig.submit("u1", rig.watch())
    assert rig.folders.swept == []


def test_takes_keep_what_the_engine_says_of_them(rig):
    rig.session.follow_selection()
    rig.session.generate()
    assert [row.summary for row in rig.session.state.takes] == [""]
    version = rig.host.node("u1").takes.takes[0].take.version + 1
    directory = rig.backend.requests[-1].output.directory
    name = rig.backend.requests[-1].output.name
    recipe = f"{directory}/{name}_v{version:03d}.json"
    rig.files.summaries[recipe] = "93 % real pixels, 7 % synthesized"
    rig.session.generate()
    assert [row.summary for row in rig.session.state.takes] == [rig.files.summaries[recipe], ""]


def test_a_damaged_list_of_heroes_is_said_and_not_guessed_at(rig):
    from genai_fill.domain.heroes import decode_heroes
    from genai_fill_contract.errors import MalformedMessage

    one = '{"frame":1,"take":1,"label":"v001","path_pattern":"/t.%04d.exr"}'
    for text in (
        "[]",
        "{",
        '{"heroes": 3}',
        '{"heroes":[{"frame":"1","take":1,"label":"v001","path_pattern":"/t"}]}',
        '{"heroes":[{"frame":1,"take":1,"label":"v001","path_pattern":""}]}',
        f'{{"heroes":[{one},{one}]}}',
    ):
        with pytest.raises(MalformedMessage, match="hero frames is damaged"):
            decode_heroes(text)
    assert decode_heroes(f'{{"heroes":[{one}],"later":1}}').frames == (1,)
    assert decode_heroes("  ") == HeroList()


def test_heroes_are_added_replaced_and_removed_through_the_panel(rig):
    approve(rig)
    rig.session.generate()
    rig.session.add_hero(2, 1002)
    rig.session.add_hero(1, 1004)
    assert [(h.frame, h.label) for h in rig.session.state.heroes] == [
        (1002, "v002"),
        (1004, "v001"),
    ]
    rig.session.remove_hero(1002)
    rig.session.remove_hero(1003)
    assert [h.frame for h in rig.session.state.heroes] == [1004]


def test_a_frame_that_the_take_has_not_cannot_be_approved(rig):
    approve(rig, frame=1050)
    assert rig.session.state.heroes == ()
    assert rig.session.state.error.code is ErrorCode.MISSING_FRAMES
    assert "1001-1004" in rig.session.state.error.hint
    rig.session.add_hero(9)
    assert rig.session.state.error.code is ErrorCode.INVALID_REQUEST


def test_a_take_of_one_frame_is_approved_wherever_the_artist_looks(rig):
    rig.host.frame = 1003
    rig.session.follow_selection()
    rig.session.edit(range_mode="frame")
    rig.session.generate()
    rig.host.frame = 1001
    rig.session.add_hero(1)
    assert [h.frame for h in rig.session.state.heroes] == [1003]


def test_a_hero_outlives_its_place_in_the_list_of_takes(rig):
    approve(rig)
    rig.session.forget_take(1)
    assert rig.session.state.takes == ()
    assert [h.frame for h in rig.session.state.heroes] == [1002]
