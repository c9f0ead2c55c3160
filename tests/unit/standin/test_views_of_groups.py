"""Which group is in view, what is selected in it, and values pasted onto nodes."""

import pytest

from tests.fakes.nuke_standin import boot


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        yield session


def test_the_group_in_view_is_the_active_one_and_not_the_context(session):
    nuke = session.nuke
    group = nuke.nodes.Group(name="Shot")
    assert nuke.activeGroup() == nuke.root()
    session.look_into(group)
    assert nuke.activeGroup() == group
    assert nuke.thisGroup() == nuke.root()
    nuke.delete(group)
    assert nuke.activeGroup() == nuke.root()


def test_a_selection_in_groups_is_found_when_it_is_asked_for(session):
    nuke = session.nuke
    group = nuke.nodes.Group(name="Shot")
    with group:
        inside = nuke.nodes.Blur()
    session.select_in(group, inside)
    session.select()
    assert nuke.selectedNodes() == []
    assert nuke.selectedNodes(recursive=True) == [inside]
    assert nuke.selectedNodes("Dot", recursive=True) == []
    assert nuke.selectedNodes("Blur", True) == [inside]


def test_a_menu_command_runs_in_the_group_in_view(session):
    nuke = session.nuke
    group = nuke.nodes.Group(name="Shot")
    nuke.menu("Nodes").addCommand("Mine", "nuke.createNode('Dot')")
    session.look_into(group)
    session.invoke_menu("Nodes", "Mine")
    assert [node.Class() for node in group.nodes()] == ["Dot"]
    assert nuke.thisGroup() == nuke.root()


def test_pasted_values_are_all_but_name_and_place_and_can_be_undone(session):
    nuke = session.nuke
    source, node = nuke.nodes.Blur(), nuke.nodes.Blur()
    source["size"].setValue(7)
    source["label"].setValue("soft")
    source["xpos"].setValue(300)
    session.select(source)
    nuke.nodeCopy("%clipboard%")
    session.paste_knob_values(node)
    assert (node["size"].value(), node["label"].value()) == (7, "soft")
    assert node.name() == "Blur2"
    assert node["xpos"].value() != 300
    assert nuke.allNodes("Group") == []
    session.undo()  # of the helper group's end
    while node["size"].value() == 7 and session.undo():
        pass
    assert node["label"].value() == ""


def test_a_knob_can_be_kept_out_of_presets_and_no_file_says_so(session, tmp_path):
    nuke = session.nuke
    node = nuke.nodes.Group()
    node.addKnob(nuke.String_Knob("mine"))
    node["mine"].setFlag(nuke.DONT_SAVE_TO_NODEPRESET)
    assert node["mine"].getFlag(nuke.DONT_SAVE_TO_NODEPRESET)
    assert "NODEPRESET" not in session.save(tmp_path / "a.nk")
