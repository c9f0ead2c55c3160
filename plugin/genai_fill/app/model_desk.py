"""The models of the backend, as the panel lists them and works on them.

What waits runs on threads; what is known is kept and changed on the main thread only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from genai_fill.app.panel_state import ModelsView
from genai_fill.app.ports import Backend, Clock, Host, Person, TaskRunner
from genai_fill.app.start_backend import BackendConnection
from genai_fill_contract.errors import ErrorReport, GenAIFillError
from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import JobState
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelList,
    ModelTask,
    PullRequest,
)

POLL_S = 0.5


class ModelDesk:
    """Lists models, begins tasks on them, and follows those to their end."""

    def __init__(
        self,
        host: Host,
        connection: BackendConnection,
        tasks: TaskRunner,
        clock: Clock,
        person: Person,
    ) -> None:
        """Ask nothing yet."""
        self._host = host
        self._connection = connection
        self._tasks = tasks
        self._clock = clock
        self._who = Provenance(
            user=person.user, show=person.show, shot=person.shot, host=person.host
        )
        self._view = ModelsView()
        self._changed: Callable[[], None] = lambda: None
        self._models_changed: Callable[[], None] = lambda: None
        self._is_polling = False
        self._ask_again = False

    def tell(self, changed: Callable[[], None], models_changed: Callable[[], None]) -> None:
        """Call ``changed`` at every new view, ``models_changed`` after a task has ended."""
        self._changed, self._models_changed = changed, models_changed

    @property
    def view(self) -> ModelsView:
        """What is known now."""
        return self._view

    def refresh(self) -> None:
        """Ask for the models and the tasks, starting the backend if allowed."""
        if self._view.is_asking:
            return
        self._change(is_asking=True, error=None)
        asked = _running(self._view.tasks)

        def ask() -> None:
            try:
                backend = self._connection.connect(start=True).backend
                models, tasks = backend.models(), backend.model_tasks()
            except GenAIFillError as error:
                self._post_failure(error)
            else:
                self._host.post_to_main(lambda: self._have(models, tasks.tasks, asked))

        self._tasks.start("models", ask)

    def pull(self, model_id: str, *, accept_licence: bool) -> None:
        """Begin to fetch a model; the licence has been agreed to or asks for nothing."""
        request = PullRequest(accept_licence, provenance=self._who)
        self._begin(lambda backend: backend.pull_model(model_id, request))

    def add(self, path: str) -> None:
        """Begin to take a folder into the store."""
        request = AddRequest(path, provenance=self._who)
        self._begin(lambda backend: backend.add_model(request))

    def verify(self, model_id: str) -> None:
        """Begin to compare a model's files with what was recorded."""
        self._begin(lambda backend: backend.verify_model(model_id, ChangeRequest(self._who)))

    def remove(self, model_id: str) -> None:
        """Begin to remove a model, or what a broken off pull left."""
        self._begin(lambda backend: backend.remove_model(model_id, ChangeRequest(self._who)))

    def cancel(self, task_id: str) -> None:
        """Ask for a task to stop."""
        self._begin(lambda backend: backend.cancel_model_task(task_id))

    def dismiss_error(self) -> None:
        """Clear the error shown."""
        self._change(error=None)

    def _begin(self, call: Callable[[Backend], ModelTask]) -> None:
        self._change(error=None)

        def begin() -> None:
            try:
                task = call(self._connection.connect(start=True).backend)
            except GenAIFillError as error:
                self._post_failure(error)
            else:
                self._host.post_to_main(lambda: self._began(task))

        self._tasks.start("model-task", begin)

    def _began(self, task: ModelTask) -> None:
        others = tuple(other for other in self._view.tasks if other.id != task.id)
        self._told((task, *others), has_ended=task.state.is_final)

    def _have(self, models: ModelList, tasks: tuple[ModelTask, ...], asked: frozenset[str]) -> None:
        self._change(models=models.models, folders=models.folders, is_asking=False)
        self._told(self._with_untold(tasks, asked), has_ended=False)
        if self._ask_again:
            self._ask_again = False
            self.refresh()

    def _told(self, tasks: tuple[ModelTask, ...], *, has_ended: bool) -> None:
        running = _running(self._view.tasks)
        has_ended = has_ended or any(t.state.is_final and t.id in running for t in tasks)
        self._change(tasks=tasks)
        if has_ended:
            self._models_changed()
            self._ask_again = self._view.is_asking  # what is being told may be older than this
            self.refresh()
        self._poll()

    def _poll(self) -> None:
        """Look again in a moment, as long as a task runs."""
        asked = _running(self._view.tasks)
        if self._is_polling or not asked:
            return
        self._is_polling = True

        def look() -> None:
            self._clock.sleep(POLL_S)
            try:
                tasks = self._connection.connect(start=False).backend.model_tasks().tasks
            except GenAIFillError as error:
                self._post_failure(error, has_lost_tasks=True)
            else:
                self._host.post_to_main(lambda: self._looked(tasks, asked))

        self._tasks.start("model-tasks", look)

    def _looked(self, tasks: tuple[ModelTask, ...], asked: frozenset[str]) -> None:
        self._is_polling = False
        self._told(self._with_untold(tasks, asked), has_ended=False)

    def _with_untold(
        self, tasks: tuple[ModelTask, ...], asked: frozenset[str]
    ) -> tuple[ModelTask, ...]:
        """Return ``tasks`` and those that the backend did not tell of.

        Of those that it was ``asked`` for nobody knows: it was restarted. Others began since.
        """
        told = {task.id for task in tasks}
        untold = [task for task in self._view.tasks if task.id not in told]
        begun = [task for task in untold if not task.state.is_final and task.id not in asked]
        lost = [_lost(task) for task in untold if task.id in asked or task.state is JobState.LOST]
        return (*begun, *tasks, *lost)

    def _post_failure(self, failure: GenAIFillError, *, has_lost_tasks: bool = False) -> None:
        report = ErrorReport.of(failure)
        self._host.post_to_main(lambda: self._failed(report, has_lost_tasks=has_lost_tasks))

    def _failed(self, report: ErrorReport, *, has_lost_tasks: bool) -> None:
        tasks = self._view.tasks
        if has_lost_tasks:
            self._is_polling = False
            tasks = tuple(task if task.state.is_final else _lost(task) for task in tasks)
        self._change(error=report, is_asking=False, tasks=tasks)

    def _change(self, **changes: object) -> None:
        self._view = dataclasses.replace(self._view, **changes)  # type: ignore[arg-type]
        self._changed()


def _running(tasks: tuple[ModelTask, ...]) -> frozenset[str]:
    return frozenset(task.id for task in tasks if not task.state.is_final)


def _lost(task: ModelTask) -> ModelTask:
    return dataclasses.replace(task, state=JobState.LOST)
