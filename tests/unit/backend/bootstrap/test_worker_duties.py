"""A warm child notices that models came and went."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from genai_fill_contract.errors import PathNotAllowed, UnknownEngine
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.plate import ColourSettings
from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap import engine_plugins
from genai_fill_server.bootstrap.worker import WorkerDuties
from genai_fill_server.executors.protocol import Start
from genai_fill_server.service import run_fill
from genai_fill_server.service.job_ports import ThumbnailRequest
from tests.fakes.job_stores import PAINT, WORDY, request_in


class Site:
    """What is installed, and which engines filled."""

    def __init__(self) -> None:
        self.installed = [PAINT]
        self.filled = []
        self.released = 0

    def load(self, settings):
        return [self._engine(description) for description in self.installed], []

    def _engine(self, description):
        return SimpleNamespace(description=description, release=self._release)

    def _release(self) -> None:
        self.released += 1

    def fill(self, request, engine, *rest) -> None:
        self.filled.append(engine.description.id)


@pytest.fixture
def site(monkeypatch):
    found = Site()
    monkeypatch.setattr(engine_plugins, "load_engines", found.load)
    monkeypatch.setattr(run_fill, "run_fill", found.fill)
    return found


@pytest.fixture
def duties(site, tmp_path):
    return WorkerDuties(Start(Settings(), "cpu", (str(tmp_path),)))


def job_for(tmp_path, engine):
    request = request_in(tmp_path, engine_id=engine.id, prompt="a wall")
    return Job("j1", JobState.RUNNING, request, (), 1.0)


def test_engines_are_described_as_they_are_now(duties, site):
    known = lambda: {e.id for e in duties.describe()} & {PAINT.id, WORDY.id}  # noqa: E731
    assert known() == {PAINT.id}
    site.installed = [WORDY]
    assert known() == {WORDY.id}


def test_a_job_for_an_engine_that_came_later_runs_in_a_warm_worker(duties, site, tmp_path):
    duties.run(job_for(tmp_path, PAINT), None)
    site.installed = [PAINT, WORDY]
    duties.run(job_for(tmp_path, WORDY), None)
    assert site.filled == [PAINT.id, WORDY.id]
    assert site.released == 1


def test_a_job_for_an_engine_that_never_came_is_refused(duties, tmp_path):
    with pytest.raises(UnknownEngine):
        duties.run(job_for(tmp_path, WORDY), None)


def test_a_picture_is_not_made_of_a_file_that_now_leads_out_of_the_roots(duties, tmp_path):
    """The server looked at the path when the request came in; a link may have changed since."""
    outside = tmp_path.parent / f"{tmp_path.name}_outside.exr"
    outside.write_bytes(b"secret")
    link = tmp_path / "take.1001.exr"
    link.symlink_to(outside)
    with pytest.raises(PathNotAllowed, match=r"take\.1001\.exr"):
        duties.thumbnail(ThumbnailRequest(str(link), 1001, 320, ColourSettings()))
