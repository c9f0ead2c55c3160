"""Bad input at the node and in the panel, with a real backend: said, kept, filled again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.e2e.bad_desk import desk_at, squeezed
from tests.e2e.bad_shots import BAD_INPUTS, BadInput, TinyShot, cut
from tests.e2e.bad_ways import environment, install_engines
from tests.fakes.backend_process import BackendProcess


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk") / "show"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def backend(tmp_path_factory, show):
    engines = install_engines(tmp_path_factory.mktemp("site"))
    process = BackendProcess(tmp_path_factory.mktemp("backend") / "state", show, engines).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def desk(backend, show):
    with (
        environment(
            GENAI_FILL_BACKEND_STATE_DIR=str(backend.state_dir),
            GENAI_FILL_BACKEND_AUTOSTART="false",
        ),
        desk_at(show / "home") as desk,
    ):
        yield desk


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_the_node_and_the_panel_say_it_and_can_be_filled_again(desk, show, bad: BadInput):
    shot = TinyShot(show / bad.name)
    seat = desk.sit(shot.ask)
    good = seat.fill(shot.ask)
    assert good.error is None, good.error
    (first,) = good.takes
    before = shot.finished()
    bad.spoil(shot)
    code, says, to_do = bad.at_node or (bad.code, bad.says, bad.to_do)

    failed = seat.fill(bad.asked(shot.ask))

    assert failed.error is not None
    assert failed.error.code.value == code, failed.error
    for words in says:
        assert words.format(folder=shot.folder) in failed.error.message
    assert to_do in failed.error.hint
    assert seat.shows_error() == (failed.error.message, failed.error.hint)
    assert seat.status == f"{failed.error.message} {failed.error.hint}"
    assert seat.label == squeezed(seat.status)
    assert failed.takes[-1].version == first.version
    assert failed.takes[-1].frames_done == 3
    assert [take.frames_done for take in failed.takes[:-1]] == [bad.kept] * bool(bad.kept)
    assert {path: shot.finished().get(path) for path in before} == before

    shot.write()
    mended = seat.fill(shot.ask)

    assert mended.error is None, mended.error
    assert mended.takes[0].frames_done == 3
    assert mended.takes[0].version > first.version
    assert not desk.panel.error.isVisible()
    assert seat.label == ""
    assert seat.status.startswith("Done")
    assert desk.session.errors == []
    assert desk.session.tcl_violations == []


@pytest.mark.parametrize(
    "name", ["with spaces in it", "Straße 雪", "100 [exec touch pwned]", "$HOME;touch pwned"]
)
def test_names_of_folders_are_only_names_at_the_node(desk, show, name):
    shot = TinyShot(show / "names" / name)
    # As every file knob wants it: TCL is evaluated in them.
    typed = "".join(f"\\{char}" if char in '[]$"{};' else char for char in str(shot.folder))
    ask = replace(
        shot.ask,
        plate=f"{typed}/plate/plate.%04d.exr",
        matte=f"{typed}/matte/matte.%04d.exr",
        out=f"{typed}/takes",
    )
    filled = desk.sit(ask).fill(ask)
    assert filled.error is None, filled.error
    assert filled.takes[0].frames_done == 3
    assert len(list((shot.folder / "takes").rglob("*.exr"))) == 3
    assert desk.session.tcl_violations == []
    assert desk.session.errors == []
    assert not list(show.rglob("pwned"))


def test_a_percent_in_the_output_folder_is_refused_in_words(desk, show):
    shot = TinyShot(show / "percent")
    seat = desk.sit(shot.ask)
    refused = seat.fill(replace(shot.ask, out=f"{shot.folder}/100% done"))
    assert refused.error.code.value == "path_not_allowed"
    assert "100% done" in refused.error.message
    assert "frame numbers" in refused.error.hint
    assert seat.fill(shot.ask).error is None


@pytest.mark.parametrize("spoil", ["missing", "truncated"])
def test_a_frame_that_nuke_itself_cannot_render_is_said(desk, show, spoil):
    """Behind a Grade there is no file to pass on: the plate is rendered, and fails there."""
    shot = TinyShot(show / f"graded_{spoil}")
    seat = desk.sit(shot.ask)
    nuke = desk.session.nuke
    grade = nuke.nodes.Grade(inputs=[seat.comp.plate])
    seat.node.setInput(0, grade)
    assert seat.fill(shot.ask).error is None
    shot.plate(1002).unlink() if spoil == "missing" else cut(shot.plate(1002))

    failed = seat.fill(shot.ask)

    assert failed.error.code.value == "nuke_failed", failed.error
    assert "frame 1002" in failed.error.message
    assert seat.comp.plate.name() in failed.error.message
    assert seat.shows_error() == (failed.error.message, failed.error.hint)
    assert len(failed.takes) == 1
    assert not list(shot.folder.glob("takes/spool*"))

    shot.write()
    assert seat.fill(shot.ask).error is None
