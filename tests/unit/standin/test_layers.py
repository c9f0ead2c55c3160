"""Layers that a script adds: kept, saved, and needed by whoever names them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.fakes.nuke_standin.tcl import TclError

SCRIPT = """
CheckerBoard2 {
 inputs 0
 name Below
}
add_layer {origin origin.Y}
Copy {
 inputs 1
 from0 origin.Y
 to0 rgba.red
 name Report
}
"""


@pytest.fixture
def session(tmp_path):
    with boot(nuke_path=[], home=tmp_path / "home") as running:
        yield running


def paste(session, tmp_path, text):
    path = tmp_path / "comp.nk"
    path.write_text("version 16.0 v1\n" + text)
    session.open(path)


def test_a_layer_of_the_script_that_the_picture_has_not_is_black(session, tmp_path):
    paste(session, tmp_path, SCRIPT)
    out = session.evaluate(session.nuke.toNode("Report"), 1)
    assert not out.channel("rgba.red").any()
    assert out.channel("rgba.green").any()


def test_a_layer_that_nobody_added_is_an_error(session, tmp_path):
    paste(session, tmp_path, SCRIPT.replace("add_layer {origin origin.Y}\n", ""))
    assert session.nuke.toNode("Report").hasError()


def test_layers_are_saved_before_the_node_that_names_them(session, tmp_path):
    paste(session, tmp_path, SCRIPT)
    text = session.save(tmp_path / "again.nk")
    assert text.index("add_layer {origin origin.Y}") < text.index("Copy {")
    with boot(nuke_path=[], home=tmp_path / "other") as other:
        other.open(tmp_path / "again.nk")
        assert not other.nuke.toNode("Report").hasError()


@pytest.mark.parametrize("line", ["add_layer {origin}", "add_layer {origin other.Y}", "add_layer"])
def test_a_damaged_layer_is_refused(session, tmp_path, line):
    with pytest.raises((TclError, RuntimeError), match="add_layer"):
        paste(session, tmp_path, SCRIPT.replace("add_layer {origin origin.Y}", line))


def test_only_what_is_named_is_saved(session, tmp_path):
    paste(session, tmp_path, "add_layer {spare spare.x}\n" + SCRIPT)
    assert "spare" not in session.save(tmp_path / "again.nk")
    assert np.isfinite(session.evaluate(session.nuke.toNode("Below"), 1).rgba()).all()
