"""Knob values have the types Nuke gives them."""

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


@pytest.fixture
def node(nuke):
    return nuke.createNode("NoOp", inpanel=False)


def add(node, knob):
    node.addKnob(knob)
    return node[knob.name()]


def same(value, expected):
    return type(value) is type(expected) and value == expected


def test_integers_floats_and_booleans(nuke, node):
    whole = add(node, nuke.Int_Knob("seed", "Seed"))
    whole.setValue(7)
    assert same(whole.value(), 7)
    real = add(node, nuke.Double_Knob("grow_px"))
    real.setValue(4)
    assert same(real.value(), 4.0)
    flag = add(node, nuke.Boolean_Knob("lock_seed", "Lock", True))
    assert same(flag.value(), True)
    assert same(flag.getValue(), 1.0)
    assert same(nuke.nodes.Write()["first"].value(), 1.0)
    assert same(nuke.nodes.Read()["first"].value(), 1)
    assert same(node["xpos"].value(), float(node.xpos()))


def test_strings_are_raw_and_never_evaluated(session, nuke, node):
    knob = add(node, nuke.String_Knob("prompt", "Prompt"))
    knob.setValue('[exec rm -rf /] $HOME \\ "quoted"\nline')
    assert knob.value() == knob.getText() == '[exec rm -rf /] $HOME \\ "quoted"\nline'
    assert not hasattr(knob, "evaluate")
    assert session.tcl_violations == []


def test_evaluating_knobs_write_down_what_they_would_have_run(session, nuke, node):
    knob = add(node, nuke.Multiline_Eval_String_Knob("text"))
    knob.setValue("a [exec rm -rf /] b [value name]")
    assert knob.value() == "a [exec rm -rf /] b [value name]"
    assert session.tcl_violations == []
    assert knob.evaluate() == "a  b NoOp1"
    assert session.tcl_violations == ["exec rm -rf /"]


def test_python_in_brackets_is_a_violation_and_is_not_run(session, nuke, node):
    knob = add(node, nuke.EvalString_Knob("text"))
    knob.setValue("[python {open('/tmp/x','w')}]")
    knob.evaluate()
    assert session.tcl_violations == ["python {open('/tmp/x','w')}"]


def test_file_knobs_expand_frames_values_and_backslashes(nuke, tmp_path, session):
    read = nuke.nodes.Read()
    read["file"].setValue("/s/[value name]/p.%04d.exr")
    assert read["file"].value() == "/s/[value name]/p.%04d.exr"
    assert read["file"].evaluate(7) == "/s/Read1/p.0007.exr"
    read["file"].setValue("/s/p.####.exr")
    nuke.frame(12)
    assert nuke.filename(read, nuke.REPLACE) == "/s/p.0012.exr"
    assert nuke.filename(read) == "/s/p.####.exr"
    read["file"].setValue(r"C:\new\p.exr")
    assert read["file"].evaluate() == "C:\newp.exr"
    read["file"].setValue("/s/$shot/p.exr")
    with pytest.raises(RuntimeError, match="no such variable"):
        read["file"].evaluate()
    session.save(tmp_path / "s.nk")
    read["file"].setValue("[file dirname [value root.name]]/p.exr")
    assert read["file"].evaluate() == f"{tmp_path.as_posix()}/p.exr"


def test_set_value_leaves_the_range_alone_and_user_text_takes_it(nuke):
    read = nuke.nodes.Read()
    read["file"].setValue("/s/p.%04d.exr 5-9")
    assert (read["first"].value(), read["file"].value()) == (1, "/s/p.%04d.exr 5-9")
    read["file"].fromUserText("/s/p.%04d.exr 5-9")
    assert read["file"].value() == "/s/p.%04d.exr"
    assert [read[name].value() for name in ("first", "last", "origfirst", "origlast")] == [
        5, 9, 5, 9,
    ]  # fmt: skip
    assert read["origset"].value() is True
    assert (read.firstFrame(), read.lastFrame()) == (5, 9)


def test_create_node_parses_the_range_and_nodes_does_not(nuke):
    parsed = nuke.createNode("Read", 'file "/s/p.%04d.exr 5-9"', inpanel=False)
    assert parsed["last"].value() == 9
    assert nuke.nodes.Read(file="/s/p.%04d.exr 5-9")["last"].value() == 1


def test_enumerations_are_words_by_value_and_floats_by_get_value(nuke, node):
    knob = add(node, nuke.Enumeration_Knob("mode", "Mode", ["frame", "input", "custom"]))
    assert same(knob.value(), "frame")
    knob.setValue("custom")
    assert same(knob.getValue(), 2.0)
    knob.setValue(1)
    assert knob.value() == "input"
    knob.setValue("0")
    assert knob.value() == "frame"
    knob.setValue("nonsense")
    assert knob.value() == ""
    knob.setValue("input")
    knob.setValues(["a", "input"])
    assert (knob.value(), knob.values()) == ("input", ["a", "input"])
    knob.setValues(["x", "y"])
    assert knob.value() == "x"


def test_enumerations_with_labels(session, nuke):
    knob = nuke.nodes.Read()["localizationPolicy"]
    assert knob.value() == "fromAutoLocalizePath"
    knob.setValue("on demand")
    assert knob.value() == "onDemand"
    session.world.tab_entries_whole = True
    assert knob.value() == "onDemand\ton demand"


def test_arrays_colours_and_sizes(nuke):
    constant = nuke.nodes.Constant()
    constant["color"].setValue(0.5)
    assert same(constant["color"].value(), 0.5)
    constant["color"].setValue([1, 2, 3, 4])
    assert constant["color"].value() == [1.0, 2.0, 3.0, 4.0]
    assert constant["color"].value(2) == 3.0
    constant["color"].setValue(9, 0)
    assert constant["color"].getValue(0) == 9.0
    with pytest.raises(ValueError, match="4 channels"):
        constant["color"].setValue([1, 2, 3, 4, 5])
    box = nuke.nodes.Crop()["box"]
    box.setValue([1, 2, 3, 4])
    assert box.value() == [1.0, 2.0, 3.0, 4.0]


def test_expressions_win_over_values(nuke):
    grade = nuke.nodes.Grade()
    grade["mix"].setExpression("frame / 10 + (2 > 1 ? 0.5 : 0)")
    nuke.frame(5)
    assert grade["mix"].value() == 1.0
    grade["mix"].setValue(0.25)
    assert grade["mix"].value() == 1.0
    assert grade["mix"].hasExpression()
    grade["mix"].clearAnimated()
    assert (grade["mix"].value(), grade["mix"].hasExpression()) == (1.0, False)


def test_expressions_reach_other_nodes_the_parent_and_inputs(nuke):
    group = nuke.nodes.Group(name="Fill")
    group.addKnob(nuke.Int_Knob("take"))
    group["take"].setValue(2)
    with group:
        switch = nuke.nodes.Switch()
        switch["which"].setExpression("parent.take + 1")
        assert switch["which"].value() == 3.0
        entry = nuke.nodes.Input()
        entry["number"].setExpression("Switch1.which")
        assert entry["number"].value() == 3.0
        switch["which"].setExpression("[exists parent.input1]")
        assert switch["which"].value() == 0.0
        switch["which"].setExpression("nothing.here")
        with pytest.raises(RuntimeError, match=r"nothing\.here"):
            switch["which"].value()


def test_keys_interpolate_and_hold(nuke):
    knob = nuke.nodes.Grade()["mix"]
    knob.setValueAt(0, 10)
    knob.setValueAt(1, 20)
    assert [knob.valueAt(frame) for frame in (1, 15, 99)] == [0.0, 0.5, 1.0]
    assert knob.isAnimated()
    assert knob.getKeyList() == [10.0, 20.0]


def test_formats(nuke):
    knob = nuke.root()["format"]
    assert knob.value().name() == "2K_Super_35(full-ap)"
    knob.setValue("HD_1080")
    assert (knob.value().width(), knob.value().pixelAspect()) == (1920, 1.0)
    nuke.addFormat("64 48 0 0 64 48 2 tiny")
    knob.setValue("tiny")
    assert (nuke.root().width(), nuke.root().pixelAspect()) == (64, 2.0)
    with pytest.raises(ValueError, match="nope"):
        knob.setValue("nope")


def test_flags_labels_tooltips_and_visibility(nuke, node):
    knob = add(node, nuke.String_Knob("status"))
    assert knob.label() == "status"
    knob.setLabel("Status")
    knob.setTooltip("what happens")
    assert (knob.label(), knob.tooltip()) == ("Status", "what happens")
    assert knob.enabled()
    knob.setEnabled(False)
    assert not knob.enabled()
    assert knob.getFlag(nuke.DISABLED)
    knob.setFlag(nuke.INVISIBLE | nuke.NO_UNDO)
    assert not knob.visible()
    knob.clearFlag(nuke.INVISIBLE)
    assert knob.visible()
    assert knob.fullyQualifiedName() == "NoOp1.status"
    assert knob.node() == node


def test_links_follow_their_target(nuke):
    group = nuke.nodes.Group(name="Fill")
    with group:
        nuke.nodes.Grade(name="G")
    link = nuke.Link_Knob("mix_link")
    group.addKnob(link)
    link.setLink("G.mix")
    link.setValue(0.5)
    assert group.node("G")["mix"].value() == 0.5
    assert link.value() == 0.5


def test_a_second_knob_of_the_same_name_is_skipped(nuke, node):
    first = add(node, nuke.String_Knob("prompt"))
    first.setValue("kept")
    node.addKnob(nuke.Int_Knob("prompt"))
    assert node["prompt"].value() == "kept"


def test_only_user_knobs_can_be_removed(nuke, node):
    knob = add(node, nuke.String_Knob("prompt"))
    node.removeKnob(knob)
    assert node.knob("prompt") is None
    with pytest.raises(ValueError, match="label"):
        node.removeKnob(node["label"])


def test_knob_type_numbers(nuke, node):
    add(node, nuke.PyScript_Knob("generate", "Generate", "pass"))
    assert nuke.knob("NoOp1.generate", type=True) == 22
    assert node["generate"].Class() == "PyScript_Knob"


def test_to_script_and_from_script_agree(nuke, node):
    knob = add(node, nuke.String_Knob("prompt"))
    knob.setValue('a "b" [c] {d} $e \\ \n')
    other = add(node, nuke.String_Knob("other"))
    other.fromScript(knob.toScript())
    assert other.value() == knob.value()


def test_root_knobs(nuke):
    root = nuke.root()
    root["first_frame"].setValue(1001)
    root["last_frame"].setValue(1010)
    assert (root.firstFrame(), root.lastFrame()) == (1001, 1010)
    assert same(root["first_frame"].value(), 1001.0)
    assert root["colorManagement"].value() == "Nuke"
    assert not nuke.usingOcio()
    root["colorManagement"].setValue("OCIO")
    assert nuke.usingOcio()
    root["workingSpaceLUT"].setValue("ACES - ACEScg")
    assert root["workingSpaceLUT"].value() == "ACES - ACEScg"
    for name in ("OCIO_config", "customOCIOConfigPath", "fps", "proxy", "lock_range"):
        assert root.knob(name) is not None


def test_whole_numbers_have_32_bits(nuke, node):
    knob = add(node, nuke.Int_Knob("seed"))
    knob.setValue(2**31 - 1)
    with pytest.raises(OverflowError, match="32 bits"):
        knob.setValue(2**31)


def test_values_given_at_construction_are_saved(session, nuke, node, tmp_path):
    add(node, nuke.String_Knob("prompt", "Prompt", "a wall"))
    add(node, nuke.Boolean_Knob("lock", "Lock", True))
    third = add(node, nuke.Double_Knob("third"))
    third.setValue(1 / 3)
    session.save(tmp_path / "a.nk")
    session.open(tmp_path / "a.nk")
    again = nuke.toNode("NoOp1")
    assert again["prompt"].value() == "a wall"
    assert again["lock"].value() is True
    assert again["third"].value() == 1 / 3


def test_expressions_find_group_knobs_channels_boxes_and_quoted_text(nuke):
    nuke.root()["format"].setValue("64 48 1")
    nuke.scriptReadText(
        "Constant {\n inputs 0\n}\nGroup {\n name G\n addUserKnob {14 over}\n over {2 3}\n"
        " addUserKnob {15 box}\n box {1 2 30 40}\n}\n Input {\n  inputs 0\n  name Input\n }\n"
        " Crop {\n  name C\n  box {0 0 {input.width} {input.bbox.t}}\n"
        '  reformat {{"over.h == 3 && box.r == 30 ? 1 : 0"}}\n }\nend_group\n'
    )
    crop = nuke.toNode("G.C")
    assert crop["box"].value() == [0.0, 0.0, 64.0, 48.0]
    crop["reformat"].setExpression("over.h == 3")
    assert crop["reformat"].value() is True
    crop["reformat"].setExpression("parent.box.r == 30 && over.w == 2")
    assert crop["reformat"].value() is True
