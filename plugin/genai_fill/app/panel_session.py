"""The panel's actions: `genai_fill.app.panel_state.PanelActions` over the verbs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genai_fill.app.cancel_fill import CancelFill
from genai_fill.app.choose_take import (
    choose_take,
    forget_take,
    restore_take_settings,
    reveal_take,
)
from genai_fill.app.fetch_pictures import FetchPictures
from genai_fill.app.hero_frames import add_hero, remove_hero
from genai_fill.app.model_desk import ModelDesk
from genai_fill.app.node_fills import NodeFills
from genai_fill.app.panel_state import FillForm, PanelState
from genai_fill.app.panel_view import panel_state
from genai_fill.app.ports import FileBrowser, Host, NodeState, TaskRunner
from genai_fill.app.run_fill import RunFill
from genai_fill.app.start_backend import BackendConnection
from genai_fill.domain.seeds import RandomBelow, roll_seed
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import ErrorReport, GenAIFillError, NodeGone, WrongToken
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.hello import EngineList
from genai_fill_contract.job import Job, JobState

_log = logging.getLogger(__name__)

CONNECTED, STARTING, NOT_RUNNING, REFUSED = "connected", "starting", "not running", "refused"
_FORM_FIELDS = frozenset(field.name for field in dataclasses.fields(FillForm))


class PanelSession:
    """One artist's session. Main thread only; whatever waits runs on threads behind it."""

    def __init__(
        self,
        host: Host,
        connection: BackendConnection,
        run: RunFill,
        cancel: CancelFill,
        browser: FileBrowser,
        tasks: TaskRunner,
        random_below: RandomBelow,
        models: ModelDesk,
    ) -> None:
        """Ask nothing and start nothing yet."""
        self._host = host
        self._connection = connection
        self._browser = browser
        self._tasks = tasks
        self._random_below = random_below
        self._fills = NodeFills(host, run, cancel, tasks, self._node_changed, self._fill_ended)
        self._pictures = FetchPictures(host, connection, tasks, self.refresh)
        self._current: str | None = None
        self._selected: str | None = None
        self._engines: tuple[EngineDescription, ...] = ()
        self._backend = ""
        self._error: ErrorReport | None = None
        self._listeners: list[Callable[[PanelState], None]] = []
        self._state = PanelState()
        self._asking = False
        self._woken = False
        self._models = models
        models.tell(self.refresh, self._models_changed)

    @property
    def state(self) -> PanelState:
        """The state now."""
        return self._state

    def subscribe(self, listener: Callable[[PanelState], None]) -> Callable[[], None]:
        """Call ``listener`` with every new state; returns what ends that."""
        self._listeners.append(listener)
        self._ask_quietly()

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def refresh(self) -> None:
        """Look at the node again and tell the listeners what has changed."""
        state = self._look()
        if state != self._state:
            self._state = state
            for listener in tuple(self._listeners):
                listener(state)

    def follow_selection(self) -> None:
        """Look at the selected GenAI Fill node.

        A node whose own buttons were pressed stays in view until the selection changes: its
        properties can be open while something else is selected.
        """
        selected = self._host.selected()
        changed = selected != self._selected or self._current is None
        self.focus(selected if changed else self._current)
        self._wake_backend()

    def focus(self, uuid: str | None) -> None:
        """Look at a node, selected or not, and take up a job that it has kept."""
        self._selected = self._host.selected()
        if uuid != self._current:
            self._current = uuid
            self._error = None
            if uuid is not None and self._engines:
                with self._reporting():
                    self._host.offer_engines(uuid, self._engines)
        if uuid is not None:
            with self._reporting():
                self._fills.resume(uuid)
        self.refresh()

    def resume_all(self) -> None:
        """Take up the jobs of every node of a script that was opened."""
        for uuid in self._host.nodes():
            with self._reporting():
                self._fills.resume(uuid)

    def create_node(self) -> None:
        """Create a node as the menu does."""
        with self._reporting():
            self.focus(self._host.create_node())

    def edit(self, **changes: object) -> None:
        """Set fields of `FillForm`, as one undo step. Another engine starts with its defaults."""
        if strangers := sorted(set(changes) - _FORM_FIELDS):
            raise TypeError(f"not a field of the form: {strangers[0]}")

        def action(uuid: str) -> None:
            engine = changes.get("engine_id")
            if engine is not None and engine != self._host.node(uuid).form.engine_id:
                changes.setdefault("engine_options", {})
            self._host.edit(uuid, changes)

        self._act(action)

    def set_option(self, name: str, value: OptionValue) -> None:
        """Set one engine option; one that equals the engine's default is not kept."""

        def action(uuid: str) -> None:
            options = dict(self._host.node(uuid).form.engine_options)
            engine = self._state.engine
            known = {option.name: option for option in engine.options} if engine else {}
            checked = known[name].check(value) if name in known else value
            if name in known and checked == known[name].default:
                options.pop(name, None)
            else:
                options[name] = checked
            self._host.edit(uuid, {"engine_options": options})

        self._act(action)

    def reset_options(self) -> None:
        """Go back to the engine's defaults."""
        self._act(lambda uuid: self._host.edit(uuid, {"engine_options": {}}))

    def roll_seed(self) -> None:
        """Take a new random seed."""
        self._act(lambda uuid: self._host.edit(uuid, {"seed": roll_seed(self._random_below)}))

    def generate(self) -> None:
        """Spool, submit and follow a fill."""
        self._act(self._fills.generate)

    def cancel(self) -> None:
        """Cancel what is going on for this node."""
        self._act(self._fills.cancel)

    def choose_take(self, version: int | None) -> None:
        """Show a take in the node's output, or the plate for None."""
        self._act(lambda uuid: choose_take(self._host, uuid, version))

    def forget_take(self, version: int) -> None:
        """Take it off the node's list; the files stay on disk."""
        self._act(lambda uuid: forget_take(self._host, uuid, version))

    def restore_take_settings(self, version: int) -> None:
        """Put the prompt, seed, engine and options of a take back onto the node."""
        self._act(lambda uuid: restore_take_settings(self._host, uuid, version))

    def reveal_take(self, version: int) -> None:
        """Open the take's folder in the system's file browser."""
        self._act(lambda uuid: reveal_take(self._host, self._browser, uuid, version))

    def add_hero(self, version: int, frame: int | None = None) -> None:
        """Make a frame of a take a hero frame; None is the frame that Nuke shows."""
        self._act(lambda uuid: add_hero(self._host, uuid, version, frame))

    def remove_hero(self, frame: int) -> None:
        """Take the hero frame at ``frame`` off the list; its file stays."""
        self._act(lambda uuid: remove_hero(self._host, uuid, frame))

    def refresh_engines(self) -> None:
        """Ask the backend again which engines it has, starting it if allowed."""
        if self._asking:
            return
        self._fills.try_again()
        self._pictures.ask_again()
        self._ask(start=True, quiet=False)

    def dismiss_error(self) -> None:
        """Clear the error shown."""
        self._clear_error()
        self.refresh()

    def refresh_models(self) -> None:
        """Ask the backend which models there are, starting it if allowed."""
        self._models.refresh()

    def pull_model(self, model_id: str, accept_licence: bool) -> None:
        """Fetch a model; the artist has agreed to its licence where that is needed."""
        self._models.pull(model_id, accept_licence=accept_licence)

    def add_model(self, path: str) -> None:
        """Take a folder on the backend's disk into the store."""
        self._models.add(path)

    def verify_model(self, model_id: str) -> None:
        """Compare a model's files with what was recorded when they came."""
        self._models.verify(model_id)

    def remove_model(self, model_id: str) -> None:
        """Remove a model, or what a broken off pull left."""
        self._models.remove(model_id)

    def cancel_model_task(self, task_id: str) -> None:
        """Stop a task on a model."""
        self._models.cancel(task_id)

    def dismiss_model_error(self) -> None:
        """Clear the error shown with the models."""
        self._models.dismiss_error()

    def _models_changed(self) -> None:
        if not self._asking:
            self._ask(start=False, quiet=True)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Show an error instead of raising it: above an action there is only Qt."""
        try:
            yield
        except NodeGone:
            self._current = None
        except GenAIFillError as error:
            self._show_error(ErrorReport.of(error))

    def _act(self, action: Callable[[str], None]) -> None:
        """Act on the node, and show what came of it."""
        self._clear_error()
        if self._current is None:
            self._error = ErrorReport.of(
                NodeGone("No GenAI Fill node is selected.", hint="Select one, or create one.")
            )
        else:
            with self._reporting():
                action(self._current)
        self.refresh()

    def _show_error(self, report: ErrorReport) -> None:
        if self._current is None:
            self._error = report
        else:
            self._fills.record(self._current).error = report

    def _clear_error(self) -> None:
        self._error = None
        if self._current is not None:
            self._fills.record(self._current).error = None

    def _look(self) -> PanelState:
        empty = PanelState(
            engines=self._engines,
            backend=self._backend,
            error=self._error,
            models=self._models.view,
        )
        if self._current is None:
            return empty
        try:
            node = self._host.node(self._current)
        except NodeGone:
            self._current = None
            return empty
        except GenAIFillError as error:
            return dataclasses.replace(empty, error=ErrorReport.of(error))
        if self._backend == CONNECTED:
            self._pictures.want(node.takes.listed)
            self._want_preview(node)
        return panel_state(
            node,
            self._fills.record(self._current),
            engines=self._engines,
            pictures=self._pictures.pictures,
            backend=self._backend,
            error=self._error,
            models=self._models.view,
        )

    def _want_preview(self, node: NodeState) -> None:
        stage = self._fills.record(node.uuid).stage
        if stage is not None and stage.state is JobState.RUNNING:
            self._pictures.want_preview(node.takes.of_job(node.job_id))

    def _wake_backend(self) -> None:
        """Start the backend the first time that a panel shows a node: its engines are wanted."""
        if self._current is not None and not self._woken and not self._asking:
            self._woken = True
            if self._backend != CONNECTED:
                self._ask(start=True, quiet=True)

    def _ask_quietly(self) -> None:
        """Ask which engines there are if a backend runs anyway; nothing is said if not."""
        if not self._asking and self._backend != CONNECTED:
            self._ask(start=False, quiet=True)

    def _ask(self, *, start: bool, quiet: bool) -> None:
        self._asking = True
        self._tasks.start("engines", lambda: self._ask_engines(start=start, quiet=quiet))

    def _node_changed(self, uuid: str) -> None:
        stage = self._fills.record(uuid).stage
        if stage is not None and stage.state is JobState.RUNNING:
            self._ask_quietly()  # a backend that runs a job is there to be asked
        if uuid == self._current:
            self.refresh()

    def _fill_ended(self, uuid: str, job: Job | None) -> None:
        _log.info("Fill of node %s ended: %s", uuid, job.state.value if job else "no job")
        if job is not None:
            self._pictures.forget_job(job.id)
            self._ask_quietly()

    def _ask_engines(self, *, start: bool, quiet: bool) -> None:
        try:
            reached = self._connection.connect(
                start=start,
                on_start=lambda: self._host.post_to_main(lambda: self._set_backend(STARTING)),
            )
            engines = reached.backend.engines()
        except GenAIFillError as failure:
            error = failure  # the name of a handled exception ends with its block
            self._host.post_to_main(lambda: self._no_engines(error, quiet=quiet))
        else:
            self._host.post_to_main(lambda: self._have_engines(engines))

    def _set_backend(self, word: str) -> None:
        self._backend = word
        self.refresh()

    def _have_engines(self, engines: EngineList) -> None:
        self._asking = False
        self._engines = engines.engines
        self._backend = CONNECTED
        if self._current is not None:
            with self._reporting():
                self._host.offer_engines(self._current, self._engines)
                self._fills.resume(self._current)
        self.refresh()

    def _no_engines(self, error: GenAIFillError, *, quiet: bool) -> None:
        self._asking = False
        self._backend = REFUSED if isinstance(error, WrongToken) else NOT_RUNNING
        if not quiet:
            self._show_error(ErrorReport.of(error))
        self.refresh()
