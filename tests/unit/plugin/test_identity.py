"""Who a node is, whatever Edit > Paste Knob Values, presets and copies write over it."""

import threading

import pytest

from tests.unit.plugin.nuke_scene import Wired, comp, filled


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    assert app.session.state.error is None


def another(session, like):
    session.select()
    node = session.nuke.createNode("GenAIFill")
    for index in (0, 1):
        node.setInput(index, like.input(index))
    return node


def copy(session, node):
    session.select(node)
    session.nuke.nodeCopy("%clipboard%")


def identities(*nodes):
    return [node["fill_uuid"].value() for node in nodes]


class Held:
    """The application with a backend that stops before its fourth event until `go`."""

    def __init__(self, session, node):
        self.session, self.app, self.gate = session, Wired(), threading.Event()
        self.app.backend.on_event = lambda e: self.gate.wait(10) if e.id == 4 else None
        self.app.session.focus(self.app.host.identify(node))
        self.app.session.generate()
        assert session.pump(20, until=lambda: node["job_id"].value() != "")

    def go(self, until):
        self.gate.set()
        assert self.session.pump(20, until=until)


def test_nodes_that_values_were_pasted_on_are_two_nodes_still(tmp_path):
    with comp(tmp_path) as (session, node):
        first, second = another(session, node), another(session, node)
        node["prompt"].setValue("a wall")
        copy(session, node)
        session.paste_knob_values(first, second)
        assert len(set(identities(first, second))) == 1  # Nuke does this
        app = Wired()
        for chosen in (second, first):
            session.select(chosen)
            app.session.follow_selection()
            assert app.session.state.node_name == chosen.name()
        assert len(set(identities(node, first, second))) == 3
        session.select(second)
        fill(session, app)
        assert [n["take"].value() for n in (first, second)] == ["none", "v001"]
        assert app.backend.requests[-1].provenance.node == second.name()
        assert second["prompt"].value() == "a wall"


def test_a_node_that_was_known_keeps_its_identity_when_values_are_pasted_on_it(tmp_path):
    with comp(tmp_path) as (session, node):
        app, other = Wired(), another(session, node)
        own = app.host.identify(other)
        copy(session, node)
        session.paste_knob_values(other)
        assert other["fill_uuid"].value() != own
        assert app.host.node(own).name == other.name()
        assert other["fill_uuid"].value() == own
        assert app.host.identify(other) == own


def test_the_buttons_of_a_twin_act_on_that_twin(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAI_FILL_BACKEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GENAI_FILL_BACKEND_AUTOSTART", "no")
    with comp(tmp_path) as (session, node):
        from genai_fill import bootstrap

        twin = another(session, node)
        twin["fill_uuid"].setValue(node["fill_uuid"].value())  # as an old preset does
        session.press(node, "cancel")
        session.press(twin, "cancel")
        assert bootstrap.panel_actions().state.node_name == twin.name()
        assert len(set(identities(node, twin))) == 2
        session.press(twin, "generate")
        assert session.pump(20, until=lambda: "No backend" in twin["status"].value())
        assert node["status"].value() == " "


@pytest.mark.parametrize("panel_is_open", [False, True])
def test_values_pasted_on_a_node_that_is_being_filled_do_not_stop_its_frames(
    tmp_path, panel_is_open
):
    with comp(tmp_path) as (session, node):
        other = another(session, node)
        other["prompt"].setValue("sky")
        held = Held(session, node)
        own = node["fill_uuid"].value()
        if panel_is_open:
            session.open_control_panel(node)
        copy(session, other)
        session.paste_knob_values(node)
        assert (node["job_id"].value(), node["take_list"].value()) == ("", "")
        held.go(until=lambda: node["status"].value().startswith("Done"))
        assert node["fill_uuid"].value() == own
        assert node["job_id"].value() == ""
        assert node["prompt"].value() == "sky"
        assert len(held.app.host.node(own).takes.get(1).take.frames_done) == 4
        assert node["take"].value() == "v001"
        assert filled(session.evaluate(node, 1003).rgba_top_down())


def test_cancel_still_reaches_the_job_of_a_node_that_values_were_pasted_on(tmp_path):
    with comp(tmp_path) as (session, node):
        other = another(session, node)
        held = Held(session, node)
        copy(session, other)
        session.paste_knob_values(node)
        held.app.session.cancel()
        assert session.pump(20, until=lambda: held.app.backend.cancelled == ["job1"])
        held.go(until=lambda: node["status"].value() == "Cancelled.")


def test_a_pasted_take_is_shown_when_the_chooser_names_it(tmp_path):
    with comp(tmp_path) as (session, node):
        app, other = Wired(), another(session, node)
        session.select(node)
        fill(session, app)
        own = app.host.identify(other)
        app.host.remember(own, app.host.node(node["fill_uuid"].value()).takes)
        session.close_control_panel(other)  # an open one would hear of the pasted choice
        assert not filled(session.evaluate(other, 1003).rgba_top_down())
        copy(session, node)
        session.paste_knob_values(other)
        assert app.host.node(own).chosen == 1
        assert filled(session.evaluate(other, 1003).rgba_top_down())


def test_a_new_node_under_a_deleted_ones_name_is_not_taken_for_it(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill_contract.errors import NodeGone

        app = Wired()
        gone = app.host.identify(node)
        session.nuke.delete(node)
        new = session.nuke.createNode("GenAIFill")
        assert new.name() == "GenAIFill1"
        with pytest.raises(NodeGone):
            app.host.node(gone)
        assert app.host.identify(new) != gone


def test_a_node_that_was_renamed_is_still_found(tmp_path):
    with comp(tmp_path) as (_, node):
        app = Wired()
        uuid = app.host.identify(node)
        node.setName("Hero")
        assert app.host.node(uuid).name == "Hero"


def test_a_preset_holds_nothing_of_who_a_node_is(tmp_path):
    with comp(tmp_path) as (session, node):
        flag = session.nuke.DONT_SAVE_TO_NODEPRESET
        for private in ("fill_uuid", "job_id", "take_list", "hero_frames", "said_label"):
            assert node[private].getFlag(flag), private
        assert not node["prompt"].getFlag(flag)


def test_a_copy_made_during_a_run_has_no_take_that_will_never_get_a_frame(tmp_path):
    with comp(tmp_path) as (session, node):
        held = Held(session, node)
        app = held.app
        twin = session.copy_paste(node)
        assert list(node["take"].values()) == ["none", "v001"]
        assert list(twin["take"].values()) == ["none"]
        assert app.host.node(app.host.identify(twin)).takes.takes == ()
        held.go(until=lambda: node["status"].value().startswith("Done"))
        assert app.host.node(app.host.identify(twin)).takes.takes == ()


def test_a_copy_made_during_a_run_keeps_a_take_that_has_a_frame(tmp_path):
    with comp(tmp_path) as (session, node):
        app, gate = Wired(), threading.Event()
        app.backend.on_event = lambda event: gate.wait(10) if event.id == 6 else None
        app.session.follow_selection()
        app.session.generate()
        assert session.pump(20, until=lambda: node["take"].value() == "v001")
        twin = session.copy_paste(node)
        assert twin["take"].value() == "v001"
        twin.setInput(0, node.input(0))
        assert filled(session.evaluate(twin, 1001).rgba_top_down())
        gate.set()
        assert session.pump(20, until=lambda: node["status"].value().startswith("Done"))
