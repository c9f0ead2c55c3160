from dataclasses import replace

import pytest

from genai_fill.app.ports import Footage, NodeInputs
from genai_fill.app.watch import FillStopped
from genai_fill_contract.errors import (
    BackendStartFailed,
    BackendUnreachable,
    ConfigError,
    InvalidOption,
    InvalidRequest,
    ModelMissing,
    NodeGone,
    NotConnected,
    OutputNotWritable,
    RangeMismatch,
    UnknownEngine,
    UnsavedScript,
)
from genai_fill_contract.fill import CropMode
from genai_fill_contract.plate import FrameRange
from tests.unit.plugin.rig import Rig


def submit(rig, uuid="u1"):
    return rig.submit(uuid, rig.watch())


def test_plate_and_matte_are_spooled_over_the_input_range_and_posted():
    rig = Rig()
    rig.host.add(form={"prompt": "a wall"})
    job = submit(rig)
    (request,) = rig.backend.requests
    assert rig.host.spooled == [
        (what, frame) for frame in range(1001, 1005) for what in ("plate", "matte")
    ]
    assert request.frame_range == FrameRange(1001, 1004)
    assert request.plate.path_pattern == f"{rig.folders.made[0]}/plate.%04d.exr"
    assert request.matte.path_pattern == f"{rig.folders.made[0]}/matte.%04d.exr"
    assert request.matte.channel == "rgba.alpha"
    assert request.prompt == "a wall"
    assert request.plate.colorspace == request.colour.working_space == "ACEScg"
    assert rig.host.node("u1").job_id == job.id
    assert [known.label for known in rig.host.node("u1").takes.takes] == ["v001"]


def test_the_record_says_who_asked_from_where():
    rig = Rig()
    rig.host.add()
    submit(rig)
    record = rig.backend.requests[0].provenance
    assert (record.user, record.show, record.shot, record.host) == ("ada", "show", "sh010", "ws1")
    assert (record.script, record.node) == ("/shots/sh010/comp_v001.nk", "GenAIFill1")


def test_takes_go_beside_the_script_under_the_nodes_name():
    rig = Rig()
    rig.host.add(name="Comp.GenAIFill1")
    submit(rig)
    place = rig.backend.requests[0].output
    assert place.directory == "/shots/sh010/genai_fill/Comp.GenAIFill1"
    assert place.name == "Comp.GenAIFill1"


def test_the_nodes_own_output_place_stands_over_the_settings():
    rig = Rig(GENAI_FILL_OUTPUT_DIRECTORY="/studio/{show}")
    rig.host.add(output_directory="/mine/{shot}", output_name="{script}")
    submit(rig)
    place = rig.backend.requests[0].output
    assert (place.directory, place.name) == ("/mine/sh010", "comp_v001")


def test_files_of_a_plain_read_are_passed_on_and_nothing_is_rendered():
    rig = Rig()
    rig.host.add()
    plate = Footage("/plates/p.%04d.exr", FrameRange(990, 1020))
    matte = Footage("/roto/m.%04d.exr", FrameRange(1001, 1004), "roto.a")
    rig.host.connected["u1"] = NodeInputs(FrameRange(1001, 1004), True, plate, matte)
    submit(rig)
    (request,) = rig.backend.requests
    assert request.plate.path_pattern == "/plates/p.%04d.exr"
    assert request.plate.frame_range == FrameRange(990, 1020)
    assert (request.matte.path_pattern, request.matte.channel) == ("/roto/m.%04d.exr", "roto.a")
    assert rig.host.spooled == []
    assert rig.folders.made == []


def test_only_what_is_not_on_disk_is_spooled():
    rig = Rig()
    rig.host.add()
    plate = Footage("/plates/p.%04d.exr", FrameRange(1001, 1004))
    rig.host.connected["u1"] = NodeInputs(FrameRange(1001, 1004), True, plate)
    submit(rig)
    assert {what for what, _ in rig.host.spooled} == {"matte"}
    assert rig.backend.requests[0].plate.path_pattern == "/plates/p.%04d.exr"


def test_files_that_the_backend_may_not_read_are_spooled():
    rig = Rig()
    rig.host.add()
    rig.backend.roots = ("/shots",)
    plate = Footage("/plates/p.%04d.exr", FrameRange(1001, 1004))
    rig.host.connected["u1"] = NodeInputs(FrameRange(1001, 1004), True, plate)
    submit(rig)
    assert {what for what, _ in rig.host.spooled} == {"plate", "matte"}


def test_a_shot_engine_gets_frames_around_the_one_to_fill():
    rig = Rig()
    rig.host.add(form={"range_mode": "frame"})
    rig.host.connected["u1"] = NodeInputs(FrameRange(900, 1100), True)
    submit(rig)
    (request,) = rig.backend.requests
    assert request.frame_range == FrameRange(1003, 1003)
    assert request.plate.frame_range == FrameRange(979, 1027)
    assert request.matte.frame_range == request.plate.frame_range


def test_an_image_engine_gets_only_the_frame_to_fill():
    rig = Rig()
    rig.host.add(form={"range_mode": "frame", "engine_id": "painter", "prompt": "a cat"})
    rig.host.connected["u1"] = NodeInputs(FrameRange(900, 1100), True)
    submit(rig)
    assert rig.backend.requests[0].plate.frame_range == FrameRange(1003, 1003)


def test_an_unlocked_seed_is_new_and_shown_on_the_node():
    rig = Rig()
    rig.host.add(form={"seed": 7})
    submit(rig)
    assert rig.backend.requests[0].seed == 100
    assert rig.host.node("u1").form.seed == 100


def test_a_locked_seed_is_kept():
    rig = Rig()
    rig.host.add(form={"seed": 7, "seed_locked": True})
    submit(rig)
    assert rig.backend.requests[0].seed == 7


def test_matte_and_crop_settings_go_along():
    rig = Rig()
    rig.host.add(
        form={"grow_px": -2.0, "feather_px": 1.0, "blend_px": 3.0, "crop_mode": "follow",
              "context_px": 99, "takes": 2, "engine_options": {"detail": 5}},
        matte_invert=True,
    )  # fmt: skip
    submit(rig)
    (request,) = rig.backend.requests
    assert (request.shaping.grow_px, request.shaping.feather_px, request.shaping.blend_px) == (
        -2.0,
        1.0,
        3.0,
    )
    assert (request.crop.mode, request.crop.context_px) == (CropMode.FOLLOW, 99)
    assert request.matte.invert
    assert request.engine_options == {"detail": 5}
    assert request.takes == 2


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (NodeInputs(None, True), "plate"),
        (NodeInputs(FrameRange(1, 2), False), "matte"),
    ],
)
def test_an_input_that_is_not_connected_is_said_by_name(inputs, word):
    rig = Rig()
    rig.host.add()
    rig.host.connected["u1"] = inputs
    with pytest.raises(NotConnected, match=f"{word} input of GenAIFill1"):
        submit(rig)
    assert rig.folders.made == []


@pytest.mark.parametrize(
    ("views", "said", "inputs", "where"),
    [
        (("left", "right"), "left and right", ("plate", "matte"), "plate and matte"),
        (("a", "b", "c"), "a, b and c", ("matte",), "matte"),
    ],
)
def test_inputs_that_differ_by_view_are_refused_by_name(views, said, inputs, where):
    rig = Rig()
    rig.host.add()
    rig.host.views = views
    rig.host.connected["u1"] = NodeInputs(FrameRange(1, 2), True, needs_one_view=inputs)
    with pytest.raises(InvalidRequest, match=f"views {said}, and GenAIFill1 fills one") as caught:
        submit(rig)
    assert caught.value.hint == f"Put OneView before its {where}, and JoinViews after it."
    assert rig.folders.made == []


def test_the_view_that_is_filled_goes_along():
    rig = Rig()
    rig.host.add()
    rig.host.connected["u1"] = NodeInputs(FrameRange(1001, 1004), True, view="right")
    submit(rig)
    (request,) = rig.backend.requests
    assert (request.plate.view, request.matte.view) == ("right", "right")


def test_an_unsaved_script_is_asked_to_be_saved():
    rig = Rig()
    rig.host.add()
    rig.host.path = ""
    with pytest.raises(UnsavedScript, match="never saved"):
        submit(rig)


def test_an_unsaved_script_does_when_the_place_does_not_need_it():
    rig = Rig()
    rig.host.add(output_directory="/mine")
    rig.host.path = ""
    submit(rig)
    assert rig.backend.requests[0].output.directory == "/mine"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"engine_id": "nobody"}, UnknownEngine),
        ({"engine_id": "big"}, ModelMissing),
        ({"engine_id": "painter"}, InvalidRequest),
        ({"engine_options": {"detail": 9}}, InvalidOption),
        ({"engine_options": {"colour": 9}}, InvalidOption),
        ({"grow_px": 1000.0}, InvalidRequest),
        ({"context_px": -7}, InvalidRequest),
        ({"range_mode": "custom", "first": 5, "last": 1}, RangeMismatch),
        ({"range_mode": "custom", "first": 1, "last": 5000}, RangeMismatch),
    ],
)
def test_what_the_backend_would_refuse_is_refused_before_a_frame_is_rendered(form, error):
    rig = Rig()
    rig.host.add(form=form)
    with pytest.raises(error):
        submit(rig)
    assert rig.host.spooled == []
    assert rig.backend.requests == []
    assert rig.host.node("u1").form.seed == 0


def test_settings_that_are_wrong_are_said():
    rig = Rig(GENAI_FILL_SPOOL_KEPP="yes")
    rig.host.add()
    with pytest.raises(ConfigError, match="SPOOL_KEPP"):
        submit(rig)


def test_cancelling_between_frames_leaves_nothing_behind():
    rig = Rig()
    rig.host.add()
    watch = rig.watch()
    rig.host.on_spool = lambda what, frame: watch.cancel() if frame == 1002 else None
    with pytest.raises(FillStopped):
        rig.submit("u1", watch)
    assert rig.host.spooled[-1] == ("plate", 1002)
    assert rig.folders.discarded == rig.folders.made
    assert rig.backend.requests == []
    assert rig.host.node("u1").job_id == ""


def test_a_node_deleted_while_its_plate_is_written_leaves_nothing_behind():
    rig = Rig()
    rig.host.add()
    rig.host.on_spool = lambda what, frame: rig.host.states.clear()
    with pytest.raises(NodeGone):
        submit(rig)
    assert rig.folders.discarded == rig.folders.made


def test_a_spool_that_cannot_be_made_is_said():
    rig = Rig()
    rig.host.add()
    rig.folders.full = True
    with pytest.raises(OutputNotWritable):
        submit(rig)


def test_the_spool_goes_where_the_settings_say():
    rig = Rig(GENAI_FILL_SPOOL_DIR="/fast/spool")
    rig.host.add()
    submit(rig)
    assert rig.folders.made[0].startswith("/fast/spool/")


def test_a_post_that_timed_out_is_repeated_and_makes_one_job():
    rig = Rig()
    rig.host.add()
    rig.backend.submit_times_out = 1
    submit(rig)
    assert len(rig.backend.jobs) == 1


def test_a_backend_that_is_not_there_is_started():
    rig = Rig()
    rig.host.add()
    rig.backend.up = False
    submit(rig)
    assert rig.process.starts == 1
    assert "Starting the backend" in [stage.phase for stage in rig.stages]


def test_a_backend_is_not_started_when_the_settings_forbid_it():
    rig = Rig(GENAI_FILL_BACKEND_AUTOSTART="no")
    rig.host.add()
    rig.backend.up = False
    with pytest.raises(BackendUnreachable):
        submit(rig)
    assert rig.process.starts == 0


def test_a_backend_at_a_set_address_is_never_started():
    rig = Rig(GENAI_FILL_BACKEND_URL="http://farm:8791")
    rig.host.add()
    rig.backend.up = False
    with pytest.raises(BackendUnreachable):
        submit(rig)
    assert rig.process.starts == 0


def test_a_backend_that_dies_at_its_start_says_why():
    rig = Rig()
    rig.host.add()
    rig.backend.up = False
    rig.process.reason = "it ended with code 3: port in use"
    with pytest.raises(BackendStartFailed, match="port in use"):
        submit(rig)


def test_a_backend_that_never_answers_is_given_up_after_the_timeout():
    rig = Rig(GENAI_FILL_BACKEND_START_TIMEOUT_S="5")
    rig.host.add()
    rig.backend.up = False
    rig.process.needs_s = 99.0
    begun = rig.clock.now()
    with pytest.raises(BackendStartFailed, match="within 5 s"):
        submit(rig)
    assert 5 <= rig.clock.now() - begun < 6


def test_takes_of_an_earlier_job_stay_on_the_list():
    rig = Rig()
    rig.host.add()
    submit(rig)
    rig.host.states["u1"] = replace(rig.host.node("u1"), job_id="")
    submit(rig)
    assert [known.label for known in rig.host.node("u1").takes.takes] == ["v001", "v002"]
