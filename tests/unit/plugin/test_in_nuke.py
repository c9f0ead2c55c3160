import threading

import numpy as np
import pytest

from tests.unit.plugin.nuke_scene import Wired, comp, filled, plate_pixels


def test_pressing_generate_fills_the_node_while_nuke_goes_on(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.session.follow_selection()
        app.session.generate()
        assert app.session.state.activity.can_cancel
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert app.session.state.error is None
        assert node["take"].value() == "v001"
        assert node["status"].value() == "Done: v001, frames 1001-1004."
        for frame in range(1001, 1005):
            out = session.evaluate(node, frame).rgba_top_down()
            assert filled(out)
            out[6:9, 10:14, :3] = plate_pixels(frame)[6:9, 10:14]
            assert np.array_equal(out[..., :3], plate_pixels(frame))


def test_frames_appear_one_after_the_other(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        gate = threading.Event()
        app.backend.on_event = lambda event: (
            gate.wait(10) if event.kind == "frame" and event.frame.frame == 1002 else None
        )
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["take"].value() == "v001")
        assert filled(session.evaluate(node, 1001).rgba_top_down())
        later = session.evaluate(node, 1004).rgba_top_down()[..., :3]
        assert np.array_equal(later, plate_pixels(1004))
        gate.set()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert filled(session.evaluate(node, 1004).rgba_top_down())


def test_a_plate_that_is_not_a_read_is_spooled_and_the_spool_goes_away(tmp_path):
    with comp(tmp_path, through="NoOp") as (session, node):
        app = Wired()
        seen = []
        app.backend.on_event = lambda event: (
            seen.append(sorted(p.name for p in tmp_path.rglob("spool/*/*.exr")))
            if event.id == 1
            else None
        )
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert seen == [[f"plate.{frame}.exr" for frame in range(1001, 1005)]]
        assert not list(tmp_path.rglob("spool"))
        (request,) = app.backend.requests
        assert request.matte.path_pattern == f"{tmp_path}/plates/matte.%04d.exr"
        assert node.node("SpoolPlate")["file"].value() == ""


def test_a_deleted_node_ends_its_fill_and_disturbs_nothing(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.backend.on_event = lambda event: gate.wait(10) if event.id == 3 else None
        gate = threading.Event()
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["job_id"].value() != "")
        session.nuke.delete(node)
        gate.set()
        session.pump(20, until=lambda: app.session.state.node_name is None)
        app.session.follow_selection()
        assert app.session.state.node_name is None


def test_a_renamed_node_gets_its_frames(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["job_id"].value() != "")
        node.setName("Hero")
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert node["take"].value() == "v001"
        assert app.session.state.node_name == "Hero"


def test_a_node_inside_a_group_is_filled(tmp_path):
    with comp(tmp_path) as (session, node):
        nuke = session.nuke
        group = nuke.nodes.Group(name="Shot")
        session.select(node)
        plate, matte = node.input(0), node.input(1)
        with group:
            inner = nuke.createNode("GenAIFill")
            reads = []
            for read in (plate, matte):
                copy = nuke.nodes.Read(raw=True)
                copy["file"].fromUserText(f"{read['file'].value()} 1001-1004")
                reads.append(copy)
            inner.setInput(0, reads[0])
            inner.setInput(1, reads[1])
        app = Wired()
        app.session.focus(inner["fill_uuid"].value())
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert app.session.state.error is None
        assert inner["take"].value() == "v001"
        assert app.backend.requests[0].output.name == "Shot.GenAIFill1"


def test_two_nodes_are_filled_at_once(tmp_path):
    with comp(tmp_path) as (session, node):
        nuke = session.nuke
        session.select()
        other = nuke.createNode("GenAIFill")
        other.setInput(0, node.input(0))
        other.setInput(1, node.input(1))
        app = Wired()
        for each in (node, other):
            session.select(each)
            app.session.follow_selection()
            app.session.generate()
        done = lambda: all(n["status"].value().startswith("Done") for n in (node, other))  # noqa: E731
        assert session.pump(20, until=done)
        assert {node["take"].value(), other["take"].value()} == {"v001", "v002"}


def test_without_a_gui_generate_waits_and_needs_no_event_loop(tmp_path):
    with comp(tmp_path, gui=False, through="NoOp") as (session, node):
        from genai_fill.app.watch import FillWatch

        app = Wired()
        watch = FillWatch(lambda stage: None, lambda line: None)
        job = app.run.generate(node["fill_uuid"].value(), watch)
        assert job.state == "done"
        assert filled(session.evaluate(node, 1003).rgba_top_down())


def test_an_error_is_on_the_node_in_words_and_in_its_label(tmp_path):
    with comp(tmp_path, connect=False) as (session, node):
        app = Wired()
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: app.session.state.error is not None)
        assert "plate input of GenAIFill1 is not connected" in node["status"].value()
        assert "Connect the plate" in node["label"].value().replace("\n", " ")
        node["label"].setValue("mine")
        app.host.say(node["fill_uuid"].value(), "Something else.", is_error=True)
        assert node["label"].value() == "mine"


def test_hostile_words_in_an_error_are_shown_and_not_run(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        text = 'Bad [exec rm -rf /] $HOME "x" {y} <b>z</b> \\n'
        app.host.say(node["fill_uuid"].value(), text, is_error=True)
        assert "<b>" not in node["status"].value()
        session.idle()
        assert session.tcl_violations == []


def test_hostile_prompts_and_paths_are_only_text(tmp_path):
    folder = tmp_path / "a [exec touch x] $HOME {b}"
    with comp(folder, through="NoOp") as (session, node):
        app = Wired()
        prompt = 'a [python {nuke.scriptClear()}] $x "\\\n} ünï'
        app.session.follow_selection()
        app.session.edit(prompt=prompt)
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert app.session.state.error is None, app.session.state.error
        assert app.backend.requests[0].prompt == prompt
        assert filled(session.evaluate(node, 1002).rgba_top_down())
        text = session.save(folder / "comp.nk")
        session.open(folder / "comp.nk")
        again = session.nuke.toNode("GenAIFill1")
        assert again["prompt"].value() == prompt, text
        assert filled(session.evaluate(again, 1002).rgba_top_down())


def test_editing_is_one_undo_step_and_background_work_is_none(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        app.session.follow_selection()
        before = len(session.undo_blocks)
        app.session.edit(prompt="a wall", takes=3, grow_px=7.5, crop_mode="follow")
        assert len(session.undo_blocks) == before + 1
        form = app.session.state.form
        assert (form.prompt, form.takes, form.grow_px, form.crop_mode) == (
            "a wall",
            3,
            7.5,
            "follow",
        )
        session.undo()
        app.session.refresh()
        assert app.session.state.form.takes == 1
        app.session.edit(seed_locked=True)
        before = len(session.undo_blocks)
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert len(session.undo_blocks) == before
        app.session.choose_take(None)
        assert len(session.undo_blocks) == before + 1
        session.undo()
        assert node["take"].value() == "v001"


def test_every_field_of_the_form_survives_the_knobs(tmp_path):
    with comp(tmp_path) as (_, node):
        from genai_fill.app.panel_state import FillForm

        app = Wired()
        form = FillForm(
            prompt="p", negative_prompt="n", engine_id="painter", engine_options={"a": True,
            "b": 2, "c": 0.5, "d": "x"}, seed=123456789, seed_locked=True, takes=4,
            range_mode="custom", first=-5, last=7, grow_px=-1.5, feather_px=2.5, blend_px=3.5,
            crop_mode="full", context_px=12,
        )  # fmt: skip
        uuid = node["fill_uuid"].value()
        app.host.edit(uuid, vars(form))
        assert app.host.node(uuid).form == form
        assert node["engine_choice"].value() == "painter"


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": [1], "b": null, "c": 3}', "\x00"])
def test_options_that_somebody_damaged_do_not_stop_the_node(tmp_path, text):
    with comp(tmp_path) as (_, node):
        node["engine_options"].setValue(text)
        app = Wired()
        options = app.host.node(node["fill_uuid"].value()).form.engine_options
        assert options in ({}, {"c": 3})


def test_a_damaged_take_list_is_said_and_never_overwritten(tmp_path):
    with comp(tmp_path) as (session, node):
        node["take_list"].setValue("{damaged")
        app = Wired()
        app.session.follow_selection()
        assert "damaged" in app.session.state.error.message
        app.session.focus(node["fill_uuid"].value())
        app.session.generate()
        session.pump(0.2)
        assert node["take_list"].value() == "{damaged"
        assert app.backend.requests == []


def test_main_thread_calls_carry_their_outcome_over(tmp_path):
    with comp(tmp_path) as (session, _):
        from genai_fill.nuke_host.main_thread import MainThread
        from genai_fill_contract.errors import NotConnected

        main = MainThread()
        outcomes = []

        def worker():
            outcomes.append(main.run(lambda: threading.current_thread()))
            outcomes.append(main.run(lambda: None))
            for error in (NotConnected("n", hint="h"), KeyboardInterrupt()):
                try:
                    main.run(lambda e=error: (_ for _ in ()).throw(e))
                except (NotConnected, KeyboardInterrupt) as caught:
                    outcomes.append(caught is error)

        thread = threading.Thread(target=worker)
        thread.start()
        session.pump(10, until=lambda: not thread.is_alive())
        assert outcomes == [threading.main_thread(), None, True, True]
        assert main.run(lambda: 7) == 7


def test_a_nuke_that_is_shutting_down_lets_workers_go(tmp_path):
    outcomes = []
    with comp(tmp_path):
        from genai_fill.nuke_host.main_thread import MainThread
        from genai_fill_contract.errors import GenAIFillError

        main = MainThread()

        def worker():
            ready.set()
            try:
                main.run(lambda: None)
            except GenAIFillError as error:
                outcomes.append(error.code.value)
            main.post(lambda: None)

        ready = threading.Event()
        thread = threading.Thread(target=worker)
        thread.start()
        ready.wait(5)
    thread.join(10)
    assert outcomes == ["nuke_failed"]
