"""What the panel shows and what it can ask for: Qt-free, so that it is tested without Qt.

The panel draws a `PanelState` and calls a `PanelActions`. Both live on Nuke's main thread;
whatever waits (network, disk, rendering) happens behind the actions, and every change comes
back as a new state through the subscription, on the main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.job import JobState
from genai_fill_contract.models import ModelInfo, ModelTask

RANGE_MODES = (("frame", "Current frame"), ("input", "Input range"), ("custom", "Custom"))


@dataclass(frozen=True)
class FillForm:
    """The values of the node's knobs, as the artist set them."""

    prompt: str = ""
    negative_prompt: str = ""
    engine_id: str = ""
    engine_options: Mapping[str, OptionValue] = field(default_factory=dict)
    seed: int = 0
    seed_locked: bool = False
    takes: int = 1
    range_mode: str = "input"
    first: int = 1
    last: int = 1
    grow_px: float = 4.0
    feather_px: float = 8.0
    blend_px: float = 8.0
    crop_mode: str = "fixed"
    context_px: int = -1


@dataclass(frozen=True)
class TakeRow:
    """One take in the list. ``thumbnail_png`` is empty until it has come.

    ``summary`` is what the engine says of the result, empty if it says nothing.
    """

    version: int
    label: str
    seed: int
    engine_id: str
    prompt: str
    first: int
    last: int
    frames_done: int
    frames_total: int
    chosen: bool = False
    thumbnail_png: bytes = b""
    summary: str = ""


@dataclass(frozen=True)
class HeroRow:
    """One hero frame: the frame, and what its take is called."""

    frame: int
    label: str


@dataclass(frozen=True)
class ActivityView:
    """What is going on for this node: spooling, queued, running, bringing in.

    ``fraction`` is 0 to 1, or None when it cannot be known yet.
    """

    state: JobState | None = None
    phase: str = ""
    fraction: float | None = None
    eta_s: float | None = None
    can_cancel: bool = False


@dataclass(frozen=True)
class ModelsView:
    """The backend's models, the folders that they lie in, and the work on them, newest first.

    ``error`` is what kept the last question or task from beginning.
    """

    models: tuple[ModelInfo, ...] = ()
    folders: tuple[str, ...] = ()
    tasks: tuple[ModelTask, ...] = ()
    is_asking: bool = False
    error: ErrorReport | None = None

    def task_of(self, model_id: str) -> ModelTask | None:
        """The latest task on a model, if there was one."""
        return next((task for task in self.tasks if task.model_id == model_id), None)


@dataclass(frozen=True)
class PanelState:
    """Everything the panel draws.

    ``node_name`` is None when no GenAI Fill node is selected. ``backend`` is a short word on
    the connection ("connected", "starting", "not running"). ``error`` stays until the next
    action or `PanelActions.dismiss_error`.
    """

    node_name: str | None = None
    form: FillForm = FillForm()
    engines: tuple[EngineDescription, ...] = ()
    takes: tuple[TakeRow, ...] = ()
    activity: ActivityView = ActivityView()
    backend: str = ""
    error: ErrorReport | None = None
    log: tuple[str, ...] = ()
    heroes: tuple[HeroRow, ...] = ()
    models: ModelsView = ModelsView()

    @property
    def engine(self) -> EngineDescription | None:
        """The description of the chosen engine, if the backend has told it."""
        return next((e for e in self.engines if e.id == self.form.engine_id), None)


class ModelActions(Protocol):
    """What can be done about models. Main thread only; every call returns at once."""

    def refresh_models(self) -> None:
        """Ask the backend which models there are, starting it if allowed."""

    def pull_model(self, model_id: str, accept_licence: bool) -> None:
        """Fetch a model; ``accept_licence``: the artist has agreed to its licence."""

    def add_model(self, path: str) -> None:
        """Take a folder on the backend's disk into the store."""

    def verify_model(self, model_id: str) -> None:
        """Compare a model's files with what was recorded when they came."""

    def remove_model(self, model_id: str) -> None:
        """Remove a model, or what a broken off pull left; the artist has confirmed it."""

    def cancel_model_task(self, task_id: str) -> None:
        """Stop a task; what has come so far stays."""

    def dismiss_model_error(self) -> None:
        """Clear the error shown with the models."""


class PanelActions(ModelActions, Protocol):
    """What the panel can ask for. Main thread only; every call returns at once."""

    @property
    def state(self) -> PanelState:
        """The state now."""

    def subscribe(self, listener: Callable[[PanelState], None]) -> Callable[[], None]:
        """Call ``listener`` with every new state; returns what ends that."""

    def follow_selection(self) -> None:
        """Look at the selected GenAI Fill node (called when the selection may have changed)."""

    def create_node(self) -> None:
        """Create a GenAI Fill node as the menu does."""

    def edit(self, **changes: object) -> None:
        """Set fields of `FillForm` on the node's knobs, as one undo step."""

    def set_option(self, name: str, value: OptionValue) -> None:
        """Set one engine option."""

    def reset_options(self) -> None:
        """Go back to the engine's defaults."""

    def roll_seed(self) -> None:
        """Take a new random seed."""

    def generate(self) -> None:
        """Spool, submit and follow a fill."""

    def cancel(self) -> None:
        """Cancel what is going on for this node."""

    def choose_take(self, version: int | None) -> None:
        """Show a take in the node's output, or the plate for None."""

    def forget_take(self, version: int) -> None:
        """Take it off the node's list; the files stay on disk."""

    def restore_take_settings(self, version: int) -> None:
        """Put the prompt, seed, engine and options of a take back onto the node."""

    def reveal_take(self, version: int) -> None:
        """Open the take's folder in the system's file browser."""

    def add_hero(self, version: int, frame: int | None = None) -> None:
        """Make a frame of a take a hero frame; None is the frame that Nuke shows."""

    def remove_hero(self, frame: int) -> None:
        """Take the hero frame at ``frame`` off the list; its file stays."""

    def refresh_engines(self) -> None:
        """Ask the backend again which engines it has, starting it if allowed."""

    def dismiss_error(self) -> None:
        """Clear the error shown."""
