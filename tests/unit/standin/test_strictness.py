"""The stand-in offers nothing that Nuke does not, and names what it lacks itself."""

from __future__ import annotations

import builtins
import inspect
import sys

import pytest

from tests.fakes.nuke_standin import OffMainThread, boot
from tests.fakes.nuke_standin.manifest import manifest, methods_of, module_names
from tests.fakes.nuke_standin.world import Guarded

LISTED = manifest()


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        yield session


def public(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


def test_every_public_name_of_the_module_is_nukes_own(session):
    assert public(session.nuke) - module_names() == set()


def test_nukescripts_offers_only_what_nuke_has(session):
    scripts = sys.modules["nukescripts"]
    allowed = set(LISTED["nukescripts"]) | {"panels"}
    assert public(scripts) - allowed == set()
    assert public(scripts.panels) - set(LISTED["nukescripts.panels"]) == set()


def test_every_public_method_of_a_class_is_nukes_own(session):
    for name, cls in inspect.getmembers(session.nuke, inspect.isclass):
        offered = {
            member
            for base in cls.__mro__
            if base not in (object, Exception, BaseException, Guarded)
            and base.__module__ != "builtins"
            for member in public(base)
            if callable(getattr(base, member))
        }
        assert offered - methods_of(name) == set(), name


def test_the_bases_of_knob_classes_are_nukes(session):
    for name, cls in inspect.getmembers(session.nuke, inspect.isclass):
        bases = LISTED["classes"][name]["bases"]
        if name.endswith("Knob") and bases:
            assert any(base.__name__ == bases[0] for base in cls.__mro__), name


@pytest.mark.parametrize("name", ["getChoice", "createnode", "usingOCIO", "localisationEnabled"])
def test_a_name_nuke_does_not_have_is_an_attribute_error(session, name):
    with pytest.raises(AttributeError, match=name):
        getattr(session.nuke, name)
    assert not hasattr(session.nuke, name)


@pytest.mark.parametrize("name", ["collapseToGroup", "executeBackgroundNuke", "Lut"])
def test_a_name_of_nukes_that_is_missing_here_says_so(session, name):
    with pytest.raises(NotImplementedError, match=name):
        getattr(session.nuke, name)


def test_nodes_and_knobs_are_strict_too(session):
    node = session.nuke.createNode("NoOp")
    with pytest.raises(AttributeError, match="setPrompt"):
        node.setPrompt("x")
    with pytest.raises(NotImplementedError, match="opHashes"):
        node.opHashes()
    with pytest.raises(AttributeError, match="setText"):
        node["label"].setText("x")
    with pytest.raises(NotImplementedError, match="splitView"):
        node["label"].splitView("left")


def test_a_missing_knob_is_a_name_error_by_item_and_none_by_call(session):
    node = session.nuke.createNode("NoOp")
    with pytest.raises(NameError, match="prompt"):
        node["prompt"]
    assert node.knob("prompt") is None


def test_wrong_argument_types_are_refused(session):
    nuke = session.nuke
    node = nuke.createNode("Grade")
    for wrong in (
        lambda: node["label"].setValue(3),
        lambda: node["black_clamp"].setValue("yes"),
        lambda: node["gamma"].setValue("1"),
        lambda: node.setInput("0", None),
        lambda: nuke.toNode(3),
        lambda: nuke.frame("1"),
        lambda: nuke.message(3),
        lambda: nuke.menu("Nodes").addCommand("X", 3),
        lambda: nuke.ProgressTask("x").setProgress(0.5),
        lambda: nuke.FrameRange(1.0, 2.0),
        lambda: node.addKnob("x"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_a_bool_is_no_fit_for_a_word(session):
    read = session.nuke.createNode("Read")
    with pytest.raises(TypeError, match="enumeration"):
        read["before"].setValue(True)


def test_the_manifest_is_small_and_holds_no_prose():
    from tests.fakes.nuke_standin.manifest import MANIFEST_PATH

    text = MANIFEST_PATH.read_text(encoding="utf-8")
    assert len(text) < 400_000
    signatures = [*LISTED["functions"].values()]
    for entry in LISTED["classes"].values():
        signatures += entry["methods"].values()
    assert max(map(len, signatures)) < 160
    assert len(LISTED["functions"]) > 300
    assert LISTED["knob_types"]["PyScriptKnob"] == 22
    assert set(LISTED) >= {"functions", "classes", "constants", "nodes", "knobs"}


def test_versions_flags_and_constants(session):
    nuke = session.nuke
    assert (nuke.NUKE_VERSION_MAJOR, nuke.NUKE_VERSION_MINOR) == (16, 0)
    assert nuke.GUI is True
    assert nuke.env["gui"] is True
    assert nuke.env["NukeVersionMajor"] == 16
    assert nuke.INVISIBLE == 1024
    assert nuke.KNOB_CHANGED_ALWAYS == 65536
    assert nuke.REPLACE == 1


def test_the_modules_are_gone_after_the_session(tmp_path):
    before = dict(sys.modules)
    path = list(sys.path)
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug/genai_fill_thing.py").write_text("VALUE = 1\n")
    (tmp_path / "plug/init.py").write_text("import genai_fill_thing\n")
    with boot([tmp_path / "plug"], home=tmp_path, purge=["genai_fill_thing"]):
        assert "genai_fill_thing" in sys.modules
        assert "nuke" in sys.modules
    assert sys.path == path
    assert {name for name in sys.modules if name not in before} & {
        "nuke", "nukescripts", "nukescripts.panels", "genai_fill_thing",
    } == set()  # fmt: skip


def test_two_sessions_after_each_other_share_nothing(tmp_path):
    with boot(home=tmp_path) as first:
        first.nuke.createNode("NoOp")
        node = first.nuke.toNode("NoOp1")
    with boot(home=tmp_path) as second:
        assert second.nuke.allNodes() == []
        assert second.nuke is not first.nuke
    assert node is not None


def test_without_a_session_a_kept_node_answers_nothing(tmp_path):
    with boot(home=tmp_path) as session:
        node = session.nuke.createNode("NoOp")
    with pytest.raises(RuntimeError, match="No Nuke stand-in session"):
        node.name()


def test_qt_is_not_imported_by_the_stand_in():
    import subprocess

    code = (
        "import sys; from tests.fakes.nuke_standin import boot; "
        "assert not any(name.startswith('PySide') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_off_main_thread_is_a_runtime_error():
    assert issubclass(OffMainThread, RuntimeError)
    assert issubclass(NameError, builtins.Exception)
