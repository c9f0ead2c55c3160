"""No backend, a wrong token, a backend that dies in the middle: at the node and as a command."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from genai_fill_contract.job import JobState
from tests.e2e.bad_desk import desk_at, squeezed
from tests.e2e.bad_shots import TinyShot
from tests.e2e.bad_ways import environment, install_engines, request_of, run_command, run_job
from tests.fakes.backend_process import BackendProcess, wait_until
from tests.fakes.rogue import by_another_token, rogue_at

SLOW = {"delay_s": 0.4}


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> Path:
    return install_engines(tmp_path_factory.mktemp("site"))


@pytest.fixture
def shot(tmp_path) -> TinyShot:
    (tmp_path / "show").mkdir()
    return TinyShot(tmp_path / "show" / "shot")


@pytest.fixture
def start(tmp_path, engines):
    """Start backends of one state folder; end whatever runs there afterwards."""
    process = BackendProcess(tmp_path / "state", tmp_path / "show", engines)

    def begin() -> BackendProcess:
        return process.start()

    yield begin
    if process.process is not None:
        process.stop()
    from examples.whole_chain import stop_backend

    stop_backend(tmp_path / "state")


def plug_in(state: Path, *, autostart: bool, **more: str):
    return environment(
        GENAI_FILL_BACKEND_STATE_DIR=str(state),
        GENAI_FILL_BACKEND_AUTOSTART=str(autostart).lower(),
        **more,
    )


def patience(seconds: float) -> None:
    """Make the plug-in wait less long than it would for an artist."""
    sys.modules["genai_fill.app.follow_job"].PATIENCE_S = seconds


def assert_said(seat, state, code: str, what: str, to_do: str) -> None:
    assert state.error.code.value == code, state.error
    assert what in state.error.message
    assert to_do in state.error.hint
    assert seat.shows_error() == (state.error.message, state.error.hint)
    assert seat.status == f"{state.error.message} {state.error.hint}"
    assert seat.label == squeezed(seat.status)


def test_the_node_says_that_the_token_is_wrong_and_fills_once_it_is_right(start, shot, tmp_path):
    backend = start()
    other = tmp_path / "other"
    shutil.copytree(backend.state_dir, other)
    (other / "token").write_text("not-the-token-that-it-knows-at-all\n")
    chosen = {"GENAI_FILL_BACKEND_URL": backend.url}
    with plug_in(other, autostart=True, **chosen), desk_at(tmp_path / "home") as desk:
        seat = desk.sit(shot.ask)
        refused = seat.fill(shot.ask)
        assert_said(seat, refused, "wrong_token", "token", "state folder")
        assert not (shot.folder / "takes").exists()

        shutil.copy(backend.state_dir / "token", other / "token")
        assert seat.fill(shot.ask).error is None


def test_who_took_the_port_of_a_killed_backend_gets_no_token_and_the_node_starts_its_own(
    start, engines, shot, tmp_path
):
    backend = start()
    port, token = int(backend.url.rsplit(":", 1)[1]), backend.token
    backend.kill()
    command = (
        f'env PYTHONPATH="{engines}" '
        f'GENAI_FILL_SERVER_ALLOWED_ROOTS="{tmp_path / "show"}" '
        f'"{sys.executable}" -m genai_fill_server.cli serve --port 0'
    )
    with (
        rogue_at(port, by_another_token) as other,
        plug_in(tmp_path / "state", autostart=True, GENAI_FILL_BACKEND_COMMAND=command),
        desk_at(tmp_path / "home") as desk,
    ):
        assert json.loads((tmp_path / "state" / "endpoint.json").read_text())["url"] == other.url
        state = desk.sit(shot.ask).fill(shot.ask)
        assert state.error is None, state.error
        assert desk.session.errors == []
    assert other.heard
    assert other.heard_nothing_of(token)


@pytest.mark.parametrize("token", ["", "not-the-token-that-it-knows-at-all"])
def test_the_command_says_that_the_token_is_wrong(start, shot, tmp_path, token):
    backend = start()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "token").write_text(token)
    good = dict(backend.environment)
    backend.environment |= {
        "GENAI_FILL_BACKEND_URL": backend.url,
        "GENAI_FILL_BACKEND_STATE_DIR": str(tmp_path / "other"),
    }
    said = run_command(backend, shot.ask)
    assert said.code == 3, said
    assert "token" in said.err
    assert "state folder" in said.err
    assert len(said.err.splitlines()) == 1
    backend.environment = good
    assert run_command(backend, shot.ask).code == 0


def test_the_node_says_that_no_backend_runs(start, shot, tmp_path):
    with plug_in(tmp_path / "state", autostart=False), desk_at(tmp_path / "home") as desk:
        seat = desk.sit(shot.ask)
        assert_said(
            seat, seat.fill(shot.ask), "backend_unreachable", "No backend", "genai-fill serve"
        )
        start()
        assert seat.fill(shot.ask).error is None


def test_a_backend_that_dies_and_stays_away_is_said_at_the_node_and_goes_on_later(
    start, shot, tmp_path
):
    backend = start()
    with plug_in(tmp_path / "state", autostart=False), desk_at(tmp_path / "home") as desk:
        seat = desk.sit(shot.ask)
        assert seat.fill(shot.ask).error is None
        before = shot.finished()
        patience(1.0)
        seat.type(replace(shot.ask, options=SLOW))
        seat.generate()
        assert desk.session.pump(
            20, until=lambda: len(desk.state.takes) == 2 and desk.state.takes[0].frames_done
        )
        backend.kill()

        lost = seat.wait()

        assert_said(seat, lost, "backend_lost", "went away", "goes on at the first missing frame")
        assert [t.frames_done for t in lost.takes][1] == 3
        assert 1 <= lost.takes[0].frames_done < 3
        kept = shot.finished()
        assert {path: kept.get(path) for path in before} == before

        start()
        desk.panel._actions.refresh_engines()
        assert desk.session.pump(20, until=lambda: desk.state.takes[0].frames_done == 3)
        assert desk.session.pump(20, until=lambda: not desk.state.activity.can_cancel)
        assert {path: shot.finished().get(path) for path in kept if path.endswith(".exr")} == {
            path: data for path, data in kept.items() if path.endswith(".exr")
        }
        assert desk.state.error is None
        assert seat.fill(shot.ask).error is None


def test_a_backend_that_dies_is_started_again_and_the_job_goes_on(start, engines, shot, tmp_path):
    backend = start()
    command = (
        f'env PYTHONPATH="{engines}" GENAI_FILL_SERVER_PORT=0 '
        f'GENAI_FILL_SERVER_ALLOWED_ROOTS="{tmp_path / "show"}" '
        f'"{sys.executable}" -m genai_fill_server.cli serve'
    )
    with (
        plug_in(tmp_path / "state", autostart=True, GENAI_FILL_BACKEND_COMMAND=command),
        desk_at(tmp_path / "home") as desk,
    ):
        seat = desk.sit(shot.ask)
        seat.type(replace(shot.ask, options=SLOW))
        seat.generate()
        assert desk.session.pump(
            20, until=lambda: desk.state.takes and desk.state.takes[0].frames_done
        )
        backend.kill()

        state = seat.wait(60)

        assert state.error is None, state.error
        assert [take.frames_done for take in state.takes] == [3]
        assert desk.session.errors == []


def test_a_command_whose_backend_dies_says_so_and_the_job_is_there_afterwards(
    start, shot, tmp_path, monkeypatch, capsys
):
    import functools

    from genai_fill_server.cli import connection
    from genai_fill_server.cli.main import main

    backend = start()
    job = backend.client().submit(request_of(replace(shot.ask, options=SLOW)))
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    impatient = functools.partial(connection.BackendClient, patience_s=0.8)
    monkeypatch.setattr(connection, "BackendClient", impatient)
    import signal
    import threading

    ended = threading.Timer(2.0, backend.process.kill)
    ended.start()
    handler = signal.getsignal(signal.SIGTERM)
    arguments = ["fill", "--plate", shot.ask.plate, "--matte", shot.ask.matte]
    arguments += ["--out", shot.ask.out, "--engine", "studio:paint", "--option", "delay_s=1.5"]
    try:
        with pytest.raises(SystemExit) as left:
            main(arguments)
    finally:
        signal.signal(signal.SIGTERM, handler)
        ended.join()
    assert left.value.code == 3
    (told,) = [t for t in capsys.readouterr().err.splitlines() if t.startswith("genai-fill:")]
    assert backend.url in told
    assert "went away" in told
    assert "Start it again" in told

    backend.kill()
    client = start().client()
    for one in client.jobs(10):
        assert wait_until(lambda one=one: client.job(one.id).state is JobState.DONE)
    assert client.job(job.id).state is JobState.DONE
    mended, _ = run_job(backend, shot.ask)
    assert mended.state is JobState.DONE
