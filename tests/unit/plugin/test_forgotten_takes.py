"""Takes that were taken off the list: undo, and that never one is shown that is not on it."""

from __future__ import annotations

import pytest

from tests.unit.plugin.nuke_scene import Wired, comp, filled


def fill(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    assert app.session.state.error is None


def listed(app):
    """The labels in the panel, newest first, the one shown with a star."""
    app.session.refresh()
    return [f"{row.label}{'*' * row.chosen}" for row in app.session.state.takes]


def is_filled(session, node):
    return filled(session.evaluate(node, 1002).rgba_top_down())


def test_undo_brings_a_forgotten_take_back_whole_and_redo_takes_it_away(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        app.session.forget_take(1)
        assert listed(app) == []
        assert list(node["take"].values()) == ["none"]
        assert not is_filled(session, node)
        session.undo()
        assert listed(app) == ["v001*"]
        assert is_filled(session, node)
        session.open_control_panel(node)
        assert (list(node["take"].values()), node["take"].value()) == (["none", "v001"], "v001")
        session.redo()
        assert listed(app) == []
        assert not is_filled(session, node)


def test_undo_loses_no_take_that_was_made_since(tmp_path):
    with comp(tmp_path) as (session, _):
        app = Wired()
        fill(session, app)
        app.session.forget_take(1)
        fill(session, app)
        assert listed(app) == ["v002*"]
        session.undo()
        assert listed(app) == ["v002", "v001*"]


def test_undoing_a_choice_never_gives_one_take_the_range_of_another(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        app.session.edit(range_mode="custom", first=1003, last=1004)
        app.session.choose_take(None)
        fill(session, app)
        read = node.node("TakeRead")
        assert (read["first"].value(), read["last"].value()) == (1003, 1004)
        session.undo()
        assert listed(app) == ["v002", "v001*"]
        assert (read["first"].value(), read["last"].value()) == (1001, 1004)
        assert is_filled(session, node)
        assert node["take"].value() == "v001"


@pytest.mark.parametrize("with_panel", [True, False])
def test_undoing_a_choice_shows_no_take_that_is_not_on_the_list(tmp_path, with_panel):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        fill(session, app)
        app.session.choose_take(1)
        if with_panel:
            session.set_knob_as_user(node, "take", "v002")
        else:
            app.session.choose_take(2)
        app.session.forget_take(1)
        assert listed(app) == ["v002*"]
        while node.node("TakeRead")["file"].value().endswith("_v002.%04d.exr"):
            assert session.undo()
        assert is_filled(session, node)
        assert listed(app) == ["v002", "v001*"]


@pytest.mark.parametrize("by", ["panel", "node"])
def test_a_take_that_undo_brought_back_stays_on_the_list_when_another_is_shown(tmp_path, by):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        app.session.forget_take(1)
        session.undo()
        before = len(session.undo_blocks)
        if by == "panel":
            app.session.choose_take(None)
            assert len(session.undo_blocks) == before + 1
        else:
            session.set_knob_as_user(node, "take", "none")
        assert not is_filled(session, node)
        assert listed(app) == ["v001"]
        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        session.select(session.nuke.toNode("GenAIFill1"))
        app.session.follow_selection()
        assert listed(app) == ["v001"]


def test_a_chooser_that_undo_leaves_behind_does_not_hide_what_is_shown(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        app.session.forget_take(1)
        session.undo()
        node["take"].setValues(["none"])  # entries may be no part of Nuke's undo history
        assert listed(app) == ["v001*"]
        fill(session, app)
        assert listed(app) == ["v002*", "v001"]
        assert node["take"].value() == "v002"


def test_a_take_forgotten_for_good_stays_off_the_list_of_the_saved_script(tmp_path):
    with comp(tmp_path) as (session, _):
        app = Wired()
        fill(session, app)
        fill(session, app)
        app.session.forget_take(1)
        session.save(tmp_path / "comp.nk")
        session.open(tmp_path / "comp.nk")
        again = session.nuke.toNode("GenAIFill1")
        session.select(again)
        app.session.follow_selection()
        assert listed(app) == ["v002*"]
        session.open_control_panel(again)
        assert list(again["take"].values()) == ["none", "v002"]
        app.session.choose_take(1)
        assert "has no take 1" in app.session.state.error.message


def test_files_that_were_moved_by_hand_do_not_unchoose_a_take(tmp_path):
    with comp(tmp_path) as (session, node):
        app = Wired()
        fill(session, app)
        read = node.node("TakeRead")
        read["file"].setValue(read["file"].value().replace(str(tmp_path), "/mnt/show"))
        assert listed(app) == ["v001*"]
