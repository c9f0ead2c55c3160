"""Nodes, names, inputs, groups, contexts, selection, copies, deletion, undo."""

from __future__ import annotations

import pytest

from tests.fakes.nuke_standin import boot


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        yield session


@pytest.fixture
def nuke(session):
    return session.nuke


def test_create_node_inserts_into_the_pipe_of_the_selection(nuke, session):
    plate = nuke.createNode("Constant")
    grade = nuke.createNode("Grade")
    assert grade.input(0) == plate
    session.select(plate)
    between = nuke.createNode("NoOp")
    assert between.input(0) == plate
    assert grade.input(0) == between
    assert nuke.selectedNodes() == [between]
    assert between.shown()


def test_nodes_constructor_connects_selects_and_opens_nothing(nuke):
    plate = nuke.createNode("Constant", inpanel=False)
    nuke.knobDefault("Grade.mix", "0.5")
    grade = nuke.nodes.Grade()
    assert (grade.input(0), grade.isSelected(), grade.shown()) == (None, False, False)
    assert grade["mix"].value() == 1.0
    assert plate.isSelected()
    assert grade.xpos() == -2147483648
    assert nuke.createNode("Grade")["mix"].value() == 0.5


def test_unknown_classes_are_refused(nuke):
    with pytest.raises(RuntimeError, match="NoSuchNode"):
        nuke.createNode("NoSuchNode")
    with pytest.raises(AttributeError):
        nuke.nodes.NoSuchNode()
    with pytest.raises(NameError):
        nuke.nodes.Grade(nonsense=1)


def test_names_are_kept_apart_in_a_group_only(nuke):
    first = nuke.nodes.NoOp()
    second = nuke.nodes.NoOp()
    assert (first.name(), second.name()) == ("NoOp1", "NoOp2")
    second.setName("NoOp1")
    assert second.name() == "NoOp2"
    first.setName("Keep")
    second["name"].setValue("Keep")
    assert second.name() == "Keep1"
    group = nuke.nodes.Group()
    with group:
        assert nuke.nodes.NoOp(name="Keep").fullName() == "Group1.Keep"
    for bad in ("a b", "1x", "root", "a.b", ""):
        with pytest.raises(ValueError, match="not a valid"):
            first.setName(bad)


def test_wrappers_are_equal_but_not_the_same(nuke):
    made = nuke.nodes.NoOp()
    assert made == nuke.toNode("NoOp1")
    assert made is not nuke.toNode("NoOp1")
    assert len({made, nuke.toNode("NoOp1")}) == 1
    assert made != nuke.nodes.NoOp()


def test_to_node_is_relative_to_the_current_group(nuke):
    outer = nuke.nodes.Group(name="Outer")
    with outer:
        inner = nuke.nodes.Group(name="Inner")
        with inner:
            leaf = nuke.nodes.NoOp(name="Leaf")
            assert nuke.toNode("Leaf") == leaf
            assert nuke.toNode("Inner") is None
            assert nuke.toNode("root.Outer.Inner.Leaf") == leaf
        assert nuke.toNode("Inner.Leaf") == leaf
    assert nuke.toNode("Leaf") is None
    assert nuke.toNode(leaf.fullName()) == leaf
    assert leaf.fullName() == "Outer.Inner.Leaf"
    assert nuke.nodeAtPath("Outer.Inner") == inner
    assert leaf.parent() == inner
    assert outer.parent() == nuke.root()
    assert nuke.exists("Outer.Inner.Leaf")
    assert nuke.exists("Outer.name")
    assert not nuke.exists("Outer.Nope")


def test_all_nodes_of_a_group_by_class_and_deep(nuke):
    group = nuke.nodes.Group()
    with group:
        nuke.nodes.NoOp()
        nuke.nodes.Dot()
        assert len(nuke.allNodes()) == 2
    assert [node.Class() for node in nuke.allNodes()] == ["Group"]
    assert [node.Class() for node in nuke.allNodes("Dot", group)] == ["Dot"]
    assert len(nuke.allNodes(recurseGroups=True)) == 3
    assert len(nuke.allNodes(group=group)) == 2


def test_begin_and_end_must_match(nuke):
    group = nuke.nodes.Group()
    group.begin()
    made = nuke.createNode("NoOp")
    assert made.parent() == group
    with pytest.raises(RuntimeError):
        nuke.root().end()
    group.end()
    with pytest.raises(RuntimeError):
        group.end()
    assert nuke.thisGroup() == nuke.root()


def test_a_group_with_statement_closes_after_an_error(nuke):
    group = nuke.nodes.Group()
    with pytest.raises(KeyError), group:
        raise KeyError
    assert nuke.thisGroup() == nuke.root()
    assert group.run(lambda: nuke.thisGroup()) == group


def test_inputs_are_limited_to_the_input_nodes_of_a_group(nuke):
    group = nuke.nodes.Group()
    assert (group.maxInputs(), group.minInputs()) == (0, 0)
    plate, matte = nuke.nodes.Constant(), nuke.nodes.Constant()
    assert not group.setInput(0, plate)
    with group:
        nuke.nodes.Input(name="matte", number=1)
        nuke.nodes.Input(name="plate", number=0)
    assert group.setInput(1, matte)
    assert (group.inputs(), group.input(0), group.input(1)) == (2, None, matte)
    assert not group.setInput(2, plate)
    assert group.setInput(1, None)
    assert group.inputs() == 0


def test_loops_and_nodes_of_other_groups_cannot_be_connected(nuke):
    first = nuke.nodes.NoOp()
    second = nuke.nodes.NoOp(inputs=[first])
    assert not first.setInput(0, second)
    assert not first.canSetInput(0, first)
    group = nuke.nodes.Group()
    with group:
        inner = nuke.nodes.NoOp()
    assert not inner.setInput(0, first)


def test_native_mask_inputs(nuke):
    assert nuke.nodes.Grade().optionalInput() == 1
    assert nuke.nodes.Merge2().optionalInput() == 2
    assert nuke.nodes.Group().optionalInput() == 0
    assert (nuke.nodes.Keymix().minInputs(), nuke.nodes.Keymix().maxInputs()) == (3, 3)


def test_a_deleted_node_raises_on_any_access_and_its_users_move_up(nuke):
    plate = nuke.nodes.Constant()
    middle = nuke.nodes.Group(name="G")
    with middle:
        nuke.nodes.Input()
        inner = nuke.nodes.NoOp()
    middle.setInput(0, plate)
    last = nuke.nodes.NoOp(inputs=[middle])
    knob = middle["label"]
    nuke.delete(middle)
    for access in (
        middle.name, lambda: middle["label"], knob.value, inner.fullName,
        lambda: nuke.delete(middle), lambda: last.setInput(0, middle),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="not attached"):
            access()
    assert last.input(0) == plate
    assert nuke.toNode("G") is None


def test_selection(nuke, session):
    first, second = nuke.nodes.NoOp(), nuke.nodes.NoOp()
    with pytest.raises(ValueError, match="no node selected"):
        nuke.selectedNode()
    session.select(first, second)
    assert {node.name() for node in nuke.selectedNodes()} == {"NoOp1", "NoOp2"}
    second.selectOnly()
    assert nuke.selectedNodes() == [second]
    assert nuke.selectedNodes("Dot") == []


def test_copy_and_paste_keep_knobs_inputs_and_the_inside(nuke, session):
    plate = nuke.nodes.Constant(name="Plate")
    group = nuke.nodes.Group(name="Fill1")
    knob = nuke.String_Knob("prompt")
    group.addKnob(knob)
    knob.setValue('[x] "y" \n$z')
    with group:
        nuke.nodes.Input(name="plate")
        nuke.nodes.Output()
    group.setInput(0, plate)
    session.select(plate, group)
    nuke.nodeCopy("%clipboard%")
    pasted = nuke.nodePaste("%clipboard%")
    assert pasted.name() == "Fill2"
    assert pasted["prompt"].value() == knob.value()
    assert pasted.input(0).name() == "Plate1"
    assert [node.name() for node in pasted.nodes()] == ["plate", "Output1"]
    assert {node.name() for node in nuke.selectedNodes()} == {"Plate1", "Fill2"}


def test_undo_reverts_knobs_nodes_names_and_connections(nuke, session):
    plate = nuke.nodes.Constant()
    grade = nuke.nodes.Grade()
    with nuke.Undo("Set up"):
        grade["mix"].setValue(0.25)
        grade.setInput(0, plate)
        grade.setName("Graded")
    assert session.undo_blocks[-1].name == "Set up"
    session.undo()
    assert (grade["mix"].value(), grade.input(0), grade.name()) == (1.0, None, "Grade1")
    session.redo()
    assert (grade["mix"].value(), grade.input(0), grade.name()) == (0.25, plate, "Graded")
    nuke.delete(plate)
    assert grade.input(0) is None
    nuke.undo()
    assert grade.input(0) == plate
    session.undo()
    session.undo()
    with pytest.raises(ValueError, match="not attached"):
        grade.name()


def test_undo_can_be_disabled_cancelled_and_skipped_by_a_knob(nuke, session):
    grade = nuke.nodes.Grade()
    count = len(session.undo_blocks)
    nuke.Undo.disable()
    grade["mix"].setValue(0.5)
    assert nuke.Undo.disabled()
    nuke.Undo.enable()
    assert len(session.undo_blocks) == count
    nuke.Undo.begin("x")
    grade["mix"].setValue(0.75)
    nuke.Undo.cancel()
    assert grade["mix"].value() == 0.5
    grade["mix"].setFlag(nuke.NO_UNDO)
    grade["mix"].setValue(0.1)
    assert len(session.undo_blocks) == count


def test_changes_make_the_script_modified(nuke, session, tmp_path):
    grade = nuke.nodes.Grade()
    session.save(tmp_path / "a.nk")
    assert not nuke.modified()
    grade["mix"].setValue(0.5)
    assert nuke.root().modified()


def test_script_names(nuke, session, tmp_path):
    assert nuke.root().name() == "Root"
    with pytest.raises(RuntimeError):
        nuke.scriptName()
    assert nuke.script_directory() == ""
    session.save(tmp_path / "shot.nk")
    assert nuke.scriptName() == (tmp_path / "shot.nk").as_posix() == nuke.root().name()
    assert nuke.script_directory() == tmp_path.as_posix()
    temporary = nuke.scriptSaveToTemp("t.nk")
    assert nuke.scriptName() != temporary
    with pytest.raises(RuntimeError, match="No such file"):
        nuke.scriptSave(str(tmp_path / "no/such/x.nk"))


def test_files_in_a_folder_are_listed_as_sequences(nuke, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for frame in (1001, 1002, 1005):
        (folder / f"p.{frame}.exr").touch()
    (folder / "readme.txt").touch()
    assert nuke.getFileNameList(str(folder)) == ["p.%04d.exr 1001-1005", "readme.txt"]
    assert nuke.getFileNameList(str(folder / "nope")) is None


def test_frame_ranges(nuke):
    assert list(nuke.FrameRange("1001-1005x2")) == [1001, 1003, 1005]
    assert nuke.FrameRange("7").frames() == 1
    one = nuke.FrameRange(1, 10, 3)
    assert (one.first(), one.last(), one.increment()) == (1, 10, 3)
    assert nuke.FrameRanges("1-3 7").toFrameList() == [1, 2, 3, 7]
    with pytest.raises(RuntimeError, match="Invalid"):
        nuke.FrameRange("a-b")


def test_undoing_an_insertion_mends_the_pipe(nuke, session):
    plate = nuke.createNode("Constant")
    last = nuke.createNode("NoOp")
    session.select(plate)
    between = nuke.createNode("Grade")
    assert last.input(0) == between
    session.undo()
    assert last.input(0) == plate
    session.redo()
    assert (last.input(0), between.input(0)) == (between, plate)


def test_a_paste_is_one_undo_block(nuke, session):
    session.copy_paste(nuke.nodes.NoOp(), nuke.nodes.Dot())
    assert len(nuke.allNodes()) == 4
    session.undo()
    assert len(nuke.allNodes()) == 2
