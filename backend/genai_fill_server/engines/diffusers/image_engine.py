"""Image models: every frame on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from genai_fill_contract.errors import OutOfMemory
from genai_fill_server.engines.diffusers.ahead import in_turn, one_ahead
from genai_fill_server.engines.diffusers.model_engine import Loaded, ModelEngine, Prompt
from genai_fill_server.engines.diffusers.options import (
    TAKES_AT_ONCE,
    Options,
    call_seed,
    check_steps,
)
from genai_fill_server.engines.diffusers.painting import Call, Painter, Scene, is_gone_over
from genai_fill_server.engines.diffusers.picture import fit_crop
from genai_fill_server.engines.diffusers.room import CallSize
from genai_fill_server.engines.diffusers.shot_inputs import control_at, reference_at
from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.engines.diffusers.takes_at_once import TakesAtOnce, Unit, fitting
from genai_fill_server.service.ports import EngineFrame, EngineJob, FloatImage, Shot, Watch


@dataclass(frozen=True)
class _Work:
    """One fill at work: the loaded model, the prompt, what was asked."""

    loaded: Loaded
    prompt: Prompt
    job: EngineJob
    together: TakesAtOnce
    pictures: int


class ImageEngine(ModelEngine):
    """Fills frame by frame. Frames of a range do not know each other.

    A call makes a frame, of several takes where memory allows. On a GPU a frame is made while
    the one before is finished and written.
    """

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take that is not done, each take's in rising order.

        Frames with an empty matte are the plate, unchanged. Raises `OutOfMemory`,
        `GenerationFailed`, `InvalidOption`.
        """
        check_steps(job.options)
        size = self._call_size(shot)
        loaded = self._ready(job, size, watch)
        prompt = self._prompt(loaded, job, watch)
        self._note_size(shot, job.options, watch)
        together = self._takes_at_once(loaded, job, size)
        watch.note("takes_at_once", 1 if together.is_split else together.count)
        units = together.units(shot.frames, job)
        work = _Work(loaded, prompt, job, together, sum(len(unit.wanted) for unit in units))
        for unit, made in self._frames(work, shot, units, watch):
            for take in unit.wanted:
                yield EngineFrame(take, unit.frame, shot.window(unit.frame), made[take])

    def _frames(
        self, work: _Work, shot: Shot, units: list[Unit], watch: Watch
    ) -> Iterator[tuple[Unit, dict[int, FloatImage]]]:
        """Yield what is made of each unit; a frame ahead where the CPU is not what makes it."""
        from genai_fill_server.engines.diffusers.runtime import use_threads, works_beside

        def read(unit: Unit) -> Scene:
            roles = self._model.family.inputs
            return Scene(
                shot.plate(unit.frame),
                shot.matte(unit.frame),
                reference_at(shot, unit.frame, roles),
                control_at(shot, unit.frame, roles),
            )

        painters: list[Painter] = []  # one for the whole job: it paces the previews

        def make(unit: Unit, scene: Scene, told: Watch) -> dict[int, FloatImage]:
            if not painters:
                painters.append(self._painter(work, told))
            return self._made(work, painters[0], unit, scene)

        if works_beside(work.loaded.device):
            return one_ahead(units, read, make, watch, lambda: use_threads(self._threads))
        return in_turn(units, read, make, watch)

    def _painter(self, work: _Work, watch: Watch) -> Painter:
        previews = self._previews(work.loaded, watch)
        family, loaded = self._model.family, work.loaded
        return Painter(family, loaded, work.prompt, self._sizing(), watch, previews)

    def _made(
        self, work: _Work, painter: Painter, unit: Unit, scene: Scene
    ) -> dict[int, FloatImage]:
        """Return the frame of the takes of ``unit``; all in one call unless memory gives out."""
        from genai_fill_server.engines.diffusers.runtime import give_memory_back

        span = Span(unit.place, len(unit.wanted), work.pictures)
        if len(unit.takes) > 1 and not work.together.is_split:
            try:
                return self._called(work, painter, unit, unit.takes, scene, span)
            except OutOfMemory:
                work.together.split()
            painter.watch.log(
                f"There is no room for {len(unit.takes)} takes at once: they are made one by one."
            )
            painter.watch.note("takes_at_once", 1)
            give_memory_back(work.loaded.device)
        made: dict[int, FloatImage] = {}
        for take, part in zip(unit.wanted, span.split(len(unit.wanted)), strict=True):
            made |= self._called(work, painter, unit, (take,), scene, part)
        return made

    def _called(
        self,
        work: _Work,
        painter: Painter,
        unit: Unit,
        takes: tuple[int, ...],
        scene: Scene,
        span: Span,
    ) -> dict[int, FloatImage]:
        job = work.job
        seeds = tuple(call_seed(job.seeds[take], unit.frame, job.options) for take in takes)
        call = Call(seeds, job.options, span, (takes[0], unit.frame))
        with self._running(work.loaded, f"frame {unit.frame}", painter.watch):
            return dict(zip(takes, painter.filled(scene, call), strict=True))

    def _call_size(self, shot: Shot) -> CallSize:
        window = shot.window(shot.frames.first)
        height, width = fit_crop(window.height, window.width, self._sizing()).model
        return CallSize(height, width)

    def _takes_at_once(self, loaded: Loaded, job: EngineJob, size: CallSize) -> TakesAtOnce:
        from genai_fill_server.engines.diffusers.runtime import free_gb, give_memory_back

        wanted = int(job.options.get(TAKES_AT_ONCE, 1))
        if not wanted and loaded.is_whole and len(job.seeds) > 1:
            give_memory_back(loaded.device)  # what an earlier job left is as good as free
            room = free_gb(loaded.device)
            wanted = fitting(len(job.seeds), room, self._room_gb(size))
        kept_in = job.scratch_dir if len(job.seeds) > 1 else ""  # one take has no choice
        return TakesAtOnce(max(1, min(wanted, len(job.seeds))), kept_in)

    def _note_size(self, shot: Shot, options: Options, watch: Watch) -> None:
        window = shot.window(shot.frames.first)
        fit = fit_crop(window.height, window.width, self._sizing())
        watch.note("model_size_px", [fit.model[1], fit.model[0]])
        if not fit.is_resized:
            return
        goes_over = is_gone_over(fit, options)
        then = "then gone over at full size in tiles" if goes_over else "and resized back"
        watch.log(
            f"The crop of {window.width} × {window.height} px is filled at "
            f"{fit.model[1]} × {fit.model[0]} px, the size that the model is good at, {then}."
        )
