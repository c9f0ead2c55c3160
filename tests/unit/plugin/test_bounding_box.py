"""The bounding box that comes out of a node: no larger than what is in it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.unit.plugin.nuke_scene import HEIGHT, WIDTH, Wired, comp, filled


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    assert app.session.state.error is None


def cropped_plate(session, node):
    """A plate whose data window is a part of a small format, in a script of 2K."""
    crop = session.nuke.nodes.Crop(inputs=[node.input(0)], box=[4, 3, 20, 15])
    node.setInput(0, crop)
    return (4, 3, 20, 15)


@pytest.mark.parametrize("frame", [1000, 1005])
def test_outside_the_range_of_a_take_the_bounding_box_is_the_plates(tmp_path, frame):
    with comp(tmp_path) as (session, node):
        box = cropped_plate(session, node)
        app = Wired()
        app.session.follow_selection()
        app.session.edit(range_mode="custom", first=1001, last=1004)
        node.input(0).input(0)["before"].setValue("hold")
        fill(session, app)
        assert app.session.state.error is None
        assert session.evaluate(node, frame).bbox == box
        assert filled(session.evaluate(node, 1002).rgba_top_down())


def test_a_frame_that_is_to_come_has_the_format_of_the_plate(tmp_path):
    with comp(tmp_path) as (session, node):
        cropped_plate(session, node)
        app, gate = Wired(), threading.Event()
        app.backend.on_event = lambda event: (
            gate.wait(10) if event.frame and event.frame.frame == 1001 else None
        )
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["take"].value() == "v001")
        # Without a file at hand, there is nothing else that could tell Nuke.
        Path(node.node("TakeRead")["file"].value() % 1001).unlink()
        assert session.nuke.root().format().width() > WIDTH
        assert session.evaluate(node, 1004).bbox == (0, 0, WIDTH, HEIGHT)
        gate.set()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        again = session.nuke.toNode("GenAIFill1").node("TakeRead")["format"].value()
        assert (again.width(), again.height()) == (WIDTH, HEIGHT)


def test_a_fill_outside_the_plates_data_window_is_still_shown(tmp_path):
    with comp(tmp_path) as (session, node):
        crop = session.nuke.nodes.Crop(inputs=[node.input(0)], box=[20, 0, 32, HEIGHT])
        node.setInput(0, crop)
        fill(session, Wired())
        assert filled(session.evaluate(node, 1002).rgba_top_down())


def test_between_frames_the_take_is_not_dropped(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        assert filled(session.evaluate(node, 1004.25).rgba_top_down())
