"""Pull, add, verify and remove models: one task at a time per model, in memory only."""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from genai_fill_contract.errors import (
    ErrorReport,
    GenAIFillError,
    Internal,
    InvalidRequest,
    JobNotFound,
)
from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import JobState, Progress
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelList,
    ModelTask,
    ModelTaskList,
    ModelVerb,
    PullRequest,
)
from genai_fill_server.service.model_ports import (
    ModelAuditEntry,
    ModelAuditLog,
    ModelOrder,
    ModelsChanged,
    ModelWorkers,
    ModelWorkStopped,
)
from genai_fill_server.service.path_policy import PathPolicy

_LOG = logging.getLogger(__name__)
MAX_RUNNING = 4
_MAX_KEPT = 50
_MAX_LOGGED_CHARACTERS = 1000
_MAX_ID_CHARACTERS = 96
_START_WAIT_S = 60.0
_STOP_WAIT_S = 8.0


class _Work:
    """One task and its thread's side of it: the `ModelWatch` of its order."""

    def __init__(self, key: str, task: ModelTask, order: ModelOrder, who: Provenance) -> None:
        self.key = key
        self.task = task
        self.order = order
        self.who = who
        self.has_begun = False
        self.heard = threading.Event()
        self.stopped = threading.Event()
        self.thread: threading.Thread | None = None

    @property
    def is_stopped(self) -> bool:
        return self.stopped.is_set()

    def began(self) -> None:
        self.has_begun = True
        self.heard.set()

    def moved(self, progress: Progress) -> None:
        self.change(progress=progress)
        self.began()

    def change(self, **changes: object) -> None:
        self.task = dataclasses.replace(self.task, **changes)  # type: ignore[arg-type]


class ModelTasks:
    """The verbs. Safe to call from several threads."""

    def __init__(
        self,
        workers: ModelWorkers,
        paths: PathPolicy,
        audit: ModelAuditLog,
        changed: ModelsChanged,
        clock: Callable[[], float] = time.time,
        start_wait_s: float = _START_WAIT_S,
    ) -> None:
        """Have ``workers`` do it; what `add` names must lie under the roots of ``paths``."""
        self._workers = workers
        self._paths = paths
        self._audit = audit
        self._changed = changed
        self._clock = clock
        self._start_wait_s = start_wait_s
        self._lock = threading.Lock()
        self._works: list[_Work] = []

    def models(self) -> ModelList:
        """Return every model, looked at now."""
        return self._workers.models()

    def tasks(self) -> ModelTaskList:
        """Return the latest tasks, newest first."""
        with self._lock:
            return ModelTaskList(tuple(work.task for work in reversed(self._works)))

    def pull(self, model_id: str, request: PullRequest) -> ModelTask:
        """Begin to fetch a model. Raises `InvalidRequest` (licence), `ModelMissing`, ..."""
        order = ModelOrder(
            ModelVerb.PULL,
            _checked_id(model_id),
            accept_licence=request.accept_licence,
            revision=request.revision,
        )
        return self._start(order, request.provenance, model_id)

    def add(self, request: AddRequest) -> ModelTask:
        """Begin to take a folder into the store. Raises `PathNotAllowed`, `ModelUnsafe`, ..."""
        try:
            folder = checked_model_folder(self._paths, request.path)
        except GenAIFillError as refusal:
            self._record_refusal(request, refusal)
            raise
        order = ModelOrder(ModelVerb.ADD, path=str(folder), link=request.link)
        return self._start(order, request.provenance, folder.name)

    def verify(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to hash a model's files again. Raises `ModelMissing`."""
        order = ModelOrder(ModelVerb.VERIFY, _checked_id(model_id))
        return self._start(order, request.provenance, model_id)

    def remove(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to remove a model, or what a broken off pull left. Raises `ModelMissing`, ..."""
        order = ModelOrder(ModelVerb.REMOVE, _checked_id(model_id))
        return self._start(order, request.provenance, model_id)

    def cancel(self, task_id: str) -> ModelTask:
        """Ask for a task to stop; what it fetched so far stays. A removal is not stopped."""
        with self._lock:
            work = next((work for work in self._works if work.task.id == task_id), None)
            if work is None:
                raise JobNotFound(
                    f"There is no task {task_id[:64]!r}.",
                    hint="The backend forgets tasks when it restarts. Look at the models.",
                )
            if work.task.state is JobState.RUNNING and work.order.verb is not ModelVerb.REMOVE:
                work.change(state=JobState.CANCELLING)
                work.stopped.set()
            return work.task

    def stop(self) -> None:
        """Stop every task and wait for them: the server ends."""
        with self._lock:
            running = [work for work in self._works if not work.task.state.is_final]
            for work in running:
                work.stopped.set()
        for work in running:
            if work.thread is not None:
                work.thread.join(_STOP_WAIT_S)

    def _start(self, order: ModelOrder, who: Provenance, name: str) -> ModelTask:
        """Begin and wait until it is under way; raises what kept it from beginning."""
        task = ModelTask(
            secrets.token_hex(8), name, order.verb, JobState.RUNNING, round(self._clock(), 3)
        )
        work = _Work(order.path or order.model_id.lower(), task, order, who)
        with self._lock:
            self._admit(work)
            self._works = [*self._settled(), work]
        try:
            self._record("model_started", work)
        except GenAIFillError:
            self._forget(work)
            raise
        work.thread = threading.Thread(
            target=self._run, args=(work,), name=f"model-{order.verb.value}", daemon=True
        )
        work.thread.start()
        work.heard.wait(self._start_wait_s)
        error = work.task.error
        if error is not None and not work.has_begun:
            self._forget(work)
            raise error.to_error()
        return work.task

    def _admit(self, work: _Work) -> None:
        running = [other for other in self._works if not other.task.state.is_final]
        if any(other.key == work.key for other in running):
            raise InvalidRequest(
                f"{work.task.model_id} is being worked on already.",
                hint="Wait for it, or cancel it.",
            )
        if len(running) >= MAX_RUNNING:
            raise InvalidRequest(
                f"{len(running)} models are being worked on.", hint="Wait for one to be done."
            )

    def _settled(self) -> list[_Work]:
        """Return what is kept: all that runs, and the latest of what has ended."""
        ended = [work for work in self._works if work.task.state.is_final]
        forgotten = set(map(id, ended[: max(0, len(ended) - _MAX_KEPT)]))
        return [work for work in self._works if id(work) not in forgotten]

    def _forget(self, work: _Work) -> None:
        with self._lock:
            self._works = [other for other in self._works if other is not work]

    def _run(self, work: _Work) -> None:
        ended: dict[str, object]
        try:
            outcome = self._workers.carry_out(work.order, work)
            done = Progress("", 1.0)
            ended = {"state": JobState.DONE, "message": outcome.message, "progress": done}
            if outcome.model_id:
                ended["model_id"] = outcome.model_id
        except ModelWorkStopped:
            message = "Stopped. The same again goes on after the last whole file."
            ended = {"state": JobState.CANCELLED, "message": message}
        except GenAIFillError as error:
            ended = {"state": JobState.FAILED, "error": ErrorReport.of(error)}
        except Exception as error:  # noqa: BLE001 - the edge of a thread; every task must end
            _LOG.exception("a model task had a fault")
            fault = Internal(
                f"Work on a model had a fault: {type(error).__name__}.",
                hint="Report this with the backend's log.",
            )
            ended = {"state": JobState.FAILED, "error": ErrorReport.of(fault)}
        self._end(work, ended)

    def _end(self, work: _Work, ended: dict[str, object]) -> None:
        if work.order.verb is not ModelVerb.VERIFY:
            self._changed()
        with self._lock:
            work.change(**ended)
        try:
            self._record("model_ended", work)
        except GenAIFillError as error:
            _LOG.error("the end of a model task is not in the audit log: %s", error)
        _LOG.info("%s of a model: %s", work.order.verb.value, work.task.state.value)
        work.heard.set()

    def _record(self, event: str, work: _Work) -> None:
        if work.order.verb is not ModelVerb.VERIFY:  # that changes nothing
            entry = ModelAuditEntry(event, self._clock(), work.task, work.order, work.who)
            self._audit.append_model(entry)

    def _record_refusal(self, request: AddRequest, refusal: GenAIFillError) -> None:
        """Write who wanted to add what; a log that cannot be written hides no refusal."""
        path = request.path[:_MAX_LOGGED_CHARACTERS]
        task = ModelTask(
            secrets.token_hex(8),
            path,
            ModelVerb.ADD,
            JobState.FAILED,
            round(self._clock(), 3),
            error=ErrorReport.of(refusal),
        )
        order = ModelOrder(ModelVerb.ADD, path=path, link=request.link)
        try:
            self._record("model_refused", _Work(path, task, order, request.provenance))
        except GenAIFillError as error:
            _LOG.error("a refused model is not in the audit log: %s", error)


def checked_model_folder(paths: PathPolicy, path: str) -> Path:
    """Return the folder to add, links resolved, if it and what it may link to are allowed.

    Files of a snapshot in a hub's cache are links into the repository's folder above it.
    Raises `PathNotAllowed` or `InvalidRequest`.
    """
    what = "The model's folder"
    paths.check_file(what, path)
    folder = Path(os.path.realpath(path))
    if folder.parent.name == "snapshots":
        paths.check_file(what, str(folder.parent.parent))
    return folder


def _checked_id(model_id: str) -> str:
    if not model_id or len(model_id) > _MAX_ID_CHARACTERS:
        raise InvalidRequest(
            f"A model's id has 1 to {_MAX_ID_CHARACTERS} characters, not {len(model_id)}.",
            hint="Take it from the list of models.",
        )
    return model_id
