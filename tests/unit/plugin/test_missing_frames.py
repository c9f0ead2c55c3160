"""What a node shows where a take has no file: the plate while frames are to come, else an error."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.plugin.nuke_scene import (
    REPOSITORY,
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
OURS = ("genai_fill", "genai_fill_contract")


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)


def fill_partly(session, app, *, frames):
    """Cancel a fill after so many frames."""

    def cancel(event):
        if event.frame and event.frame.frame == 1000 + frames:
            app.backend.cancel(event.job_id)

    app.backend.on_event = cancel
    fill(session, app)
    app.backend.on_event = None


def file_at(node, frame):
    return Path(node.node("TakeRead")["file"].value() % frame)


def writer(session, tmp_path, node):
    write = session.nuke.nodes.Write(inputs=[node], file_type="exr", channels="rgb", raw=True)
    write["file"].setValue(f"{tmp_path}/out.%04d.exr")
    write["datatype"].setValue("32 bit float")
    return write


def is_plate(session, node, frame):
    out = session.evaluate(node, frame).rgba_top_down()[..., :3]
    return np.array_equal(out, plate_pixels(frame))


def read_range(node):
    read = node.node("TakeRead")
    return read["first"].value(), read["last"].value(), read["on_error"].value()


@pytest.mark.parametrize("gui", [True, False])
def test_a_render_without_the_takes_files_fails_instead_of_showing_the_plate(tmp_path, gui):
    with comp(tmp_path, gui=gui) as (session, node):
        from genai_fill.app.watch import FillWatch

        app = Wired()
        if gui:
            fill(session, app)
        else:
            watch = FillWatch(lambda stage: None, lambda line: None)
            app.run.generate(node["fill_uuid"].value(), watch)
        write = writer(session, tmp_path, node)
        session.nuke.execute(write, 1001, 1001)
        assert filled(read_exr(tmp_path / "out.1001.exr")[0])
        folder = file_at(node, 1001).parent
        folder.rename(folder.with_name("gone"))
        with pytest.raises(RuntimeError, match=r"TakeRead: .*1002\.exr: No such file"):
            session.nuke.execute(write, 1002, 1002)
        assert node.treeHasError()
        session.nuke.execute(write, 1005, 1005)  # the take says nothing of this frame


def test_a_farm_that_knows_nothing_of_the_plug_in_fails_too(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        writer(session, tmp_path, node).setName("Out")
        session.save(tmp_path / "comp.nk")
        file_at(node, 1003).unlink()
    with boot(nuke_path=[], gui=False, home=tmp_path / "farm", unavailable=OURS) as session:
        session.open(tmp_path / "comp.nk")
        session.nuke.execute(session.nuke.toNode("Out"), 1002, 1002)
        with pytest.raises(RuntimeError, match=r"1003\.exr"):
            session.nuke.execute(session.nuke.toNode("Out"), 1003, 1003)


def test_while_frames_are_to_come_the_plate_is_shown(tmp_path):
    with comp(tmp_path) as (session, node):
        app, gate = Wired(), threading.Event()
        app.backend.on_event = lambda event: (
            gate.wait(10) if event.frame and event.frame.frame == 1002 else None
        )
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["take"].value() == "v001")
        assert read_range(node) == (1001, 1004, "black")
        assert is_plate(session, node, 1004)
        app.session.choose_take(None)
        app.session.choose_take(1)
        assert read_range(node) == (1001, 1004, "black")
        gate.set()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert read_range(node) == (1001, 1004, "error")


def test_the_takes_of_a_job_that_were_not_shown_are_read_strictly_when_chosen(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.session.follow_selection()
        app.session.edit(takes=2)
        fill(session, app)
        app.session.choose_take(2)
        assert read_range(node) == (1001, 1004, "error")
        session.set_knob_as_user(node, "take", "v001")
        assert read_range(node) == (1001, 1004, "error")


def test_a_cancelled_take_is_read_as_far_as_it_goes_and_the_node_says_so(tmp_path):
    with comp(tmp_path) as (session, node):
        fill_partly(session, Wired(), frames=2)
        text = "Cancelled. v001 has no frames 1003-1004: the plate shows there."
        assert node["status"].value() == text
        assert read_range(node) == (1001, 1002, "error")
        assert filled(session.evaluate(node, 1002).rgba_top_down())
        assert is_plate(session, node, 1003)
        file_at(node, 1001).unlink()
        with pytest.raises(RuntimeError, match=r"1001\.exr"):
            session.evaluate(node, 1001)


def test_a_take_with_gaps_shows_the_plate_in_them_and_the_node_says_so(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        fill(session, app)
        uuid = node["fill_uuid"].value()
        takes = app.host.node(uuid).takes
        whole = node["take_list"].value()
        node["take_list"].setValue(whole.replace("[1001, 1002, 1003, 1004]", "[1001, 1003]", 1))
        for frame in (1002, 1004):
            Path(takes.get(1).take.path_pattern % frame).unlink()
        app.session.choose_take(1)
        assert read_range(node) == (1001, 1003, "black")
        said = "v001 has no frames 1002, 1004: the plate shows there."
        assert node["status"].value() == said
        assert is_plate(session, node, 1002)
        assert filled(session.evaluate(node, 1003).rgba_top_down())
        app.session.choose_take(2)
        assert node["status"].value() == " "
        assert read_range(node) == (1001, 1004, "error")


def test_what_is_said_of_gaps_never_covers_an_error(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill_partly(session, app, frames=2)
        app.host.say(node["fill_uuid"].value(), "The disk is full.", is_error=True)
        app.session.choose_take(1)
        assert node["status"].value() == "The disk is full."


def test_frames_that_came_when_nobody_listened_are_found_when_the_take_is_chosen(tmp_path):
    with comp(tmp_path) as (session, node):
        app, gate = Wired(), threading.Event()
        app.backend.on_event = lambda event: (
            gate.wait(10) if event.frame and event.frame.frame == 1002 else None
        )
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["take"].value() == "v001")
        copy = session.copy_paste(node)
        gate.set()
        first, last, on_error = read_range(copy)
        # Nobody tells it of more than is on disk now.
        assert (first, on_error) == (1001, "error")
        assert last in (1001, 1002)
        assert session.pump(20, until=lambda: node["job_id"].value() == "")
        session.select(copy)
        app.session.follow_selection()
        app.session.choose_take(1)
        assert read_range(copy) == (1001, 1004, "error")
        assert copy["status"].value() == " "


def test_a_take_whose_job_is_lost_is_read_as_far_as_it_goes(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()

        def forget(event):
            if event.frame and event.frame.frame == 1002:
                app.backend.jobs.clear()
                app.backend.down_after = 0

        app.backend.on_event = forget
        fill(session, app)
        assert app.session.state.activity.state == "lost"
        assert read_range(node) == (1001, 1002, "error")
        assert (
            node["status"].value().endswith("v001 has no frames 1003-1004: the plate shows there.")
        )


def test_a_job_that_nobody_knows_any_more_leaves_its_take_as_far_as_it_goes(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill_partly(session, app, frames=2)
        uuid = node["fill_uuid"].value()
        app.host.set_job(uuid, "job1")  # as a script has it that was saved in the middle
        app.host.show_take(uuid, app.host.node(uuid).takes.get(1), undoable=False)
        assert read_range(node) == (1001, 1004, "black")
        app.backend.jobs.clear()
        app.session.focus(uuid)
        assert session.pump(20, until=lambda: node["job_id"].value() == "")
        assert read_range(node) == (1001, 1002, "error")


def test_opening_a_script_of_an_earlier_release_changes_nothing_until_a_take_is_chosen(tmp_path):
    with comp(tmp_path) as (session, node):
        fill(session, Wired())
        node.node("TakeRead")["on_error"].setValue("black")
        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        again = session.nuke.toNode("GenAIFill1")
        session.open_control_panel(again)
        session.select(again)
        app = Wired()
        app.session.follow_selection()
        session.pump(0.1)
        assert not session.nuke.root().modified()
        assert read_range(again) == (1001, 1004, "black")
        app.session.choose_take(1)
        assert read_range(again) == (1001, 1004, "error")


def test_a_node_of_an_earlier_release_is_strict_about_its_next_fill(tmp_path):
    write_shot(tmp_path / "plates")
    with (
        fresh_fakes(),
        boot(nuke_path=[REPOSITORY], gui=True, home=tmp_path / "home") as session,
    ):
        nuke = session.nuke
        session.select()
        nuke.nodePaste(str(OLD_NODE))
        node = nuke.selectedNode()
        for number, name in enumerate(("plate", "matte")):
            node.setInput(number, read_node(nuke, tmp_path / f"plates/{name}.%04d.exr"))
        nuke.scriptSaveAs(str(tmp_path / "comp.nk"))
        session.select(node)
        fill(session, Wired())
        assert filled(session.evaluate(node, 1002).rgba_top_down())
        file_at(node, 1002).unlink()
        with pytest.raises(RuntimeError, match=r"1002\.exr"):
            session.evaluate(node, 1002)


def test_with_the_plate_chosen_nothing_asks_for_the_takes_files(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        for frame in range(1001, 1005):
            file_at(node, frame).unlink()
        app.session.choose_take(None)
        assert is_plate(session, node, 1002)
        node["view_mode"].setValue("report")
        assert not session.evaluate(node, 1002).rgba_top_down().any()
        session.undo()
        node["view_mode"].setValue("result")
        session.undo()
        session.undo()
        assert read_range(node) == (1001, 1004, "error")


def test_a_still_fill_holds_over_every_frame(tmp_path):
    with comp(tmp_path) as (session, node):
        write_exr(tmp_path / "plates/still.0001.exr", plate_pixels(1), ["R", "G", "B"])
        node.setInput(0, read_node(session.nuke, tmp_path / "plates/still.%04d.exr", 1, 1))
        app = Wired()
        app.session.follow_selection()
        app.session.edit(range_mode="frame")
        fill(session, app)
        assert node.node("TakeRead")["on_error"].value() == "error"
        assert filled(session.evaluate(node, 900).rgba_top_down())
        assert filled(session.evaluate(node, 1040).rgba_top_down())
