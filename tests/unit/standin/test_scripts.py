""".nk and .gizmo text: read, written, read again; broken and hostile text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.nuke_standin import boot, tcl
from tests.fakes.nuke_standin.tcl import TclError

GIZMO = r"""#! /opt/nuke/Nuke16.0 -nx
version 16.0 v4
Group {
 inputs 2
 name Fill1
 help "Fills a \[matte]."
 knobChanged "k = nuke.thisKnob()\nnuke.thisNode()\['seen'].setValue(k.name())"
 addUserKnob {20 fill l Fill}
 addUserKnob {1 prompt l Prompt t "say \"it\"" +STARTLINE}
 prompt "a \[x] \{y\} \$z \\ \"q\"\nline"
 addUserKnob {1 seen +INVISIBLE}
 addUserKnob {43 notes}
 addUserKnob {3 seed R 0 100}
 seed 7
 addUserKnob {6 lock_seed l "Lock" -STARTLINE}
 lock_seed true
 addUserKnob {7 grow_px l Grow R -5 64}
 grow_px 4.5
 addUserKnob {4 range_mode M {frame input "custom range" ""}}
 range_mode "custom range"
 addUserKnob {68 model M {a/b c}}
 addUserKnob {12 spot}
 spot {3 {frame*2}}
 addUserKnob {14 size}
 size {2 3}
 addUserKnob {18 tint}
 tint {1 0.5 0.25}
 addUserKnob {2 output_directory}
 addUserKnob {20 more l More n 1}
 addUserKnob {41 mix l Mix T Grade1.mix}
 addUserKnob {20 endGroup n -1}
 addUserKnob {26 "" +STARTLINE}
 addUserKnob {26 ""}
 addUserKnob {26 status l " " T "<b>ready</b>"}
 addUserKnob {22 generate l Generate T "nuke.thisNode()\['prompt'].setValue('x')" +STARTLINE}
}
 Input {
  inputs 0
  name matte
  number 1
 }
 Input {
  inputs 0
  name plate
  number 0
 }
 Grade {
  name Grade1
  mix 0.5
 }
set N1 [stack 0]
push 0
push $N1
 Keymix {
  inputs 3
  name Mixed
 }
 Output {
  name Output1
 }
end_group
"""


@pytest.fixture
def session(tmp_path):
    home = tmp_path / "home"
    (home / ".nuke").mkdir(parents=True)
    (home / ".nuke" / "Fill.gizmo").write_text(GIZMO)
    with boot(home=home) as session:
        yield session


@pytest.fixture
def nuke(session):
    return session.nuke


def message_of(load):
    """What the reader says of bad text; None when it took it. Other errors are bugs."""
    try:
        load()
    except (RuntimeError, ValueError) as error:
        return str(error)
    return None


def values(node):
    found = {}
    for name, knob in node.knobs().items():
        if type(knob).__name__ == "OpaqueKnob" or name in ("xpos", "ypos", "selected", "name"):
            continue
        value = knob.value()
        found[name] = (type(knob).__name__, value._spec() if hasattr(value, "_spec") else value)
    return found


def test_a_gizmo_on_the_plug_in_path_becomes_a_group_with_its_knobs(nuke, session):
    plate = nuke.createNode("Constant")
    node = nuke.createNode("Fill")
    assert (node.Class(), node.name(), node.input(0)) == ("Group", "Fill1", plate)
    assert node["prompt"].value() == 'a [x] {y} $z \\ "q"\nline'
    assert node["prompt"].tooltip() == 'say "it"'
    assert node["seed"].value() == 7
    assert node["lock_seed"].value() is True
    assert node["grow_px"].value() == 4.5
    assert (node["grow_px"].min(), node["grow_px"].max()) == (-5.0, 64.0)
    assert node["range_mode"].value() == "custom range"
    assert node["range_mode"].values() == ["frame", "input", "custom range", ""]
    assert node["spot"].value() == [3.0, 2.0]
    assert node["tint"].value() == [1.0, 0.5, 0.25]
    assert node["mix"].value() == 0.5
    assert node["status"].value() == "<b>ready</b>"
    assert not node["seen"].visible()
    assert node.help() == "Fills a [matte]."
    assert node.maxInputs() == 2
    assert session.tcl_violations == []


def test_the_top_of_the_stack_is_input_0(nuke):
    node = nuke.createNode("Fill")
    mixed = node.node("Mixed")
    assert mixed.input(0) == node.node("Grade1")
    assert mixed.input(1) is None
    assert mixed.input(2) == node.node("Grade1")
    assert node.node("Grade1").input(0) == node.node("plate")
    assert node.node("Output1").input(0) == mixed


def test_buttons_and_knob_changed_work_on_a_loaded_gizmo(nuke, session):
    node = nuke.createNode("Fill")
    session.press(node, "generate")
    assert node["prompt"].value() == "x"
    session.set_knob_as_user(node, "seed", 9)
    assert node["seen"].value() == "seed"


def test_a_script_round_trips_every_value(nuke, session, tmp_path):
    plate = nuke.createNode("Read", 'file "/s/p.%04d.exr 1001-1010" raw true')
    node = nuke.createNode("Fill")
    node["prompt"].setValue('[exec rm] $HOME {a} } "b" \\n \\ \n\ttab ünï')
    node["notes"].setValue("[python evil]")
    node["grow_px"].setExpression("frame / 3")
    node["size"].setValueAt(4.0, 10)
    nuke.createNode("Write", f'file "{tmp_path}/o.%04d.exr" file_type exr datatype "32 bit float"')
    nuke.root()["first_frame"].setValue(1001)
    nuke.root()["fps"].setValue(25)
    before = {each.fullName(): values(each) for each in nuke.allNodes(recurseGroups=True)}
    first = session.save(tmp_path / "a.nk")
    session.open(tmp_path / "a.nk")
    after = {each.fullName(): values(each) for each in nuke.allNodes(recurseGroups=True)}
    assert after == before
    assert nuke.toNode("Fill1").input(0) == nuke.toNode("Read1")
    assert nuke.toNode("Fill1.Mixed").input(2) == nuke.toNode("Fill1.Grade1")
    assert (nuke.root()["first_frame"].value(), nuke.root()["fps"].value()) == (1001.0, 25.0)
    assert session.save(tmp_path / "b.nk") == first.replace("/a.nk", "/b.nk")
    assert session.tcl_violations == []
    with pytest.raises(ValueError, match="not attached"):
        plate.name()


def test_a_group_is_saved_whole_and_opens_without_the_plug_in(nuke, session, tmp_path):
    nuke.createNode("Fill")
    session.save(tmp_path / "a.nk")
    with boot(home=tmp_path / "other", gui=False) as farm:
        farm.open(tmp_path / "a.nk")
        node = farm.nuke.toNode("Fill1")
        assert node.Class() == "Group"
        assert node.node("Mixed").Class() == "Keymix"
        assert node["generate"].value().startswith("nuke.thisNode()")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
)
def test_any_text_survives_a_copy(text, tmp_path):
    with boot(home=tmp_path) as session:
        node = session.nuke.nodes.NoOp()
        knob = session.nuke.String_Knob("prompt")
        node.addKnob(knob)
        knob.setValue(text)
        pasted = session.copy_paste(node)
        assert pasted["prompt"].value() == text
        assert session.tcl_violations == []


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_quoting_is_undone_by_reading(text):
    assert tcl.split_list(tcl.quote(text)) == [text]


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(GIZMO) - 1))
def test_cut_text_loads_or_fails_with_a_clear_error(cut, tmp_path_factory):
    with boot(home=tmp_path_factory.getbasetemp()) as session:
        loaded = message_of(lambda: session.nuke.scriptReadText(GIZMO[:cut])) is None
        group = session.nuke.toNode("Fill1")
        assert not loaded or group is None or group.node("Output1") is not None
        assert session.tcl_violations == []


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(
            ["Group", "NoOp", "{", "}", '"', "\n", "name A", "addUserKnob {", "20 x", "4 y M",
             "[exec x]", "$z", "push 0", "set A [stack 0]", "end_group", "\\", "inputs 2", "[", "]"]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_nonsense_is_refused_with_a_message_and_never_run(words, tmp_path_factory):
    with boot(home=tmp_path_factory.getbasetemp()) as session:
        message = message_of(lambda: session.nuke.scriptReadText(" ".join(words)))
        assert message is None or message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NoOp {\n name A\n", "line 1: missing close-brace"),
        ("NoOp {\n name A\n}\n}\n", "line 4: unexpected close-brace"),
        ('Dot {\n}\nNoOp {\n label "x\n}\n', 'line 4: missing "'),
        ("Group {\n name G\n}\nNoOp {\n}\n", "end_group is missing"),
        ("end_group\n", "line 1: end_group without a Group"),
        ("push\n", "push takes 0 or a variable"),
        ("NoOp {\n name {a b}\n}\n", "line 1: 'a b' is not a valid node name"),
        ("NoOp {\n addUserKnob {7 x R a b}\n}\n", "line 1: could not convert"),
        ("push $N12\n", 'line 1: can\'t read "N12"'),
        ("NoOp {\n nonsense 1\n}\n", 'line 1: NoOp1: no such knob "nonsense"'),
        ("NoOp {\n inputs many\n}\n", "inputs must be a number"),
        ("Grade {\n mix wide\n}\n", "expected a number"),
        ("NoOp {\n addUserKnob {999 x}\n}\n", "no knob type 999"),
        ("NoOp {\n addUserKnob {x}\n}\n", "type number"),
        ("NoOp {\n label\n}\n", "has no value"),
        ("exec rm -rf /\n", 'Unknown command: "exec"'),
        ("set x [exec ls]\n", "only \\[stack N\\]"),
    ],
)
def test_broken_text_says_where_and_what(nuke, text, message):
    with pytest.raises((TclError, RuntimeError), match=message):
        nuke.scriptReadText(text)


def test_binary_files_are_refused(nuke, tmp_path):
    (tmp_path / "a.nk").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RuntimeError, match="not a text file"):
        nuke.scriptOpen(str(tmp_path / "a.nk"))


def test_an_unknown_class_is_reported_and_the_rest_is_loaded(nuke, tmp_path):
    (tmp_path / "a.nk").write_text(
        "Constant {\n inputs 0\n}\nMissingGizmo {\n foo 1\n}\nNoOp {\n name Kept\n}\n"
    )
    with pytest.raises(RuntimeError, match='line 4: Unknown command: "MissingGizmo"'):
        nuke.scriptOpen(str(tmp_path / "a.nk"))
    assert nuke.toNode("Kept") is not None


def test_hostile_values_are_recorded_never_run(session, nuke):
    nuke.scriptReadText('NoOp {\n label "[exec touch /tmp/owned]"\n}\n')
    assert session.tcl_violations == ["exec touch /tmp/owned"]
    assert nuke.toNode("NoOp1")["label"].value() == ""


def test_masks_are_counted_apart_for_native_nodes_only(nuke, session, tmp_path):
    plate, matte = nuke.nodes.Constant(name="Plate"), nuke.nodes.Constant(name="Matte")
    grade = nuke.nodes.Grade(inputs=[plate, matte])
    merge = nuke.nodes.Merge2(inputs=[plate, grade, matte])
    nuke.nodes.Keymix(inputs=[plate, merge, matte])
    text = session.save(tmp_path / "a.nk")
    assert " inputs 1+1\n" in text
    assert " inputs 2+1\n" in text
    assert " inputs 3\n" in text
    session.open(tmp_path / "a.nk")
    names = [[node.name() for node in nuke.toNode(name).dependencies()] for name in
             ("Grade1", "Merge1", "Keymix1") if nuke.toNode(name)]  # fmt: skip
    assert names[0] == ["Plate", "Matte"]
    assert nuke.toNode("Keymix1").input(0).name() == "Plate"
    assert nuke.toNode("Keymix1").input(2).name() == "Matte"
    assert nuke.toNode("Merge21").input(1).name() == "Grade1"


def test_an_unconnected_lower_input_is_kept(nuke, session, tmp_path):
    matte = nuke.nodes.Constant(name="Matte")
    node = nuke.createNode("Fill", inpanel=False)
    node.setInput(0, None)
    node.setInput(1, matte)
    session.save(tmp_path / "a.nk")
    session.open(tmp_path / "a.nk")
    again = nuke.toNode("Fill1")
    assert (again.input(0), again.input(1).name()) == (None, "Matte")


def test_clipboard_style_files_load(nuke):
    nuke.scriptReadText(
        "set cut_paste_input [stack 0]\nversion 16.0 v4\npush $cut_paste_input\n"
        "NoOp {\n name A\n selected true\n xpos 10\n}\n"
    )
    assert nuke.toNode("A").xpos() == 10


def test_a_gizmo_statement_keeps_its_class_and_saves_changes_only(session, nuke, tmp_path):
    folder = session.world.home / ".nuke"
    (folder / "Small.gizmo").write_text(
        "Gizmo {\n inputs 1\n addUserKnob {20 User}\n addUserKnob {7 size}\n size 2\n}\n"
        " Input {\n  inputs 0\n  name in\n }\n Output {\n  name Output1\n }\nend_group\n"
    )
    node = nuke.createNode("Small")
    node["size"].setValue(5)
    assert (node.Class(), node.filename()) == ("Small", (folder / "Small.gizmo").as_posix())
    text = session.save(tmp_path / "a.nk")
    assert "Small {" in text
    assert "Output" not in text
    assert " size 5\n" in text
    session.open(tmp_path / "a.nk")
    again = nuke.toNode("Small1")
    assert again["size"].value() == 5.0
    group = again.makeGroup()
    assert (group.Class(), group["size"].value()) == ("Group", 5.0)


def test_classes_without_a_knob_table_keep_their_text(nuke, session, tmp_path):
    nuke.scriptReadText("Tracker4 {\n inputs 0\n tracks {{1 31 1} {a b}}\n name T\n}\n")
    text = session.save(tmp_path / "a.nk")
    assert "tracks {{1 31 1} {a b}}" in text
    with pytest.raises(NotImplementedError, match="Tracker4"):
        nuke.toNode("T")["center"]


def test_read_and_write_knobs_text(nuke):
    node = nuke.nodes.Grade()
    node.readKnobs('mix 0.5 label "a b"')
    assert (node["mix"].value(), node["label"].value()) == (0.5, "a b")
    assert sorted(node.writeKnobs().split("\n")) == ['label "a b"', "mix 0.5"]


def test_entries_with_angle_brackets_are_lost_in_a_file(nuke, session, tmp_path):
    node = nuke.nodes.NoOp()
    node.addKnob(nuke.Enumeration_Knob("take", "Take", ["<none>", "v001"]))
    session.save(tmp_path / "a.nk")
    session.open(tmp_path / "a.nk")
    assert nuke.toNode("NoOp1")["take"].values() == ["", "v001"]


def test_user_knobs_without_behaviour_keep_their_definition(nuke, session, tmp_path):
    nuke.scriptReadText("NoOp {\n addUserKnob {78 rows l Rows n 3}\n rows {1 2 3}\n}\n")
    text = session.save(tmp_path / "a.nk")
    assert "addUserKnob {78 rows l Rows n 3}\n rows {1 2 3}\n" in text


def test_syntax_met_in_gizmos_of_others(nuke, session, tmp_path):
    nuke.scriptReadText(
        "set cut_paste_input [stack 0]\npush $cut_paste_input\nGroup {\n name G\n"
        ' note_font "Verdana Bold"\n tile_color 0x52ff\n selected true\n'
        " addUserKnob {20 t l Tab}\n t 0\n addUserKnob {18 tint}\n tint 1\n"
        " addUserKnob {6 drop +HIDDEN +STARTLINE}\n addUserKnob {6 drop -STARTLINE}\n"
        ' addUserKnob {26 head l <b>Gain T ""}\n addUserKnob {7 w}\n w 2\n}\n'
        " Input {\n  inputs 0\n  name Input1\n }\n"
        ' Multiply {\n  value {{parent.tint.r} {tint x1001 0.2} {"w == 2 ? 3 : 0"} {w i}}\n'
        "  disable {{!w}}\n  name M\n }\n set C1 [stack 0]\n"
        ' OFXuk.co.thefoundry.keylight.keylight_v201 {\n  "Screen Matte" 0\n  name K\n }\n'
        "clone $C1 {\n  inputs 1\n  xpos 5\n }\n Output {\n  name Output1\n }\nend_group\n"
    )
    group = nuke.toNode("G")
    assert group.node("M")["value"].value() == [1.0, 1.0, 3.0, 2.0]
    assert group.node("M")["disable"].value() is False
    assert group.node("M1").input(0) == group.node("K")
    assert group.node("M1")["value"].value() == [1.0, 1.0, 3.0, 2.0]
    assert group["tile_color"].value() == 0x52FF
    text = session.save(tmp_path / "a.nk")
    assert ' "Screen Matte" 0\n' in text
    session.open(tmp_path / "a.nk")
    assert nuke.toNode("G.M")["value"].value() == [1.0, 1.0, 3.0, 2.0]
    assert session.save(tmp_path / "a.nk") == text


def test_a_freshly_opened_script_is_not_modified_and_has_nothing_to_undo(nuke, session, tmp_path):
    nuke.createNode("Fill")
    session.save(tmp_path / "a.nk")
    nuke.addOnScriptLoad(lambda: nuke.toNode("Fill1")["seed"].setValue(3))
    session.open(tmp_path / "a.nk")
    assert nuke.toNode("Fill1")["seed"].value() == 3
    assert not nuke.modified()
    assert not session.undo()
