"""Scripts with several views: one eye is filled at a time, and never the other one."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest

from tests.unit.plugin.nuke_scene import (
    Wired,
    comp,
    filled,
    matte_pixels,
    plate_pixels,
    read_exr,
    read_node,
    write_exr,
)

EYES = {"left": 0, "right": 500}


def eye_plate(view, frame):
    return plate_pixels(frame + EYES[view])


@contextmanager
def stereo(tmp_path, *, gui=True):
    """A comp with a plate and a matte that differ by view. Yields the Reads of both, too."""
    with comp(tmp_path, gui=gui, connect=False) as (session, node):
        session.set_views(*EYES)
        folder = tmp_path / "stereo"
        folder.mkdir()
        for view in EYES:
            for frame in range(1001, 1005):
                write_exr(folder / f"p_{view}.{frame}.exr", eye_plate(view, frame), list("RGB"))
                write_exr(folder / f"m_{view}.{frame}.exr", matte_pixels(frame), list("RGBA"))
        plate, matte = (read_node(session.nuke, folder / f"{n}_%V.%04d.exr") for n in "pm")
        yield session, node, plate, matte


def one(session, source, view="left"):
    return session.nuke.nodes.OneView(inputs=[source], view=view)


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    return app.session.state.error


def refused(session, app):
    error = fill(session, app)
    assert app.backend.requests == []
    return error


def test_a_plate_that_differs_by_view_is_refused_before_anything_is_written(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        node.setInput(0, plate)
        node.setInput(1, matte)
        error = refused(session, Wired())
        assert error.code.value == "invalid_request"
        assert error.message == (
            "This script has the views left and right, and GenAIFill1 fills one picture at a time."
        )
        assert error.hint == "Put OneView before its plate and matte, and JoinViews after it."
        assert "OneView" in node["status"].value()
        assert list(tmp_path.rglob("spool")) == []
        assert node["take"].value() == "none"


def test_the_input_that_still_differs_is_named(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        node.setInput(0, one(session, plate))
        node.setInput(1, matte)
        assert "before its matte," in refused(session, Wired()).hint
        node.setInput(0, plate)
        node.setInput(1, one(session, matte))
        assert "before its plate," in refused(session, Wired()).hint


@pytest.mark.parametrize("why", ["disabled", "no view", "beside"])
def test_a_one_view_that_does_not_pick_the_whole_picture_does_not_count(tmp_path, why):
    with stereo(tmp_path) as (session, node, plate, matte):
        picked = one(session, plate)
        source = picked
        if why == "disabled":
            picked["disable"].setValue(True)
        elif why == "no view":
            picked["view"].setValue(0)
        else:
            source = session.nuke.nodes.Merge2(inputs=[picked, plate])
        node.setInput(0, source)
        node.setInput(1, one(session, matte))
        assert "before its plate," in refused(session, Wired()).hint


def eyes_joined(session, plate, matte):
    """Both inputs, each put together again from its two eyes."""
    for source in (plate, matte):
        yield session.nuke.nodes.JoinViews(inputs=[one(session, source, eye) for eye in EYES])


def test_eyes_that_were_joined_again_differ_however_they_were_picked(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        for number, joined in enumerate(eyes_joined(session, plate, matte)):
            node.setInput(number, session.nuke.nodes.Dot(inputs=[joined]))
        assert "before its plate and matte," in refused(session, Wired()).hint


def test_shuffled_views_differ_whatever_was_picked_above_them(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        node.setInput(0, session.nuke.nodes.ShuffleViews(inputs=[one(session, plate)]))
        node.setInput(1, one(session, matte))
        assert "before its plate," in refused(session, Wired()).hint


def test_one_view_below_joined_eyes_picks_one_of_them(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        for number, joined in enumerate(eyes_joined(session, plate, matte)):
            node.setInput(number, one(session, joined, "right"))
        app = Wired()
        assert fill(session, app) is None
        (request,) = app.backend.requests
        assert (request.plate.view, request.matte.view) == ("right", "right")


def test_one_eye_is_filled_and_the_other_stays_bit_for_bit(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        app = Wired()
        node.setInput(0, session.nuke.nodes.Dot(inputs=[one(session, plate, "right")]))
        node.setInput(1, one(session, matte, "right"))
        seen = {}

        def look(event):
            for path in tmp_path.rglob("spool/*/plate.*.exr"):
                seen[int(path.suffixes[0][1:])] = read_exr(path)[0]

        app.backend.on_event = look
        assert fill(session, app) is None
        (request,) = app.backend.requests
        assert (request.plate.view, request.matte.view) == ("right", "right")
        assert sorted(seen) == [1001, 1002, 1003, 1004]
        assert all(np.array_equal(seen[f], eye_plate("right", f)) for f in seen)
        joined = session.nuke.nodes.JoinViews(inputs=[one(session, plate, "left"), node])
        right = session.evaluate(joined, 1003, "right").rgba_top_down()
        assert filled(right)
        right[6:9, 10:14, :3] = eye_plate("right", 1003)[6:9, 10:14]
        assert np.array_equal(right[..., :3], eye_plate("right", 1003))
        left = session.evaluate(joined, 1003, "left").rgba_top_down()
        assert np.array_equal(left[..., :3], eye_plate("left", 1003))


def test_a_node_inside_a_group_looks_for_the_one_view_outside(tmp_path):
    with stereo(tmp_path) as (session, _, plate, matte):
        nuke = session.nuke
        group = nuke.nodes.Group(name="Shot")
        with group:
            ends = [nuke.nodes.Input(name=name) for name in ("in", "roto")]
            ends[1]["number"].setValue(1)
            session.select()
            inside = nuke.createNode("GenAIFill")
            for number, end in enumerate(ends):
                inside.setInput(number, end)
        group.setInput(0, one(session, plate))
        group.setInput(1, matte)
        app = Wired()
        app.session.focus(inside["fill_uuid"].value())
        app.session.generate()
        assert session.pump(20, until=lambda: app.session.state.error is not None)
        assert "before its matte," in app.session.state.error.hint
        group.setInput(1, one(session, matte))
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert app.session.state.error is None


def test_a_fill_over_a_fill_needs_no_second_one_view(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        node.setInput(0, one(session, plate))
        node.setInput(1, one(session, matte))
        node.setInput(2, plate)  # a reference is no part of the picture
        app = Wired()
        assert fill(session, app) is None
        session.select()
        second = session.nuke.createNode("GenAIFill")
        second.setInput(0, node)
        second.setInput(1, node.input(1))
        session.select(second)
        assert fill(session, app) is None
        assert second["take"].value() == "v002"


def test_other_inputs_are_rendered_in_the_eye_of_the_plate(tmp_path):
    with stereo(tmp_path) as (session, node, plate, matte):
        from genai_fill.nuke_host.host import NukeHost
        from genai_fill_contract.plate import InputRole

        node.setInput(0, one(session, plate, "right"))
        node.setInput(1, one(session, matte, "right"))
        node.setInput(5, plate)
        pattern = f"{tmp_path}/spool/control.%04d.exr"
        NukeHost().spool_input(node["fill_uuid"].value(), InputRole.CONTROL, pattern, 1002)
        pixels, _ = read_exr(tmp_path / "spool/control.1002.exr")
        assert np.array_equal(pixels, eye_plate("right", 1002))


def test_without_a_gui_it_is_refused_too(tmp_path):
    with stereo(tmp_path, gui=False) as (_, node, plate, matte):
        from genai_fill.app.watch import FillWatch
        from genai_fill_contract.errors import InvalidRequest

        node.setInput(0, plate)
        node.setInput(1, matte)
        app = Wired()
        watch = FillWatch(lambda stage: None, lambda line: None)
        with pytest.raises(InvalidRequest, match=re.escape("fills one picture at a time")):
            app.run.generate(node["fill_uuid"].value(), watch)
