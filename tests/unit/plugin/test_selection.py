"""The panel asks from a timer, whose context is the root, what is selected in a group."""

import pytest

from tests.unit.plugin.nuke_scene import Wired, comp


@pytest.fixture
def scene(tmp_path):
    """The comp, with a group that holds a node of ours and a Blur; nothing is selected."""
    with comp(tmp_path) as (session, node):
        nuke = session.nuke
        group = nuke.nodes.Group(name="Shot")
        with group:
            inside = nuke.createNode("GenAIFill")
            blur = nuke.nodes.Blur()
        session.select_in(group)
        session.select()
        yield session, node, group, inside, blur


def selected(app):
    app.session.follow_selection()
    return app.session.state.node_name


def test_a_node_selected_in_the_group_in_view_is_what_the_panel_shows(scene):
    session, node, group, inside, _ = scene
    app = Wired()
    session.select(node)
    session.look_into(group)
    assert selected(app) is None
    session.select_in(group, inside)
    assert selected(app) == "Shot.GenAIFill1"
    session.look_into()
    assert selected(app) == "GenAIFill1"


def test_a_selection_in_a_group_counts_while_nothing_is_selected_in_the_script(scene):
    session, _, group, inside, _ = scene
    session.select_in(group, inside)
    assert selected(Wired()) == "Shot.GenAIFill1"


def test_another_node_selected_in_the_script_is_not_overruled_by_one_in_a_group(scene):
    session, node, group, inside, _ = scene
    session.select_in(group, inside)
    session.select(node.input(0))
    assert selected(Wired()) is None


def test_another_node_selected_in_the_group_in_view_stands_for_none_of_ours(scene):
    session, _, group, _, blur = scene
    session.look_into(group)
    session.select_in(group, blur)
    assert selected(Wired()) is None


def test_from_inside_a_fill_node_the_node_itself_is_looked_at(scene):
    session, node, *_ = scene
    session.select(node)
    session.look_into(node)
    assert selected(Wired()) == "GenAIFill1"


def test_the_panel_creates_a_node_in_the_group_in_view(scene):
    session, node, group, _, _ = scene
    app = Wired()
    session.look_into(group)
    app.session.create_node()
    assert app.session.state.node_name == "Shot.GenAIFill2"
    session.look_into(node)
    app.session.create_node()
    assert app.session.state.node_name == "GenAIFill2"
    assert session.world.context == [session.world.root]


def test_the_menu_creates_a_node_in_the_group_in_view(scene):
    session, _, group, _, _ = scene
    session.look_into(group)
    session.invoke_menu("Nodes", "GenAI Fill/GenAI Fill")
    assert sum("fill_uuid" in node.knobs() for node in group.nodes()) == 2
