"""Bad input, asked for over HTTP and on the command line: named, placed, and no work lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genai_fill_contract.job import JobState
from tests.e2e.bad_shots import BAD_INPUTS, BadInput, TinyShot
from tests.e2e.bad_ways import install_engines, run_command, run_job
from tests.fakes.backend_process import BackendProcess


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    """The folder that the backend may touch; what lies beside it, it may not."""
    folder = tmp_path_factory.mktemp("bad") / "show"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def backend(tmp_path_factory, show):
    engines = install_engines(tmp_path_factory.mktemp("site"))
    process = BackendProcess(tmp_path_factory.mktemp("backend") / "state", show, engines).start()
    yield process
    process.stop()


@pytest.fixture
def shot(show, request) -> TinyShot:
    return TinyShot(show / request.node.name.replace("/", "_"))


every_bad_input = pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)


def assert_says(text: str, says: tuple[str, ...], shot: TinyShot) -> None:
    for words in says:
        assert words.format(folder=shot.folder) in text, text


def assert_nothing_lost(shot: TinyShot, before: dict[str, bytes]) -> None:
    now = shot.finished()
    assert before
    assert {path: now.get(path) for path in before} == before


@every_bad_input
def test_a_job_names_what_is_wrong_and_where_and_what_to_do(backend, shot, bad: BadInput):
    good, error = run_job(backend, shot.ask)
    assert good.state is JobState.DONE, error
    before = shot.finished()
    bad.spoil(shot)

    job, error = run_job(backend, bad.asked(shot.ask))

    assert error.code.value == bad.code, error
    assert_says(error.message, bad.says, shot)
    assert bad.to_do in error.hint
    assert_nothing_lost(shot, before)
    if job is not None:
        assert job.state is JobState.FAILED
        assert len(job.takes[0].frames_done) == bad.kept
    if bad.kept:
        recipe = json.loads(Path(job.takes[0].recipe_path).read_text(encoding="utf-8"))
        assert recipe["state"] == f"failed: {bad.code}"
    else:
        assert shot.finished().keys() == before.keys()
        assert len(list((shot.folder / "takes").iterdir())) == 1, "an empty version was left"
    assert not list(shot.folder.rglob("*.part"))

    shot.write()
    mended, error = run_job(backend, shot.ask)
    assert mended.state is JobState.DONE, error


@every_bad_input
def test_the_command_says_it_in_one_line_and_leaves_with_a_code(backend, shot, bad: BadInput):
    good, error = run_job(backend, shot.ask)
    assert good.state is JobState.DONE, error
    before = shot.finished()
    bad.spoil(shot)
    _, says, to_do = bad.typed or (bad.code, bad.says, bad.to_do)

    said = run_command(backend, bad.asked(shot.ask))
    backend.wait_for_ends()

    assert said.code == 1, said
    told = [line for line in said.err.splitlines() if line.startswith("genai-fill: ")]
    assert len(told) == 1, said.err
    assert_says(told[0], says, shot)
    assert to_do in told[0]
    assert "Traceback" not in said.err
    assert_nothing_lost(shot, before)
    if bad.kept:
        assert f"{bad.kept} of 3 frames" in said.out
