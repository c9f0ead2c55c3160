"""The optional inputs, hero frames and the report inside the node, in the Nuke stand-in."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.plugin.nuke_scene import (
    FAKES,
    HEIGHT,
    REPOSITORY,
    WIDTH,
    Wired,
    comp,
    filled,
    fresh_fakes,
    plate_pixels,
    read_exr,
    read_node,
    write_exr,
    write_shot,
)

OLD_NODE = Path(__file__).with_name("two_input_node.gizmo")
VECTORS = ["forward.u", "forward.v", "backward.u", "backward.v"]


def roles(*names):
    from genai_fill_contract.plate import InputRole

    return tuple(InputRole(name) for name in names or [role.value for role in InputRole])


def optional(node, *names):
    from genai_fill.nuke_host.host import NukeHost

    return NukeHost().optional_inputs(node["fill_uuid"].value(), roles(*names))


def layered_read(session, tmp_path, names, *, name="extra", first=1001, last=1004, half=False):
    """A Read of files with the channels ``names``: channel n holds n + frame / 10000."""
    for frame in range(first, last + 1):
        pixels = np.zeros((HEIGHT, WIDTH, len(names)), np.float32)
        pixels += np.arange(len(names)) + frame / 10000
        write_exr(tmp_path / f"plates/{name}.{frame:04d}.exr", pixels, names, half=half)
    return read_node(session.nuke, tmp_path / f"plates/{name}.%04d.exr", first, last)


def spool_input(node, tmp_path, role, frame=1002):
    from genai_fill.nuke_host.host import NukeHost

    pattern = f"{tmp_path}/spool/{role}.%04d.exr"
    NukeHost().spool_input(node["fill_uuid"].value(), roles(role)[0], pattern, frame)
    return read_exr(tmp_path / f"spool/{role}.{frame}.exr")


def test_nothing_connected_is_nothing_given(tmp_path):
    with comp(tmp_path) as (_, node):
        assert optional(node) == ()


def test_inputs_are_given_by_role_and_only_those_asked_for(tmp_path):
    with comp(tmp_path) as (session, node):
        rgba = layered_read(session, tmp_path, ["R", "G", "B", "A"])
        for number in (2, 4, 5):
            node.setInput(number, rgba)
        from genai_fill.nuke_host.host import NukeHost

        known = NukeHost().inputs(node["fill_uuid"].value()).optional
        assert known == ("reference", "patch", "control")
        found = {one.role.value: one for one in optional(node)}
        assert set(found) == {"reference", "patch", "control"}
        assert found["control"].footage.path_pattern == f"{tmp_path}/plates/extra.%04d.exr"
        assert str(found["patch"].frames) == "1001-1004"
        assert [one.role.value for one in optional(node, "control")] == ["control"]


def test_motion_is_vectors_when_the_pipe_has_such_layers_else_an_stmap(tmp_path):
    with comp(tmp_path) as (session, node):
        vectors = layered_read(session, tmp_path, ["R", "G", "B", *VECTORS], name="vectors")
        stmap = layered_read(session, tmp_path, ["R", "G", "B"], name="stmap")
        forward = layered_read(session, tmp_path, ["R", "G", "B", *VECTORS[:2]], name="fwd")
        node.setInput(3, vectors)
        assert [o.role.value for o in optional(node)] == ["motion_forward", "motion_backward"]
        assert [o.role.value for o in optional(node, "motion_backward")] == ["motion_backward"]
        node.setInput(3, forward)
        assert [one.role.value for one in optional(node)] == ["motion_forward"]
        node["motion_kind"].setValue("stmap")
        assert [one.role.value for one in optional(node)] == ["stmap"]
        node["motion_kind"].setValue("auto")
        node.setInput(3, stmap)
        assert [one.role.value for one in optional(node)] == ["stmap"]


def test_motion_without_vectors_is_said_when_vectors_are_asked_for(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill_contract.errors import UnknownChannel

        node.setInput(3, layered_read(session, tmp_path, ["R", "G", "B"]))
        node["motion_kind"].setValue("vectors")
        with pytest.raises(UnknownChannel, match="neither a layer forward nor"):
            optional(node)
        assert optional(node, "patch", "control") == ()


def test_a_patch_without_alpha_is_said(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill_contract.errors import UnknownChannel

        node.setInput(4, layered_read(session, tmp_path, ["R", "G", "B"]))
        with pytest.raises(UnknownChannel, match=r"patch input has no channel rgba\.alpha"):
            optional(node, "patch")
        node.input(4)["auto_alpha"].setValue(True)
        (patch,) = optional(node, "patch")
        assert patch.footage is None  # that alpha is not in the file, so it is rendered


def test_the_frames_of_a_patch_are_read_from_the_node(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill_contract.errors import InvalidRequest

        node.setInput(4, layered_read(session, tmp_path, ["R", "G", "B", "A"]))
        node["patch_frames"].setValue("1002 1004")
        (patch,) = optional(node, "patch")
        assert patch.named == (1002, 1004)
        node["patch_frames"].setValue("the good ones")
        with pytest.raises(InvalidRequest, match="'the' is not a frame"):
            optional(node, "patch")


@pytest.mark.parametrize(
    ("role", "number", "names", "written", "values"),
    [
        ("reference", 2, ["R", "G", "B", "A"], ("R", "G", "B"), (0, 1, 2)),
        ("patch", 4, ["R", "G", "B", "A"], ("R", "G", "B", "A"), (0, 1, 2, 3)),
        ("control", 5, ["R", "G", "B"], ("R", "G", "B"), (0, 1, 2)),
        ("stmap", 3, ["R", "G", "B"], ("R", "G", "B"), (0, 1, 2)),
        ("motion_forward", 3, ["R", *VECTORS], ("forward.u", "forward.v"), (1, 2)),
        ("motion_backward", 3, ["R", *VECTORS], ("backward.u", "backward.v"), (3, 4)),
    ],
)
def test_each_role_writes_its_channels(tmp_path, role, number, names, written, values):
    with comp(tmp_path) as (session, node):
        node.setInput(number, layered_read(session, tmp_path, names, half=True))
        pixels, spec = spool_input(node, tmp_path, role)
        assert spec.channelnames == written
        half = role in ("reference", "patch")
        assert spec.format == ("half" if half else "float")
        expected = np.float16(np.array(values) + 1002 / 10000).astype(np.float32)
        assert np.array_equal(pixels[5, 5], expected)


def test_spooling_an_input_leaves_the_script_as_it_was(tmp_path):
    with comp(tmp_path) as (session, node):
        node.setInput(5, layered_read(session, tmp_path, ["R", "G", "B"]))
        session.save(tmp_path / "comp.nk")
        undo = len(session.undo_blocks)
        spool_input(node, tmp_path, "control")
        assert not session.nuke.root().modified()
        assert len(session.undo_blocks) == undo
        assert str(tmp_path / "spool") not in session.save(tmp_path / "comp.nk")


def wired(*names):
    fakes = importlib.import_module(FAKES)
    app = Wired()
    engine = replace(fakes.CLEANPLATE, inputs=roles(*names))
    app.backend.engine_list = replace(app.backend.engine_list, engines=(engine,))
    return app


def generate(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    assert app.session.state.error is None
    return app.backend.requests[-1].inputs


def test_a_fill_takes_files_where_they_lie_and_renders_the_rest(tmp_path):
    with comp(tmp_path) as (session, node):
        app = wired()
        control = layered_read(session, tmp_path, ["R", "G", "B"], name="control")
        stmap = layered_read(session, tmp_path, ["R", "G", "B"], name="stmap")
        node.setInput(5, control)
        node.setInput(3, session.nuke.nodes.NoOp(inputs=[stmap]))
        seen = {}
        app.backend.on_event = lambda event: seen.update(
            {ref.role.value: _files_of(ref) for ref in app.backend.requests[-1].inputs}
        )
        refs = {ref.role.value: ref for ref in generate(session, app)}
        assert refs["control"].path_pattern == f"{tmp_path}/plates/control.%04d.exr"
        assert refs["control"].colorspace == "data"
        assert "spool" in refs["stmap"].path_pattern
        assert seen["stmap"] == [1001, 1002, 1003, 1004]
        assert _files_of(refs["stmap"]) == []  # swept away with the job
        assert _files_of(refs["control"]) == [1001, 1002, 1003, 1004]


def _files_of(ref):
    from genai_fill_contract.plate import path_at

    return [frame for frame in ref.frame_range if Path(path_at(ref.path_pattern, frame)).is_file()]


def test_a_hero_frame_lives_on_the_node(tmp_path):
    with comp(tmp_path) as (session, node):
        app = wired("patch")
        generate(session, app)
        app.session.add_hero(1)
        assert [h.frame for h in app.session.state.heroes] == [1002]
        (ref,) = generate(session, app)
        assert str(ref.frame_range) == "1002"
        assert filled(read_exr(ref.path_pattern.replace("%04d", "1002"))[0])
        kept = node["hero_frames"].value()
        session.nuke.undo()
        assert node["hero_frames"].value() == ""
        session.nuke.redo()
        assert node["hero_frames"].value() == kept
        session.select(node)
        session.nuke.nodeCopy(str(tmp_path / "copy.nk"))
        session.nuke.nodePaste(str(tmp_path / "copy.nk"))
        twin = session.nuke.selectedNode()
        assert twin["fill_uuid"].value() != node["fill_uuid"].value()
        assert twin["hero_frames"].value() == kept
        session.save(tmp_path / "comp.nk")
    with boot(nuke_path=[REPOSITORY], gui=False, home=tmp_path / "home2") as session:
        session.open(tmp_path / "comp.nk")
        assert session.nuke.toNode("GenAIFill1")["hero_frames"].value() == kept


def test_removing_a_hero_file_is_said_at_generate(tmp_path):
    with comp(tmp_path) as (session, _):
        app = wired("patch")
        generate(session, app)
        app.session.add_hero(1)
        take = app.backend.jobs["job1"].takes[0]
        Path(take.path_pattern.replace("%04d", "1002")).unlink()
        app.session.generate()
        assert session.pump(20, until=lambda: app.session.state.error is not None)
        assert app.session.state.error.code.value == "missing_frames"
        assert "hero frame 1002 of v001" in app.session.state.error.message


# --- a node of an earlier release ------------------------------------------------------------


def test_a_node_with_two_inputs_still_fills_with_this_plugin(tmp_path):
    write_shot(tmp_path / "plates")
    with (
        fresh_fakes(),
        boot(nuke_path=[REPOSITORY], gui=True, home=tmp_path / "home") as session,
    ):
        nuke = session.nuke
        session.select()
        nuke.nodePaste(str(OLD_NODE))
        node = nuke.selectedNode()
        assert node.maxInputs() == 2
        for number, name in enumerate(("plate", "matte")):
            node.setInput(number, read_node(nuke, tmp_path / f"plates/{name}.%04d.exr"))
        nuke.frame(1002)
        nuke.scriptSaveAs(str(tmp_path / "comp.nk"))
        session.select(node)
        app = wired()
        assert generate(session, app) == ()
        assert filled(session.evaluate(node, 1002).rgba_top_down())
        app.session.add_hero(1)
        assert "earlier release" in app.session.state.error.message
        assert session.errors == []


# --- the report ------------------------------------------------------------------------------


def shown_take(node, tmp_path, names):
    pixels = np.zeros((HEIGHT, WIDTH, len(names)), np.float32)
    pixels[6:9, 10:14] = np.arange(len(names)) + 1.5
    write_exr(tmp_path / "take.1003.exr", pixels, names)
    read = node.node("TakeRead")
    read["file"].setValue(f"{tmp_path}/take.%04d.exr")
    for knob in ("first", "last", "origfirst", "origlast"):
        read[knob].setValue(1003)
    node.node("TakeSwitch")["which"].setValue(1)
    node["view_mode"].setValue("report")


def test_the_report_of_a_take_is_shown_as_it_is_in_the_file(tmp_path):
    with comp(tmp_path) as (session, node):
        names = ["R", "G", "B", "A", "origin.Y", "invented.Y", "confidence.Y"]
        shown_take(node, tmp_path, names)
        out = session.evaluate(node, 1003).rgba_top_down()
        assert out[7, 11].tolist() == [6.5, 7.5, 5.5, 4.5]
        outside = np.ones((HEIGHT, WIDTH), bool)
        outside[6:9, 10:14] = False
        assert not out[outside].any()


def test_a_take_without_a_report_shows_black_and_no_error(tmp_path):
    with comp(tmp_path) as (session, node):
        shown_take(node, tmp_path, ["R", "G", "B", "A"])
        out = session.evaluate(node, 1003).rgba_top_down()
        assert not out[..., :3].any()
        assert not node.treeHasError()


def test_without_a_take_the_report_is_black(tmp_path):
    with comp(tmp_path) as (session, node):
        shown_take(node, tmp_path, ["R", "G", "B", "A", "origin.Y", "invented.Y", "confidence.Y"])
        node.node("TakeSwitch")["which"].setValue(0)
        assert not session.evaluate(node, 1003).rgba_top_down().any()
        node["view_mode"].setValue("plate")
        out = session.evaluate(node, 1003).rgba_top_down()
        assert np.array_equal(out[..., :3], plate_pixels(1003))


def test_the_report_opens_where_the_plugin_is_not(tmp_path):
    with comp(tmp_path) as (session, node):
        shown_take(node, tmp_path, ["R", "G", "B", "A", "origin.Y", "invented.Y", "confidence.Y"])
        session.save(tmp_path / "comp.nk")
    hidden = ("genai_fill", "genai_fill_contract")
    with boot(nuke_path=[], gui=False, home=tmp_path / "farm", unavailable=hidden) as session:
        session.open(tmp_path / "comp.nk")
        out = session.evaluate(session.nuke.toNode("GenAIFill1"), 1003).rgba_top_down()
        assert out[7, 11].tolist() == [6.5, 7.5, 5.5, 4.5]
