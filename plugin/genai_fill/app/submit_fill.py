"""Turn a node into a job: check it, write the plates, post the request."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from genai_fill.app.optional_inputs import (
    FillFrames,
    notes_on,
    reach_with_patches,
    require_files,
    want_inputs,
)
from genai_fill.app.ports import (
    Backend,
    Host,
    NodeInputs,
    NodeState,
    Person,
    ScriptState,
    SettingsSource,
    SpoolFolders,
    TakeFiles,
)
from genai_fill.app.spool_plates import Spooled, SpoolPlates
from genai_fill.app.start_backend import BackendConnection, Reached
from genai_fill.app.tidy_spool import tidy_spool
from genai_fill.app.watch import FillWatch, Stage
from genai_fill.domain.frame_ranges import resolve_range, source_range
from genai_fill.domain.heroes import HeroList
from genai_fill.domain.output_paths import PathFields, output_place
from genai_fill.domain.reachable import is_under
from genai_fill.domain.seeds import RandomBelow, seed_for_generate
from genai_fill_contract.engine import EngineDescription, EngineKind
from genai_fill_contract.errors import (
    BackendTimeout,
    InvalidRequest,
    ModelMissing,
    NodeGone,
    NotConnected,
    UnknownEngine,
)
from genai_fill_contract.fill import (
    CropMode,
    CropPolicy,
    FillRequest,
    MatteShaping,
    OutputPlace,
    Provenance,
)
from genai_fill_contract.hello import EngineList
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.plate import FrameRange, InputRole, MatteRef, PlateRef
from genai_fill_contract.settings import Settings


@dataclass(frozen=True)
class _Plan:
    """Everything known of a fill before a pixel is written."""

    node: NodeState
    script: ScriptState
    inputs: NodeInputs
    plate_range: FrameRange
    frames: FrameRange
    place: OutputPlace
    settings: Settings


class SubmitFill:
    """Posts a fill. For worker threads; also works on the main thread."""

    def __init__(
        self,
        host: Host,
        connection: BackendConnection,
        folders: SpoolFolders,
        files: TakeFiles,
        settings: SettingsSource,
        person: Person,
        random_below: RandomBelow,
        new_key: Callable[[], str],
    ) -> None:
        """``new_key`` returns a fresh idempotency key."""
        self._host = host
        self._connection = connection
        self._folders = folders
        self._files = files
        self._spool = SpoolPlates(host, folders)
        self._settings = settings
        self._person = person
        self._random_below = random_below
        self._new_key = new_key

    def __call__(self, uuid: str, watch: FillWatch) -> Job:
        """Return the job of a node's fill.

        The node, if it is still there, then holds the job's id and its takes. Raises
        `FillStopped` when cancelled and any `GenAIFillError`; then nothing was posted and
        nothing is left on disk.
        """
        plan = self._host.run_on_main(lambda: self._plan(uuid))
        reached = self._reach(watch)
        engine = _engine(reached.backend.engines(), plan)
        _check_form(plan, engine)
        spooled = self._write(uuid, plan, reached, engine, watch)
        try:
            seed = self._host.run_on_main(lambda: self._seed(uuid))
            job = self._post(reached.backend, self._request(plan, engine, spooled, seed), watch)
        except BaseException:
            self._folders.discard(spooled.folder)
            raise
        with suppress(NodeGone):  # too late to give up: the job is followed, and undo may come
            self._host.run_on_main(lambda: self._keep(uuid, job))
        if not plan.settings.spool.keep:
            tidy_spool(self._folders, reached.backend, _spool_parent(plan))
        return job

    def _plan(self, uuid: str) -> _Plan:
        node, script = self._host.node(uuid), self._host.script()
        inputs = self._host.inputs(uuid)
        if inputs.plate_range is None:
            raise NotConnected(
                f"The plate input of {node.name} is not connected.",
                hint="Connect the plate to the first input.",
            )
        if not inputs.matte_connected:
            raise NotConnected(
                f"The matte input of {node.name} is not connected.",
                hint="Connect a roto matte that is 1 where something new goes.",
            )
        _require_one_view(node, script, inputs)
        settings = self._settings.load()
        form = node.form
        return _Plan(
            node=node,
            script=script,
            inputs=inputs,
            plate_range=inputs.plate_range,
            frames=resolve_range(
                form.range_mode,
                current=script.current_frame,
                plate=inputs.plate_range,
                first=form.first,
                last=form.last,
            ),
            place=output_place(
                self._host.output_directory(uuid) or settings.output.directory,
                node.output_name or settings.output.name,
                PathFields(script.path, node.name, self._person.show, self._person.shot),
            ),
            settings=settings,
        )

    def _reach(self, watch: FillWatch) -> Reached:
        watch.report(Stage("Looking for the backend"))
        reached = self._connection.connect(
            start=True, on_start=lambda: watch.report(Stage("Starting the backend"))
        )
        watch.check()
        return reached

    def _write(
        self,
        uuid: str,
        plan: _Plan,
        reached: Reached,
        engine: EngineDescription,
        watch: FillWatch,
    ) -> Spooled:
        roots = reached.hello.allowed_roots
        plate, matte = plan.inputs.plate, plan.inputs.matte
        inputs = NodeInputs(
            plan.inputs.plate_range,
            plan.inputs.matte_connected,
            plate if plate and is_under(plate.path_pattern, roots) else None,
            matte if matte and is_under(matte.path_pattern, roots) else None,
        )
        heroes = plan.node.heroes if InputRole.PATCH in engine.inputs else HeroList()
        require_files(heroes, self._files)
        for note in notes_on(plan.inputs, heroes, engine):
            watch.log(note)
        given = (
            self._host.run_on_main(lambda: self._host.optional_inputs(uuid, engine.inputs))
            if engine.inputs
            else ()
        )
        frames = _frames_around(plan, engine)
        reach = reach_with_patches(frames, given, heroes)
        wanted = want_inputs(given, heroes, replace(frames, reach=reach), roots)
        return self._spool(uuid, inputs, reach, wanted, _spool_parent(plan), watch)

    def _seed(self, uuid: str) -> int:
        form = self._host.node(uuid).form
        seed = seed_for_generate(
            form.seed, locked=form.seed_locked, random_below=self._random_below
        )
        if seed != form.seed:
            self._host.edit(uuid, {"seed": seed}, undoable=False)
        return seed

    def _request(
        self, plan: _Plan, engine: EngineDescription, spooled: Spooled, seed: int
    ) -> FillRequest:
        form = plan.node.form
        colour = plan.script.colour
        return FillRequest(
            plate=PlateRef(
                spooled.plate.path_pattern,
                spooled.plate.frame_range,
                colorspace=colour.working_space,
                view=plan.inputs.view,
            ),
            matte=MatteRef(
                spooled.matte.path_pattern,
                spooled.matte.frame_range,
                channel=spooled.matte.channel,
                invert=plan.node.matte_invert,
                view=plan.inputs.view,
            ),
            frame_range=plan.frames,
            engine_id=engine.id,
            output=plan.place,
            prompt=form.prompt,
            negative_prompt=form.negative_prompt,
            seed=seed,
            takes=form.takes,
            engine_options=dict(form.engine_options),
            shaping=MatteShaping(form.grow_px, form.feather_px, form.blend_px),
            crop=CropPolicy(CropMode(form.crop_mode), form.context_px),
            colour=colour,
            provenance=Provenance(
                user=self._person.user,
                show=self._person.show,
                shot=self._person.shot,
                script=plan.script.path,
                node=plan.node.name,
                host=self._person.host,
            ),
            inputs=tuple(
                ref
                for one, pattern in spooled.inputs
                for ref in one.refs(pattern, colorspace=colour.working_space, view=plan.inputs.view)
            ),
        )

    def _post(self, backend: Backend, request: FillRequest, watch: FillWatch) -> Job:
        watch.check()
        watch.report(Stage("Handing over to the backend"))
        key = self._new_key()
        try:
            return backend.submit(request, key=key)
        except BackendTimeout:
            return backend.submit(request, key=key)  # the same key, so never a second job

    def _keep(self, uuid: str, job: Job) -> None:
        self._host.set_job(uuid, job.id)
        self._host.remember(uuid, self._host.node(uuid).takes.with_job(job))
        self._host.say(uuid, "Waiting to start" if job.state is JobState.QUEUED else "Filling")


def _require_one_view(node: NodeState, script: ScriptState, inputs: NodeInputs) -> None:
    if not inputs.needs_one_view:
        return
    names = " and ".join(inputs.needs_one_view)
    raise InvalidRequest(
        f"This script has the views {_listed(script.views)}, and {node.name} fills one picture "
        "at a time.",
        hint=f"Put OneView before its {names}, and JoinViews after it.",
    )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _frames_around(plan: _Plan, engine: EngineDescription) -> FillFrames:
    reach = plan.frames
    if engine.kind is EngineKind.SHOT:
        reach = source_range(plan.frames, plan.plate_range)
    return FillFrames(plan.frames, reach, plan.plate_range, plan.script.current_frame)


def _spool_parent(plan: _Plan) -> str:
    return plan.settings.spool.dir.replace("\\", "/") or posixpath.join(
        plan.place.directory, "spool"
    )


def _engine(engines: EngineList, plan: _Plan) -> EngineDescription:
    wanted = plan.node.form.engine_id or engines.default_engine_id
    found = next((engine for engine in engines.engines if engine.id == wanted), None)
    if found is None:
        raise UnknownEngine(
            f"The backend has no engine {wanted!r}.",
            hint=f"It has: {', '.join(e.id for e in engines.engines) or 'none'}.",
            engine=wanted,
        )
    if not found.available:
        raise ModelMissing(
            f"The engine {found.label!r} cannot be used.",
            hint=found.unavailable_reason or "Choose another engine.",
            engine=wanted,
        )
    return found


def _check_form(plan: _Plan, engine: EngineDescription) -> None:
    """Raise what the backend would, before minutes go into writing plates."""
    form = plan.node.form
    engine.resolve(form.engine_options)
    if engine.needs_prompt and not form.prompt.strip():
        raise InvalidRequest(
            f"{plan.node.name} has no prompt, and the engine {engine.label!r} needs one.",
            hint="Describe what should be in the matte.",
        )
    MatteShaping(form.grow_px, form.feather_px, form.blend_px)
    CropPolicy(CropMode(form.crop_mode), form.context_px)
