"""The node's output directory is a file knob: Nuke evaluates the TCL in it."""

import pytest

from tests.unit.plugin.nuke_scene import Wired, comp


def run(session, app):
    app.session.follow_selection()
    app.session.generate()
    assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
    return app.session.state.error


def folder(session, app):
    assert run(session, app) is None
    return app.backend.requests[-1].output.directory


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("[getenv WHERE]/fills", "{at}/elsewhere/fills"),
        ("[file dirname [value root.name]]/fills", "{at}/fills"),
        ("[getenv WHERE]/{script}/{node}", "{at}/elsewhere/comp/GenAIFill1"),
        ("{script_dir}/[getenv SHOT]", "{at}/sh010"),
        ("{script_dir}/a\\[1\\]", "{at}/a[1]"),
        ("{script_dir}/fills", "{at}/fills"),
        ("{script_dir}/b$/c", "{at}/b$/c"),
        ("{script_dir}/b\\$/c", "{at}/b$/c"),
        ("{script_dir}/b\\$HOME", "{at}/b$HOME"),
        ("{script_dir}/b\\]/c", "{at}/b]/c"),
        ("{script_dir}/projects$/[getenv SHOT]", "{at}/projects$/sh010"),
    ],
)
def test_tcl_is_evaluated_and_our_fields_are_filled_in(tmp_path, monkeypatch, typed, means):
    monkeypatch.setenv("WHERE", f"{tmp_path.as_posix()}/elsewhere")
    monkeypatch.setenv("SHOT", "sh010")
    with comp(tmp_path) as (session, node):
        node["output_directory"].setValue(typed)
        assert folder(session, Wired()) == means.format(at=tmp_path.as_posix())


def test_what_fields_stand_for_never_reaches_tcl(tmp_path):
    hostile = tmp_path / "[exec rm] $HOME"
    hostile.mkdir()
    with comp(tmp_path) as (session, node):
        node["prompt"].setValue("[exec rm -rf /]")
        node["output_directory"].setValue("{script_dir}/[getenv NOTHING]x")
        session.nuke.scriptSaveAs(str(hostile / "comp.nk"))
        assert folder(session, Wired()) == f"{hostile.as_posix()}/x"
        assert session.tcl_violations == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("/fills/[value nothing.name]", "There is no knob"),
        ("/fills/[getenv", "missing close-bracket"),
        ("/fills/$shot", "no such variable"),
        ("/fills/${shot}", "no such variable"),
        ("/fills/$::shot", "no such variable"),
        ("/fills/${shot", "missing close-brace"),
        ("[getenv NOTHING]", "comes to nothing"),
    ],
)
def test_tcl_that_fails_is_said_in_words_before_anything_is_written(tmp_path, typed, says):
    with comp(tmp_path, through="NoOp") as (session, node):
        node["output_directory"].setValue(typed)
        app = Wired()
        error = run(session, app)
        assert error.code == "config_invalid"
        assert typed in error.message
        assert "GenAIFill1" in error.message
        assert says in error.message
        assert "TCL" in error.hint
        assert app.backend.requests == []
        assert app.session.state.node_name == "GenAIFill1"
        assert app.session.state.form is not None


def test_a_frame_token_is_refused_and_not_taken_for_the_current_frame(tmp_path):
    with comp(tmp_path) as (session, node):
        node["output_directory"].setValue("[file dirname [value root.name]]/####")
        error = run(session, Wired())
        assert "####" in error.message


def place(node):
    return Wired().host.output_directory(node["fill_uuid"].value())


@pytest.mark.parametrize(
    "typed",
    [
        r"C:\shots\new",
        r"\\server\projects$\fills",
        r"S:\takes$\x",
        r"S:\takes\$",
        r"S:\takes\]old",
        "//server/projects$/fills",
        "/a/b$/c",
        "/a/b$",
        "/a/b]/c",
    ],
)
def test_a_folder_without_tcl_is_the_one_that_was_typed(tmp_path, typed):
    with comp(tmp_path) as (_, node):
        node["output_directory"].setValue(f" {typed} ")
        assert place(node) == typed


@pytest.mark.parametrize(
    "typed",
    [r"S:\takes\[getenv SHOT]", r"S:\takes\$old", r"\\server\a[1]", r"\\server\p$\[getenv SHOT]"],
)
def test_backslashes_of_windows_beside_tcl_are_refused_and_never_another_folder(tmp_path, typed):
    with comp(tmp_path) as (session, node):
        node["output_directory"].setValue(typed)
        app = Wired()
        error = run(session, app)
        assert error.code == "config_invalid"
        assert "escapes in TCL" in error.message
        assert "with / and not" in error.hint
        assert app.backend.requests == []
