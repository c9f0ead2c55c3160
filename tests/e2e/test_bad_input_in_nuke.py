"""Bad input at the node and in the panel, with a real backend: said, kept, filled again."""

from __future__ import annotations

import pytest

from tests.e2e.bad_desk import desk_at, squeezed
from tests.e2e.bad_shots import BAD_INPUTS, BadInput, TinyShot
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
    if bad.kept:
        assert failed.takes[0].frames_done == bad.kept
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
