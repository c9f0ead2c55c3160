import ast
import re
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.plugin.nuke_scene import (
    REPOSITORY,
    comp,
    matte_pixels,
    plate_pixels,
    write_exr,
)

OURS = ("genai_fill", "genai_fill_contract")
GIZMO = REPOSITORY / "gizmos/GenAIFill.gizmo"
PLAIN = {"Input", "Output", "Dot", "Read", "Write", "Copy", "Expression", "BlackOutside",
         "Keymix", "Switch", "Multiply"}  # fmt: skip


@pytest.fixture(scope="module")
def text():
    return GIZMO.read_text(encoding="utf-8")


def code_of(text):
    """Every Python snippet in the file."""
    found = re.findall(r'(?:onCreate|knobChanged| T) "((?:try|import)(?:[^"\\]|\\.)*)"', text)
    return [snippet.replace("\\n", "\n").replace('\\"', '"') for snippet in found]


def test_it_is_a_group_so_that_scripts_carry_all_of_it(text):
    statements = re.findall(r"^(\w+) \{", text, re.MULTILINE)
    assert statements[0] == "Group"
    assert set(statements[1:]) == {"add_layer"}


def test_inside_are_only_nodes_that_every_nuke_has(text):
    assert set(re.findall(r"^ (\w+) \{$", text, re.MULTILINE)) <= PLAIN


def test_every_snippet_of_python_works_without_the_plugin(text):
    snippets = code_of(text)
    assert len(snippets) == 5
    for snippet in snippets:
        (statement,) = ast.parse(snippet).body
        assert isinstance(statement, ast.Try)
        (handler,) = statement.handlers
        assert handler.type.id == "ImportError"
        assert len(statement.orelse) == 1


def test_every_knob_has_words_for_the_artist(text):
    for line in re.findall(r"addUserKnob \{(.*)\}$", text, re.MULTILINE):
        if line.startswith(("20 ", "26 divider")) or "+INVISIBLE" in line:
            continue
        assert re.search(r' t "[A-Z].+?\."', line), line


def test_no_label_says_view_which_is_an_eye_in_nuke(text):
    labels = re.findall(r'addUserKnob \{\d+ \S+ l (?:"([^"]*)"|(\S+))', text)
    words = {word for pair in labels for label in pair for word in label.split()}
    assert "show" in words
    assert not words & {"view", "views"}


def test_inputs_are_numbered_and_named(tmp_path):
    with comp(tmp_path) as (_, node):
        inputs = {inner.name(): inner for inner in node.nodes() if inner.Class() == "Input"}
        assert {name: int(i["number"].value()) for name, i in inputs.items()} == {
            "plate": 0,
            "matte": 1,
            "reference": 2,
            "motion": 3,
            "patch": 4,
            "control": 5,
        }
        assert node.maxInputs() == 6


def test_without_a_take_the_plate_comes_out_bit_for_bit(tmp_path):
    with comp(tmp_path) as (session, node):
        out = session.evaluate(node, 1003).rgba_top_down()
        assert np.array_equal(out[..., :3], plate_pixels(1003))


def test_a_disabled_node_lets_the_plate_through(tmp_path):
    with comp(tmp_path) as (session, node):
        node["disable"].setValue(True)
        out = session.evaluate(node, 1003).rgba_top_down()
        assert np.array_equal(out[..., :3], plate_pixels(1003))


def test_the_view_switch_shows_plate_and_matte(tmp_path):
    with comp(tmp_path) as (session, node):
        node["view_mode"].setValue("matte")
        out = session.evaluate(node, 1001).rgba_top_down()
        assert np.array_equal(out[..., 1], matte_pixels(1001)[..., 3])
        node["matte_invert"].setValue(True)
        out = session.evaluate(node, 1001).rgba_top_down()
        assert np.array_equal(out[..., 1], 1 - matte_pixels(1001)[..., 3])
        node["view_mode"].setValue("plate")
        out = session.evaluate(node, 1001).rgba_top_down()
        assert np.array_equal(out[..., :3], plate_pixels(1001))


def test_the_matte_channel_can_be_chosen(tmp_path):
    with comp(tmp_path) as (session, node):
        node["matte_channel"].setValue("rgba.red")
        node["view_mode"].setValue("matte")
        out = session.evaluate(node, 1001).rgba_top_down()
        assert np.array_equal(out[..., 1], matte_pixels(1001)[..., 0])


def test_a_take_lies_over_the_plate_exactly_where_its_alpha_is(tmp_path):
    pixels = np.zeros((20, 32, 4), np.float32)
    pixels[6:9, 10:14] = (7.5, -0.25, 0.125, 0.001)
    take = tmp_path / "take.1003.exr"
    write_exr(take, pixels, ["R", "G", "B", "A"])
    with comp(tmp_path) as (session, node):
        read = node.node("TakeRead")
        read["file"].setValue(f"{tmp_path}/take.%04d.exr")
        for knob in ("first", "last", "origfirst", "origlast"):
            read[knob].setValue(1003)
        node.node("TakeSwitch")["which"].setValue(1)
        out = session.evaluate(node, 1003).rgba_top_down()[..., :3]
        inside = pixels[..., 3] > 0
        assert np.array_equal(out[inside], pixels[inside][:, :3])
        assert np.array_equal(out[~inside], plate_pixels(1003)[~inside])
        missing = session.evaluate(node, 1004).rgba_top_down()[..., :3]
        assert np.array_equal(missing, plate_pixels(1004))


def test_a_script_with_the_node_opens_and_renders_without_the_plugin(tmp_path):
    with comp(tmp_path) as (session, _):
        session.save(tmp_path / "comp.nk")
    with boot(nuke_path=[], gui=False, home=tmp_path / "farm", unavailable=OURS) as session:
        session.open(tmp_path / "comp.nk")
        node = session.nuke.toNode("GenAIFill1")
        out = session.evaluate(node, 1002).rgba_top_down()
        assert np.array_equal(out[..., :3], plate_pixels(1002))
        assert session.errors == []


def test_without_the_plugin_the_buttons_say_so(tmp_path):
    with comp(tmp_path) as (session, _):
        session.save(tmp_path / "comp.nk")
    with boot(nuke_path=[], gui=True, home=tmp_path / "other", unavailable=OURS) as session:
        session.open(tmp_path / "comp.nk")
        session.press(session.nuke.toNode("GenAIFill1"), "generate")
        assert "not on NUKE_PATH" in session.messages[-1][1]
        assert session.errors == []


def test_what_an_artist_types_is_never_in_a_knob_that_evaluates_tcl():
    text = (Path(__file__).parents[3] / "gizmos" / "GenAIFill.gizmo").read_text(encoding="utf-8")
    for knob in ("prompt", "negative_prompt", "engine_options", "output_name"):
        assert f"addUserKnob {{1 {knob} " in text, knob
