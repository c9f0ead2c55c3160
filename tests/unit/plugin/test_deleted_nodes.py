"""Nodes that are deleted, cut or brought back while their job runs."""

import threading
from pathlib import Path

import pytest

from tests.unit.plugin.nuke_scene import Wired, comp, filled


class Running:
    """The application as bootstrap has it, and a job that waits before its third event."""

    def __init__(self, session, node):
        from genai_fill import bootstrap

        self.session, self.app, self.gate = session, Wired(), threading.Event()
        self.uuid = node["fill_uuid"].value()
        app = self.app
        bootstrap._built[:] = [bootstrap._Application(app.host, app.run, app.session, app.cancel)]
        app.backend.on_event = lambda e: self.gate.wait(10) if e.id == 3 else None
        session.press(node, "generate")
        assert session.pump(20, until=lambda: node["job_id"].value() != "")

    def end_job(self):
        self.gate.set()
        record = self.app.session._fills.record(self.uuid)
        assert self.session.pump(20, until=lambda: not record.is_busy)


def spooled(tmp_path):
    return [path for path in Path(tmp_path).rglob("spool/*") if path.is_dir()]


@pytest.fixture
def shot(tmp_path):
    with comp(tmp_path, through="NoOp") as (session, node):
        yield session, node, Running(session, node)


def test_undoing_a_deletion_after_the_job_ended_brings_its_frames(shot):
    session, node, running = shot
    session.nuke.delete(node)
    running.end_job()
    session.undo()
    again = session.nuke.toNode("GenAIFill1")
    assert session.pump(20, until=lambda: again["status"].value().startswith("Done"))
    assert again["job_id"].value() == ""
    assert list(again["take"].values()) == ["none", "v001"]
    session.press(again, "generate")
    assert session.pump(20, until=lambda: len(running.app.backend.requests) == 2)
    assert running.app.session.state.error is None
    assert session.pump(20, until=lambda: again["status"].value().startswith("Done: v002"))
    assert filled(session.evaluate(again, 1004).rgba_top_down())


def test_undoing_a_deletion_while_the_job_runs_goes_on_where_it_was(shot):
    session, node, running = shot
    session.nuke.delete(node)
    session.pump(0.1)
    session.undo()
    again = session.nuke.toNode("GenAIFill1")
    session.pump(0.1)
    running.end_job()
    assert session.pump(20, until=lambda: again["status"].value().startswith("Done"))
    assert filled(session.evaluate(again, 1004).rgba_top_down())
    assert again["take"].value() == "v001"
    assert running.app.session.state.error is None


def test_a_node_that_is_cut_and_pasted_gets_its_frames(shot):
    session, node, running = shot
    session.select(node)
    session.nuke.nodeCopy("%clipboard%")
    session.nuke.delete(node)
    running.end_job()
    pasted = session.nuke.nodePaste("%clipboard%")
    assert pasted["fill_uuid"].value() == running.uuid
    assert session.pump(20, until=lambda: pasted["status"].value().startswith("Done"))
    assert list(pasted["take"].values()) == ["none", "v001"]


def test_the_plates_of_a_node_that_stays_deleted_are_cleared_away(shot, tmp_path):
    session, node, running = shot
    (spool,) = spooled(tmp_path)
    session.nuke.delete(node)
    running.end_job()
    assert session.pump(20, until=lambda: not spool.exists())
    assert running.app.backend.jobs["job1"].state == "done"


def test_opening_a_script_leaves_its_jobs_to_the_end_of_loading(shot, tmp_path):
    session, _, running = shot
    session.save(tmp_path / "comp.nk")
    seen = []
    follow = running.app.session.resume_all
    running.app.session.resume_all = lambda: seen.append(session.nuke.allNodes("Group")) or follow()
    running.end_job()
    session.open(tmp_path / "comp.nk")
    again = session.nuke.toNode("GenAIFill1")
    assert session.pump(20, until=lambda: again["status"].value().startswith("Done"))
    assert all(len(nodes) == 1 for nodes in seen)
    assert len(seen) == 2  # once the script was loaded, and once from the queue, to no effect
