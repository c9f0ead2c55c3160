"""The verbs on models, with workers that do as the test says."""

from __future__ import annotations

import threading

import pytest

from genai_fill_contract.errors import (
    DiskFull,
    InvalidRequest,
    JobNotFound,
    ModelMissing,
    OutputNotWritable,
    PathNotAllowed,
)
from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import JobState, Progress
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelList,
    ModelVerb,
    PullRequest,
)
from genai_fill_server.service import model_tasks
from genai_fill_server.service.model_ports import ModelOutcome, ModelWorkStopped
from genai_fill_server.service.model_tasks import MAX_RUNNING, ModelTasks
from genai_fill_server.service.path_policy import PathPolicy

ADA = Provenance("ada", "calc")


class Workers:
    """Begins each order, then waits until the test lets it end, or it is stopped."""

    def __init__(self) -> None:
        self.orders = []
        self.refuses = None
        self.breaks_with = None
        self.let_go = threading.Event()

    def models(self) -> ModelList:
        return ModelList(())

    def carry_out(self, order, watch) -> ModelOutcome:
        self.orders.append(order)
        if self.refuses:
            raise self.refuses
        watch.moved(Progress("Fetching", 0.5))
        while not self.let_go.wait(0.005):
            if watch.is_stopped:
                raise ModelWorkStopped
        if self.breaks_with:
            raise self.breaks_with
        return ModelOutcome(order.model_id or "found-out", "Installed.")


class Audit:
    def __init__(self) -> None:
        self.lines = []
        self.fails = False

    def append_model(self, entry) -> None:
        if self.fails:
            raise OutputNotWritable("The log is full.", hint="Free room.")
        self.lines.append((entry.event, entry.order.verb, entry.task.state, entry.who))


class Desk:
    def __init__(self, root) -> None:
        self.workers, self.audit, self.changes = Workers(), Audit(), 0
        self.tasks = ModelTasks(self.workers, PathPolicy([str(root)]), self.audit, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def pull(self, model_id="flux"):
        return self.tasks.pull(model_id, PullRequest(accept_licence=True, provenance=ADA))

    def ended(self, task):
        self.workers.let_go.set()
        for thread in threading.enumerate():
            if thread.name.startswith("model-"):
                thread.join(10)
        return next(t for t in self.tasks.tasks().tasks if t.id == task.id)


@pytest.fixture
def desk(tmp_path):
    found = Desk(tmp_path)
    yield found
    found.tasks.stop()


def test_a_task_is_under_way_when_it_is_returned_and_says_what_came_of_it(desk):
    task = desk.pull()
    assert (task.state, task.progress) == (JobState.RUNNING, Progress("Fetching", 0.5))
    assert desk.changes == 0

    done = desk.ended(task)

    assert (done.state, done.message, done.progress.fraction) == (JobState.DONE, "Installed.", 1.0)
    assert desk.workers.orders[0].accept_licence
    assert desk.changes == 1
    assert desk.audit.lines == [
        ("model_started", ModelVerb.PULL, JobState.RUNNING, ADA),
        ("model_ended", ModelVerb.PULL, JobState.DONE, ADA),
    ]


def test_what_keeps_a_task_from_beginning_is_raised_and_leaves_no_task(desk):
    desk.workers.refuses = ModelMissing("There is no such model.", hint="Look at the list.")
    with pytest.raises(ModelMissing, match="no such model"):
        desk.pull()
    assert desk.tasks.tasks().tasks == ()
    assert [line[2] for line in desk.audit.lines] == [JobState.RUNNING, JobState.FAILED]


def test_what_breaks_a_task_later_is_kept_on_it(desk):
    desk.workers.breaks_with = DiskFull("Full.", hint="Free room.")
    done = desk.ended(desk.pull())
    assert (done.state, done.error.message) == (JobState.FAILED, "Full.")


def test_a_fault_ends_the_task_too(desk, caplog):
    desk.workers.breaks_with = ZeroDivisionError("oops")
    done = desk.ended(desk.pull())
    assert done.error.code.value == "internal"
    assert "ZeroDivisionError" in done.error.message
    assert "oops" in caplog.text


def test_one_model_has_one_task_at_a_time_and_all_together_a_few(desk):
    desk.pull("flux")
    with pytest.raises(InvalidRequest, match="already"):
        desk.tasks.verify("FLUX", ChangeRequest())
    for number in range(MAX_RUNNING - 1):
        desk.pull(f"other-{number}")
    with pytest.raises(InvalidRequest, match=f"{MAX_RUNNING} models"):
        desk.pull("one-more")


def test_a_cancelled_task_stops(desk):
    task = desk.pull()
    assert desk.tasks.cancel(task.id).state is JobState.CANCELLING
    for thread in threading.enumerate():
        if thread.name.startswith("model-"):
            thread.join(10)
    (ended,) = desk.tasks.tasks().tasks
    assert ended.state is JobState.CANCELLED
    assert desk.tasks.cancel(task.id).state is JobState.CANCELLED


def test_a_removal_is_not_stopped_half_way(desk):
    task = desk.tasks.remove("flux", ChangeRequest())
    assert desk.tasks.cancel(task.id).state is JobState.RUNNING
    assert desk.ended(task).state is JobState.DONE


def test_verifying_changes_nothing_and_is_not_audited(desk):
    assert desk.ended(desk.tasks.verify("flux", ChangeRequest())).state is JobState.DONE
    assert (desk.audit.lines, desk.changes) == ([], 0)


def test_without_a_record_nothing_is_begun(desk):
    desk.audit.fails = True
    with pytest.raises(OutputNotWritable):
        desk.pull()
    assert desk.workers.orders == []
    assert desk.tasks.tasks().tasks == ()


def test_an_added_folder_has_the_name_that_was_found_out(desk, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    task = desk.tasks.add(AddRequest(str(tmp_path / "link"), provenance=ADA))
    assert desk.workers.orders[0].path == str(tmp_path / "in")
    assert desk.ended(task).model_id == "found-out"


def test_a_snapshot_may_only_be_added_where_its_repository_is_allowed_too(tmp_path):
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    tasks = ModelTasks(Workers(), PathPolicy([str(snapshot)]), Audit(), lambda: None)
    with pytest.raises(PathNotAllowed):
        tasks.add(AddRequest(str(snapshot)))


@pytest.mark.parametrize("model_id", ["", "x" * 97])
def test_an_id_has_a_reasonable_length(desk, model_id):
    with pytest.raises(InvalidRequest):
        desk.pull(model_id)


def test_an_unknown_task_is_said_so(desk):
    with pytest.raises(JobNotFound):
        desk.tasks.cancel("nothing")


def test_old_tasks_are_forgotten(desk, monkeypatch):
    monkeypatch.setattr(model_tasks, "_MAX_KEPT", 3)
    desk.workers.let_go.set()
    for number in range(8):
        desk.ended(desk.pull(f"model-{number}"))
    kept = [task.model_id for task in desk.tasks.tasks().tasks]
    assert kept[:3] == ["model-7", "model-6", "model-5"]
    assert len(kept) <= 4


@pytest.mark.parametrize("full", [False, True])
def test_a_refused_folder_is_in_the_audit_log_and_refused_whatever_the_log_says(desk, full):
    desk.audit.fails = full
    with pytest.raises(PathNotAllowed):
        desk.tasks.add(AddRequest("/etc/" + "x" * 3000, provenance=ADA))
    written = [("model_refused", ModelVerb.ADD, JobState.FAILED, ADA)]
    assert desk.audit.lines == ([] if full else written)
    assert desk.workers.orders == []
    assert desk.tasks.tasks().tasks == ()
