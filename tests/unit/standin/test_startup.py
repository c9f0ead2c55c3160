"""Start-up: init.py, menu.py, the plug-in path, menus, what Nuke's Python has."""

from __future__ import annotations

import sys

import pytest

from tests.fakes.nuke_standin import NukeLaunchError, boot
from tests.unit.standin.start_files import plug_in

LOG = "import nuke\nnuke.tprint('{}')\n"


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        yield session


@pytest.fixture
def nuke(session):
    return session.nuke


# -- start-up -------------------------------------------------------------------------------


def test_start_files_run_from_the_last_path_entry_to_home(tmp_path):
    one = plug_in(tmp_path / "one", LOG.format("one init"), LOG.format("one menu"))
    two = plug_in(tmp_path / "two", LOG.format("two init"), LOG.format("two menu"))
    plug_in(tmp_path / ".nuke", LOG.format("home init"), LOG.format("home menu"))
    with boot([one, two], home=tmp_path) as session:
        assert session.printed == [
            "two init", "one init", "home init", "two menu", "one menu", "home menu",
        ]  # fmt: skip
        path = session.nuke.pluginPath()
        assert path == [str(tmp_path / ".nuke"), str(one), str(two)]


def test_terminal_mode_runs_no_menu_py_and_has_no_menus(tmp_path):
    one = plug_in(tmp_path / "one", LOG.format("init"), LOG.format("menu"))
    with boot([one], gui=False, home=tmp_path) as session:
        assert session.printed == ["init"]
        assert session.nuke.GUI is False
        assert session.nuke.env["gui"] is False
        with pytest.raises(RuntimeError, match="GUI"):
            session.nuke.menu("Nodes")
        with pytest.raises(RuntimeError, match="GUI"):
            session.nuke.ask("really?")
        node = session.nuke.createNode("NoOp")
        assert not node.shown()


@pytest.mark.parametrize("where", ["init", "menu"])
def test_an_error_in_a_start_file_keeps_nuke_from_starting(tmp_path, where):
    bad = plug_in(tmp_path / "bad", **{where: "import nuke\nnuke.noSuchThing()\n"})
    with pytest.raises(NukeLaunchError, match="noSuchThing"), boot([bad], home=tmp_path):
        pass
    assert "nuke" not in sys.modules


def test_the_file_is_defined_while_a_start_file_runs_only(tmp_path):
    one = plug_in(tmp_path / "one", "import nuke\nnuke.tprint(__file__)\n")
    with boot([one], home=tmp_path) as session:
        assert session.printed == [str(one / "init.py")]
        assert "__file__" not in session.world.main_namespace


def test_added_paths_are_relative_to_the_init_and_run_their_own_init(tmp_path):
    one = plug_in(tmp_path / "one", "import nuke\nnuke.pluginAddPath('sub')\n")
    plug_in(one / "sub", LOG.format("sub"), Tiny="NoOp {\n name Tiny1\n}\n")
    (one / "sub" / "standin_probe.py").write_text("VALUE = 3\n")
    with boot([one], home=tmp_path, purge=["standin_probe"]) as session:
        assert session.printed == ["sub"]
        assert session.nuke.pluginPath()[0] == str(one / "sub")
        assert session.nuke.createNode("Tiny").name() == "Tiny1"
        assert __import__("standin_probe").VALUE == 3
        session.run_init_again()
        assert session.nuke.pluginPath().count(str(one / "sub")) == 1


def test_folders_are_not_searched_for_gizmos_below_the_path(tmp_path):
    one = plug_in(tmp_path / "one")
    plug_in(one / "gizmos", Tiny="NoOp {\n}\n")
    with boot([one], home=tmp_path) as session, pytest.raises(RuntimeError, match="Tiny"):
        session.nuke.createNode("Tiny")


def test_the_first_gizmo_on_the_path_wins(tmp_path):
    one = plug_in(tmp_path / "one", Tiny="NoOp {\n name First1\n}\n")
    two = plug_in(tmp_path / "two", Tiny="NoOp {\n name Second1\n}\n")
    with boot([one, two], home=tmp_path) as session:
        assert session.nuke.createNode("Tiny").name() == "First1"


# -- menus ------------------------------------------------------------------------------------


def test_menu_commands_run_in_an_undo_block(session, nuke):
    menu = nuke.menu("Nodes").addMenu("GenAI Fill", icon="fill.png")
    menu.addCommand("Two nodes", "nuke.nodes.NoOp(); nuke.nodes.Dot()", "^+F")
    menu.addCommand("Sub/Callable", lambda: nuke.createNode("NoOp"))
    nuke.menu("Nodes").addCommand("Other/Grade")
    session.invoke_menu("Nodes", "GenAI Fill/Two nodes")
    assert session.undo_blocks[-1].name == "Two nodes"
    session.undo()
    assert nuke.allNodes() == []
    session.invoke_menu("Nodes", "GenAI Fill/Sub/Callable")
    session.invoke_menu("Nodes", "Other/Grade")
    assert [node.Class() for node in nuke.allNodes()] == ["NoOp", "Grade"]
    with pytest.raises(LookupError, match="Nope"):
        session.invoke_menu("Nodes", "Nope")


def test_menus_are_found_not_doubled_and_can_be_listed(nuke):
    menu = nuke.menu("Nodes").addMenu("GenAI Fill")
    assert nuke.menu("Nodes").addMenu("GenAI Fill") is menu
    first = menu.addCommand("Fill", "pass", "F8")
    menu.addCommand("Fill", "1")
    assert [item.name() for item in menu.items()] == ["Fill"]
    assert nuke.menu("Nodes").findItem("GenAI Fill/Fill") is not first
    assert nuke.toolbar("Nodes").findItem("GenAI Fill") is menu
    assert first.shortcut() == "F8"
    item = menu.findItem("Fill")
    item.setEnabled(False)
    item.setScript("raise SystemError")
    item.invoke()
    menu.removeItem("Fill")
    assert menu.items() == []
    with pytest.raises(RuntimeError, match="no menu"):
        nuke.menu("Nonsense")


def test_a_gizmo_is_put_into_the_pipe_too(tmp_path):
    text = "Group {\n name Tiny1\n}\n Input {\n  inputs 0\n  name in\n }\nend_group\n"
    folder = plug_in(tmp_path / "one", Tiny=text)
    with boot([folder], home=tmp_path) as session:
        nuke = session.nuke
        plate = nuke.createNode("Constant")
        last = nuke.createNode("NoOp")
        session.select(plate)
        tiny = nuke.createNode("Tiny")
        assert (tiny.input(0), last.input(0)) == (plate, tiny)


# -- what Nuke's Python lacks, and what must not be left behind ---------------------------------


def test_plug_in_code_imports_only_what_nukes_python_has(tmp_path):
    folder = plug_in(tmp_path / "one", menu="import json, standin_probe\n")
    (folder / "standin_probe.py").write_text(
        "def colour():\n    import PyOpenColorIO\n    return PyOpenColorIO\n\n"
        "def text():\n    import json.decoder\n    return json\n\n"
        "def use():\n    import numpy\n    return numpy\n"
    )
    with boot([folder], home=tmp_path, purge=["standin_probe"], unavailable=["PyOpenColorIO"]):
        import standin_probe

        with pytest.raises(ModuleNotFoundError, match="numpy"):
            standin_probe.use()
        with pytest.raises(ModuleNotFoundError, match="PyOpenColorIO"):
            standin_probe.colour()
        assert standin_probe.text().dumps([1]) == "[1]"
    assert standin_probe.use().__name__ == "numpy"


def test_a_start_file_that_imports_numpy_keeps_nuke_from_starting(tmp_path):
    bad = plug_in(tmp_path / "bad", init="import numpy\n")
    with pytest.raises(NukeLaunchError, match="numpy"), boot([bad], home=tmp_path):
        pass
