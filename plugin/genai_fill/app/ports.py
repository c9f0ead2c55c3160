"""What the application needs of the world: Nuke, the backend, threads, time, files.

Nodes are named by their ``fill_uuid``, never by a Nuke object: names change, objects die.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from genai_fill.app.panel_state import FillForm
from genai_fill.domain.heroes import HeroList
from genai_fill.domain.takes import KnownTake, TakeList
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import Job, JobEvent
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelList,
    ModelTask,
    ModelTaskList,
    PullRequest,
)
from genai_fill_contract.plate import ColourSettings, FrameRange, InputRole
from genai_fill_contract.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class NodeState:
    """A GenAI Fill node as its knobs have it.

    ``name`` is the full name, dotted inside groups. ``job_id`` is empty unless a job of the
    node has not come to its end yet. ``chosen`` is the number of the take shown.
    ``output_directory`` is as it was typed; `Host.output_directory` gives the folder.
    """

    uuid: str
    name: str
    form: FillForm
    takes: TakeList = field(default_factory=TakeList)
    chosen: int | None = None
    job_id: str = ""
    matte_invert: bool = False
    output_directory: str = ""
    output_name: str = ""
    heroes: HeroList = field(default_factory=HeroList)


@dataclass(frozen=True)
class ScriptState:
    """The script around the node. ``path`` is empty when it was never saved.

    ``views`` are the names of its views; more than one in a stereo script.
    """

    path: str
    current_frame: int
    colour: ColourSettings
    views: tuple[str, ...] = ("main",)


@dataclass(frozen=True)
class Footage:
    """A sequence on disk that can be passed on as it is. ``channel`` is for mattes."""

    path_pattern: str
    frame_range: FrameRange
    channel: str = ""


@dataclass(frozen=True)
class NodeInputs:
    """What is connected to a node.

    ``plate_range`` is None when no plate is connected. ``plate`` and ``matte`` are given
    when the input is just a Read whose files hold the working space already. ``optional``
    are the names of the optional inputs that are connected. ``view`` is the view that is
    filled. ``needs_one_view`` names which of plate and matte are another picture in another
    view of the script: a fill makes one picture, and would show it in all of them.
    """

    plate_range: FrameRange | None
    matte_connected: bool
    plate: Footage | None = None
    matte: Footage | None = None
    optional: tuple[str, ...] = ()
    view: str = "main"
    needs_one_view: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionalInput:
    """An optional input that is connected, in one of the roles it can have.

    ``frames`` is the range of what is connected. ``named`` are the frames that the artist
    said it counts at; empty: all. ``footage`` is given as in `NodeInputs`.
    """

    role: InputRole
    frames: FrameRange
    named: tuple[int, ...] = ()
    footage: Footage | None = None


class HostBusy(Exception):
    """Nuke renders something else just now, and only one thing at a time: ask again later."""


class Host(Protocol):
    """Nuke. Everything but `run_on_main` and `post_to_main` is for the main thread only.

    Methods that take a node's uuid raise `NodeGone` when it was deleted, and `NukeFailed`
    when Nuke raised.
    """

    @property
    def interactive(self) -> bool:
        """Whether there is a GUI with an event loop."""

    def run_on_main(self, call: Callable[[], T]) -> T:
        """Run ``call`` on the main thread and return or raise what it does."""

    def post_to_main(self, call: Callable[[], None]) -> None:
        """Have ``call`` run on the main thread soon; do not wait."""

    def nodes(self) -> tuple[str, ...]:
        """Return the uuids of every GenAI Fill node of the script."""

    def selected(self) -> str | None:
        """Return the uuid of the selected GenAI Fill node, or None."""

    def create_node(self) -> str:
        """Create a node as the menu does and return its uuid."""

    def node(self, uuid: str) -> NodeState:
        """Return what the node's knobs say."""

    def script(self) -> ScriptState:
        """Return the script's state."""

    def inputs(self, uuid: str) -> NodeInputs:
        """Return what is connected to the node."""

    def output_directory(self, uuid: str) -> str:
        """Return the node's own output folder, what Nuke evaluates in it evaluated.

        Fields like ``{script_dir}`` are still in it. Empty when the node has none. Raises
        `ConfigError` when it cannot be evaluated.
        """

    def optional_inputs(self, uuid: str, roles: tuple[InputRole, ...]) -> tuple[OptionalInput, ...]:
        """Return the optional inputs that are connected and can have one of ``roles``.

        Raises `InputError` when what is connected cannot be used for its role.
        """

    def edit(self, uuid: str, changes: Mapping[str, object], *, undoable: bool = True) -> None:
        """Set fields of `FillForm` on the knobs, as one undo step or as none."""

    def remember(self, uuid: str, takes: TakeList) -> None:
        """Keep the list of takes on the node; no undo step."""

    def set_heroes(self, uuid: str, heroes: HeroList) -> None:
        """Keep the list of hero frames on the node, as one undo step."""

    def set_job(self, uuid: str, job_id: str) -> None:
        """Keep the id of the job under way on the node, or forget it; no undo step."""

    def show_take(self, uuid: str, take: KnownTake | None, *, undoable: bool) -> None:
        """Show a take in the node's output, or the plate."""

    def reload_take(self, uuid: str) -> None:
        """Make Nuke look again at the frames of the take shown."""

    def say(self, uuid: str, text: str, *, is_error: bool = False) -> None:
        """Show one status text on the node."""

    def offer_engines(self, uuid: str, engines: tuple[EngineDescription, ...]) -> None:
        """Put the engines into the node's own chooser."""

    def spool_plate(self, uuid: str, path_pattern: str, frame: int) -> None:
        """Render one frame of the plate to EXR: working space as it is, full bbox.

        This and the next two raise `HostBusy`, with nothing touched, during another render.
        """

    def spool_matte(self, uuid: str, path_pattern: str, frame: int) -> None:
        """Render one frame of the matte to the alpha channel of an EXR."""

    def spool_input(self, uuid: str, role: InputRole, path_pattern: str, frame: int) -> None:
        """Render one frame of an optional input to EXR, the channels that ``role`` needs."""


class EventFeed(Protocol):
    """A job's events as they come. Iterating blocks; None is a sign of life."""

    def __iter__(self) -> Iterator[JobEvent | None]:
        """Yield events until the backend ends the stream."""

    def close(self) -> None:
        """End the feed, from any thread."""


class Backend(Protocol):
    """The backend's API. Any thread; every call raises `GenAIFillError`."""

    def hello(self) -> Hello:
        """Return who it is; raises `VersionMismatch` for another major version."""

    def engines(self) -> EngineList:
        """Return its engines."""

    def submit(self, request: FillRequest, *, key: str) -> Job:
        """Post a fill. The same ``key`` twice makes one job."""

    def job(self, job_id: str) -> Job:
        """Return a job; raises `JobNotFound`."""

    def recent_jobs(self) -> JobList:
        """Return the jobs that it knows."""

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be cancelled."""

    def events(self, job_id: str, *, after: int) -> EventFeed:
        """Follow a job's events later than the id ``after``."""

    def thumbnail(self, job_id: str, index: int, *, frame: int, width: int) -> bytes:
        """Return a PNG of one frame of a take."""

    def models(self) -> ModelList:
        """Return the models there are and could be."""

    def model_tasks(self) -> ModelTaskList:
        """Return the latest work on models."""

    def pull_model(self, model_id: str, request: PullRequest) -> ModelTask:
        """Begin to fetch a model; raises what keeps it from beginning."""

    def add_model(self, request: AddRequest) -> ModelTask:
        """Begin to take a folder into the store."""

    def verify_model(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to compare a model's files with what was recorded."""

    def remove_model(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to remove a model."""

    def cancel_model_task(self, task_id: str) -> ModelTask:
        """Ask for a task to stop."""


class BackendFinder(Protocol):
    """Knows where the backend would be."""

    def find(self) -> Backend:
        """Return a client for it, without asking whether it answers.

        Raises `BackendUnreachable` when no address or no token is known.
        """


class BackendProcess(Protocol):
    """Starts the backend on this machine."""

    def start(self) -> None:
        """Start it without waiting; raises `BackendStartFailed`."""

    def failure(self) -> str | None:
        """Return why it ended, when it did; None while it runs."""


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class TaskRunner(Protocol):
    """Threads."""

    def start(self, name: str, call: Callable[[], None]) -> None:
        """Run ``call`` on a thread of its own that does not keep Nuke from quitting."""


class SpoolFolders(Protocol):
    """Folders where plates wait."""

    def create(self, parent: str, name: str) -> str:
        """Make a new folder of ours under ``parent`` and return its path."""

    def discard(self, folder: str) -> None:
        """Delete what we put into a spool folder, and the folder if that leaves it empty.

        Does nothing to a folder that is not one of ours.
        """

    def sweep(self, parent: str, *, older_than_s: float, in_use: Collection[str]) -> None:
        """Discard folders of ours right under ``parent`` that nothing touched for so long.

        Those ``in_use`` stay, and everything that is not ours.
        """


class TakeFiles(Protocol):
    """Takes on the disk that the plug-in and the backend share."""

    def has(self, path: str) -> bool:
        """Whether a frame is on disk."""

    def summary(self, recipe_path: str) -> str:
        """Return what the engine says of the take in its recipe, on one line; empty: nothing."""


class FileBrowser(Protocol):
    """The system's file browser."""

    def reveal(self, path: str) -> None:
        """Show a folder; raises `InputError` when it is gone."""


class SettingsSource(Protocol):
    """Where settings come from."""

    def load(self) -> Settings:
        """Return the settings now; raises `ConfigError`."""


@dataclass(frozen=True)
class Person:
    """Who asks, from where: for the record and for path templates."""

    user: str = ""
    show: str = ""
    shot: str = ""
    host: str = ""
