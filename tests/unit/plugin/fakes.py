"""What the plug-in's application talks to, with behaviour and without Nuke or network."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from dataclasses import replace
from pathlib import Path

from genai_fill.app.panel_state import FillForm
from genai_fill.app.ports import NodeInputs, NodeState, OptionalInput, Person, ScriptState
from genai_fill.domain.takes import TakeList
from genai_fill_contract.engine import (
    ColourDomain,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.errors import (
    BackendTimeout,
    BackendUnreachable,
    ErrorReport,
    JobNotFound,
    NodeGone,
    OutputNotWritable,
)
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import (
    EventKind,
    FrameDone,
    Job,
    JobEvent,
    JobState,
    Progress,
)
from genai_fill_contract.models import (
    ModelInfo,
    ModelList,
    ModelState,
    ModelTask,
    ModelTaskList,
    ModelVerb,
)
from genai_fill_contract.plate import ColourSettings, FrameRange, path_at
from genai_fill_contract.settings import Settings, resolve_settings
from genai_fill_contract.take import Take

PERSON = Person("ada", "show", "sh010", "ws1")

CLEANPLATE = EngineDescription(
    "cleanplate",
    "Clean plate",
    EngineKind.SHOT,
    ColourDomain.SCENE_LINEAR,
    "Brings pixels from other frames.",
    options=(
        EngineOption(
            "detail", "Detail", OptionType.INT, 3, "How fine it looks.", minimum=1, maximum=5
        ),
    ),
)
PAINTER = EngineDescription(
    "painter",
    "Painter",
    EngineKind.IMAGE,
    ColourDomain.DISPLAY,
    "Paints what the prompt says.",
    needs_prompt=True,
)
MISSING = replace(
    PAINTER, id="big", label="Big", available=False, unavailable_reason="Weights are missing."
)


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.on_sleep = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for call in list(self.on_sleep):
            call()


class Tasks:
    """Threads that run when the test says so; ``at_once`` runs them inside `start`."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.waiting = deque()
        self.started = []

    def start(self, name, call) -> None:
        self.started.append(name)
        if self.at_once:
            call()
        else:
            self.waiting.append(call)

    def run(self) -> None:
        while self.waiting:
            self.waiting.popleft()()


class FixedSettings:
    """Settings that a test writes as environment variables."""

    def __init__(self, **environment: str) -> None:
        self.environment = environment

    def load(self) -> Settings:
        return resolve_settings(environment=self.environment).settings


class FakeHost:
    """A Nuke with GenAI Fill nodes in it, and a main thread that is always there."""

    interactive = True

    def __init__(self) -> None:
        self.states: dict[str, NodeState] = {}
        self.connected: dict[str, NodeInputs] = {}
        self.selection: str | None = None
        self.path = "/shots/sh010/comp_v001.nk"
        self.frame = 1003
        self.views = ("main",)
        self.said: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        self.shown: list[tuple[int | None, bool]] = []
        self.reloads = 0
        self.spooled: list[tuple[str, int]] = []
        self.optional: dict[str, tuple[OptionalInput, ...]] = {}
        self.offered: tuple[str, ...] = ()
        self.on_spool = None

    def add(self, uuid="u1", name="GenAIFill1", **changes) -> str:
        form = replace(FillForm(engine_id="cleanplate"), **changes.pop("form", {}))
        self.states[uuid] = NodeState(uuid, name, form, **changes)
        self.connected[uuid] = NodeInputs(FrameRange(1001, 1004), True)
        self.selection = uuid
        return uuid

    def run_on_main(self, call):
        return call()

    def post_to_main(self, call) -> None:
        call()

    def nodes(self):
        return tuple(self.states)

    def selected(self):
        return self.selection

    def create_node(self):
        return self.add("new", "GenAIFill9")

    def node(self, uuid) -> NodeState:
        if uuid not in self.states:
            raise NodeGone("The node was deleted.", hint="Undo that.")
        return self.states[uuid]

    def script(self) -> ScriptState:
        return ScriptState(self.path, self.frame, ColourSettings("", "ACEScg"), self.views)

    def inputs(self, uuid) -> NodeInputs:
        self.node(uuid)
        return self.connected[uuid]

    def output_directory(self, uuid) -> str:
        return self.node(uuid).output_directory

    def optional_inputs(self, uuid, roles):
        self.node(uuid)
        return tuple(one for one in self.optional.get(uuid, ()) if one.role in roles)

    def set_heroes(self, uuid, heroes) -> None:
        self._set(uuid, heroes=heroes)

    def _set(self, uuid, **changes) -> None:
        self.states[uuid] = replace(self.node(uuid), **changes)

    def edit(self, uuid, changes, *, undoable=True) -> None:
        self._set(uuid, form=replace(self.node(uuid).form, **changes))

    def remember(self, uuid, takes: TakeList) -> None:
        chosen = self.node(uuid).chosen
        keep = chosen if chosen is not None and takes.get(chosen) else None
        self._set(uuid, takes=takes, chosen=keep)

    def set_job(self, uuid, job_id) -> None:
        self._set(uuid, job_id=job_id)

    def show_take(self, uuid, take, *, undoable) -> None:
        number = None if take is None else take.number
        self._set(uuid, chosen=number)
        self.shown.append((number, undoable))

    def reload_take(self, uuid) -> None:
        self.node(uuid)
        self.reloads += 1

    def say(self, uuid, text, *, is_error=False) -> None:
        self.node(uuid)
        self.said[uuid].append((text, is_error))

    def offer_engines(self, uuid, engines) -> None:
        self.node(uuid)
        self.offered = tuple(engine.id for engine in engines)

    def _spool(self, uuid, what, pattern, frame) -> None:
        self.node(uuid)
        path = Path(path_at(pattern, frame))
        if path.parent.is_dir():
            path.write_bytes(b"pixels")
        self.spooled.append((what, frame))
        if self.on_spool:
            self.on_spool(what, frame)

    def spool_plate(self, uuid, path_pattern, frame) -> None:
        self._spool(uuid, "plate", path_pattern, frame)

    def spool_matte(self, uuid, path_pattern, frame) -> None:
        self._spool(uuid, "matte", path_pattern, frame)

    def spool_input(self, uuid, role, path_pattern, frame) -> None:
        self._spool(uuid, role.value, path_pattern, frame)


class FakeFolders:
    """Spool folders in memory."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.discarded: list[str] = []
        self.swept: list[tuple[str, float, frozenset[str]]] = []
        self.full = False

    def create(self, parent, name) -> str:
        if self.full:
            raise OutputNotWritable("The folder cannot be made.", hint="Make room.")
        self.made.append(f"{parent}/{name}_{len(self.made)}")
        return self.made[-1]

    def discard(self, folder) -> None:
        if folder in self.made:
            self.discarded.append(folder)

    def sweep(self, parent, *, older_than_s, in_use) -> None:
        self.swept.append((parent, older_than_s, frozenset(in_use)))


class FakeFiles:
    """Takes of which every frame is on disk, but for those in ``gone``."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.summaries: dict[str, str] = {}

    def has(self, path) -> bool:
        return path not in self.gone

    def summary(self, recipe_path) -> str:
        return self.summaries.get(recipe_path, "")


class FakeFeed:
    """Events of one connection; ends where the backend went down."""

    def __init__(self, events) -> None:
        self._events = events
        self.closed = False

    def __iter__(self):
        return self._events

    def close(self) -> None:
        self.closed = True


class FakeModels:
    """The models of a backend: each look at the tasks moves those that run by one step.

    ``steps`` is how many looks a task takes; ``refuses`` keeps the next one from beginning.
    """

    def __init__(self) -> None:
        self.known = {"flux": ModelInfo("flux", "FLUX", ModelState.MISSING, can_pull=True)}
        self.work: list[ModelTask] = []
        self.asked_of_models = []
        self.steps = 3
        self.refuses = None
        self.breaks_with: ErrorReport | None = None
        self._moved: dict[str, int] = {}

    def _require_up(self) -> None:
        """Raise when nothing answers."""

    def models(self) -> ModelList:
        self._require_up()
        return ModelList(tuple(self.known.values()), ("/models",))

    def model_tasks(self) -> ModelTaskList:
        self._require_up()
        self.work = [self._step(task) for task in self.work]
        return ModelTaskList(tuple(reversed(self.work)))

    def forget_tasks(self) -> None:
        """As a backend that is restarted does."""
        self.work.clear()

    def pull_model(self, model_id, request) -> ModelTask:
        return self._work_on(ModelVerb.PULL, model_id, request)

    def add_model(self, request) -> ModelTask:
        return self._work_on(ModelVerb.ADD, Path(request.path).name, request)

    def verify_model(self, model_id, request) -> ModelTask:
        return self._work_on(ModelVerb.VERIFY, model_id, request)

    def remove_model(self, model_id, request) -> ModelTask:
        return self._work_on(ModelVerb.REMOVE, model_id, request)

    def cancel_model_task(self, task_id) -> ModelTask:
        self._require_up()
        at = next(i for i, task in enumerate(self.work) if task.id == task_id)
        self.work[at] = replace(self.work[at], state=JobState.CANCELLING)
        return self.work[at]

    def _work_on(self, verb, model_id, request) -> ModelTask:
        self._require_up()
        if self.refuses is not None:
            error, self.refuses = self.refuses, None
            raise error
        self.asked_of_models.append((verb, model_id, request))
        task = ModelTask(f"t{len(self._moved)}", model_id, verb, JobState.RUNNING, 1.0)
        self._moved[task.id] = 0
        self.work.append(task)
        return task

    def _step(self, task) -> ModelTask:
        if task.state.is_final:
            return task
        if task.state is JobState.CANCELLING:
            return replace(task, state=JobState.CANCELLED)
        self._moved[task.id] += 1
        done = self._moved[task.id] / self.steps
        if done < 1:
            return replace(task, progress=Progress("Fetching", done))
        if self.breaks_with:
            return replace(task, state=JobState.FAILED, error=self.breaks_with)
        if task.verb is ModelVerb.REMOVE:
            self.known.pop(task.model_id, None)
        elif task.verb is not ModelVerb.VERIFY:
            self.known[task.model_id] = ModelInfo(
                task.model_id, task.model_id.upper(), ModelState.INSTALLED
            )
        return replace(task, state=JobState.DONE, message="Installed.")


class FakeBackend(FakeModels):
    """A backend that fills what it is given, one event at a time, and can go down.

    ``down_after`` ends the connection after so many events; ``frames_fail`` makes jobs fail
    with that report. Jobs outlive a restart unless ``forgets``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.up = True
        self.down_after: int | None = None
        self.stays_down = False
        self.fails_with: ErrorReport | None = None
        self.requests = []
        self.keys: dict[str, str] = {}
        self.events_of: dict[str, list[JobEvent]] = {}
        self.jobs: dict[str, Job] = {}
        self.hides_jobs = False
        self.told: dict[str, int] = {}
        self.cancelled: list[str] = []
        self.engine_list = EngineList((CLEANPLATE, PAINTER, MISSING), "cleanplate")
        self.roots: tuple[str, ...] = ()
        self.submit_times_out = 0
        self.on_event = None
        self._versions = itertools.count(1)
        self.pictures_asked = []

    def _require_up(self) -> None:
        if not self.up:
            raise BackendUnreachable("Nothing answers.", hint="Start it.")

    def hello(self) -> Hello:
        self._require_up()
        return Hello("1.0", "0.1.0", "server", 1, self.roots)

    def engines(self) -> EngineList:
        self._require_up()
        return self.engine_list

    def submit(self, request, *, key) -> Job:
        self._require_up()
        if key not in self.keys:
            self.keys[key] = f"job{len(self.jobs) + 1}"
            self.requests.append(request)
            self._begin(self.keys[key], request)
        if self.submit_times_out:
            self.submit_times_out -= 1
            raise BackendTimeout("It took too long.", hint="Try again.")
        return self.jobs[self.keys[key]]

    def _begin(self, job_id, request) -> None:
        takes = []
        for index in range(request.takes):
            version = next(self._versions)
            stem = f"{request.output.directory}/{request.output.name}_v{version:03d}"
            takes.append(
                Take(
                    job_id,
                    index,
                    version,
                    request.seed + index,
                    f"{stem}/{request.output.name}_v{version:03d}.%04d.exr",
                    f"{stem}.json",
                    request.frame_range,
                )
            )
        self.jobs[job_id] = Job(job_id, JobState.QUEUED, request, tuple(takes), 1.0)
        self.told[job_id] = 0
        self.events_of[job_id] = list(self._story(self.jobs[job_id]))

    def _story(self, job):
        ids = itertools.count(1)

        def event(kind, state, **more):
            return JobEvent(next(ids), job.id, kind, 1.0, state, **more)

        yield event(EventKind.STATE, JobState.RUNNING)
        yield event(EventKind.LOG, JobState.RUNNING, message="loading")
        total = len(job.takes) * len(job.request.frame_range)
        done = 0
        for take in job.takes:
            for frame in take.frame_range:
                done += 1
                yield event(
                    EventKind.PROGRESS,
                    JobState.RUNNING,
                    progress=Progress("Filling", done / total, float(total - done)),
                )
                yield event(
                    EventKind.FRAME,
                    JobState.RUNNING,
                    progress=Progress("Filling", done / total, float(total - done)),
                    frame=FrameDone(take.index, frame, path_at(take.path_pattern, frame)),
                )
        final = JobState.FAILED if self.fails_with else JobState.DONE
        yield event(EventKind.STATE, final, error=self.fails_with)

    def _tell(self, event) -> None:
        job = self.jobs[event.job_id]
        takes = list(job.takes)
        if event.frame:
            take = takes[event.frame.take_index]
            takes[event.frame.take_index] = replace(
                take, frames_done=(*take.frames_done, event.frame.frame)
            )
        self.jobs[event.job_id] = replace(
            job,
            state=event.state,
            takes=tuple(takes),
            progress=event.progress,
            error=event.error,
            last_event_id=event.id,
        )
        self.told[event.job_id] = event.id

    def job(self, job_id) -> Job:
        self._require_up()
        if job_id not in self.jobs:
            raise JobNotFound(f"There is no job {job_id}.", hint="It was forgotten.")
        return self.jobs[job_id]

    def recent_jobs(self) -> JobList:
        self._require_up()
        if self.hides_jobs:
            raise BackendTimeout("It took too long.", hint="Try again.")
        return JobList(tuple(reversed(self.jobs.values())))

    def cancel(self, job_id) -> Job:
        job = self.job(job_id)
        self.cancelled.append(job_id)
        told = self.told[job_id]
        end = JobEvent(told + 1, job_id, EventKind.STATE, 1.0, JobState.CANCELLED)
        self.events_of[job_id] = [*self.events_of[job_id][:told], end]
        return job

    def events(self, job_id, *, after) -> FakeFeed:
        self.job(job_id)
        return FakeFeed(self._play(job_id, after))

    def _play(self, job_id, after):
        position = after
        while self.up and position < len(self.events_of[job_id]):
            event = self.events_of[job_id][position]
            position += 1
            if event.id > self.told[job_id]:
                self._tell(event)
            yield event
            yield None
            if self.on_event:
                self.on_event(event)
            if self.down_after is not None and position >= self.down_after:
                self.down_after = None
                self.up = not self.stays_down and self.up
                return

    def thumbnail(self, job_id, index, *, frame, width) -> bytes:
        self.job(job_id)
        self.pictures_asked.append((job_id, index, frame))
        return b"\x89PNG" + bytes([index])


class FakeFinder:
    """Finds the backend."""

    def __init__(self, backend) -> None:
        self.backend = backend

    def find(self):
        return self.backend


class FakeProcess:
    """Starts the backend after a while, or fails as told."""

    def __init__(self, backend, clock, *, needs_s=1.0) -> None:
        self.backend = backend
        self.clock = clock
        self.needs_s = needs_s
        self.starts = 0
        self.reason: str | None = None
        self._up_at: float | None = None
        clock.on_sleep.append(self._tick)

    def start(self) -> None:
        self.starts += 1
        self._up_at = self.clock.now() + self.needs_s

    def _tick(self) -> None:
        if self._up_at is not None and self.clock.now() >= self._up_at and not self.reason:
            self.backend.up, self._up_at = True, None

    def failure(self) -> str | None:
        return self.reason


class FakeBrowser:
    """Remembers which folders were shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def reveal(self, path) -> None:
        self.shown.append(path)
