"""Run one fill: the complete way of a frame, from the plate on disk to the take on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence

from genai_fill_contract.errors import DiskFull, GenAIFillError, GenerationFailed, OutOfMemory
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.job import FrameDone
from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.domain.recipe import TakeRecord, build_recipe, digital_source_type
from genai_fill_server.service.allocate_takes import FULL_DISK
from genai_fill_server.service.check_request import CheckedRequest, check_request
from genai_fill_server.service.finish_frame import FinishedFrame, FrameFinisher
from genai_fill_server.service.frame_line import FrameLine
from genai_fill_server.service.frame_ports import FramePorts, JobWatch
from genai_fill_server.service.job_progress import JobProgress
from genai_fill_server.service.ports import (
    Engine,
    EngineFrame,
    EngineJob,
    FillCancelled,
    FillInterrupted,
)
from genai_fill_server.service.scratch_folder import scratch_folder
from genai_fill_server.service.shot_view import ShotView

_LOG = logging.getLogger(__name__)


def run_fill(
    request: FillRequest,
    engine: Engine,
    takes: Sequence[Take],
    ports: FramePorts,
    watch: JobWatch,
) -> None:
    """Fill every frame of every take that is not on disk yet.

    ``takes`` come from `allocate_takes`; on resuming, pass the same ones. Returns when all
    frames are complete; each was told by ``watch.frame_done``, from a thread of its own while the
    engine makes the next (never by two threads at once). Raises `FillCancelled` when
    cancelled, `FillInterrupted` when the server is gone, and a `GenAIFillError` on failure;
    finished frames stay either way, and each take's recipe says how far it came. Memory does
    not grow with the length of the shot.
    """
    progress = JobProgress(watch, len(takes) * len(request.frame_range))
    progress.begin_checking()
    checked = check_request(request, engine.description, takes, ports, watch)
    watch.crop_known(checked.crops[request.frame_range.first])
    _FillRun(checked, engine, takes, ports, progress).run()


class _FillRun:
    """One run of one checked job."""

    def __init__(
        self,
        checked: CheckedRequest,
        engine: Engine,
        takes: Sequence[Take],
        ports: FramePorts,
        progress: JobProgress,
    ) -> None:
        self._checked = checked
        self._engine = engine
        self._ports = ports
        self._progress = progress
        self._view = ShotView(checked, engine.description.domain)
        self._finisher = FrameFinisher(checked, self._view, engine.description)
        self._records = [TakeRecord(take, checked.crops) for take in takes]
        self._started_s = time.time()
        self._prepare_s = 0.0

    def run(self) -> None:
        """Do the job; write the recipes whatever comes of it."""
        try:
            self._find_finished()
            self._pass_empty_frames()
            if any(self._open_frames(record) for record in self._records):
                self._generate()
        except FillInterrupted:
            self._write_recipes_if_possible("interrupted")
            raise
        except FillCancelled:
            self._write_recipes_if_possible("cancelled")
            raise
        except GenAIFillError as error:
            self._write_recipes_if_possible(f"failed: {error.code.value}")
            raise
        self._write_recipes("done")
        self._progress.finish()

    def _find_finished(self) -> None:
        """Tell and skip the frames that an earlier run of this job left complete."""
        for record in self._records:
            for frame in self._view.frames:
                self._progress.check()
                path = path_at(record.take.path_pattern, frame)
                labels = self._finisher.labels(record.take, frame)
                if self._ports.takes.is_complete(path, self._checked.crops[frame], labels):
                    self._mark_done(record, frame, path)

    def _pass_empty_frames(self) -> None:
        """Write the plate itself where there is nothing to fill: no engine is needed there."""
        for frame in sorted(self._checked.empty_frames):
            for record in self._records:
                if frame not in record.frames_done:
                    self._progress.check()
                    self._write(record, frame, self._finisher.pass_through(record.take, frame))

    def _generate(self) -> None:
        self._progress.begin_preparing()
        began_s = time.perf_counter()
        with _EngineFaults(self._engine, "while it was prepared"):
            self._engine.prepare(self._progress)
        self._prepare_s = time.perf_counter() - began_s
        self._progress.begin_filling()
        with (
            scratch_folder([record.take for record in self._records]) as scratch,
            FrameLine(self._finish) as line,
        ):
            self._progress.also_check(line.check)
            for made in self._made_frames(scratch):
                self._take_in(made, line)
        for record in self._records:
            if missing := self._open_frames(record):
                raise GenerationFailed(
                    f"The engine {self._engine.description.label!r} made no frames "
                    f"{spell_frames(missing)} of take {record.take.index + 1}.",
                    hint="Run the job again; the finished frames are kept.",
                    engine=self._engine.description.id,
                )

    def _made_frames(self, scratch: str) -> Iterator[EngineFrame]:
        """Yield what the engine makes, its failures turned into the tree's."""
        job = EngineJob(
            seeds=tuple(record.take.seed for record in self._records),
            prompt=self._checked.request.prompt,
            negative_prompt=self._checked.request.negative_prompt,
            options=self._checked.options,
            done=tuple(frozenset(record.frames_done) for record in self._records),
            scratch_dir=scratch,
        )
        with _EngineFaults(self._engine, "before its first frame"):
            frames = iter(self._engine.fill(self._view, job, self._progress))
        where = "before its first frame"
        try:
            while True:
                self._progress.check()
                with _EngineFaults(self._engine, where):
                    made = next(frames, None)
                if made is None:
                    return
                where = f"after frame {made.frame} of take {made.take_index + 1}"
                yield made
        finally:
            if isinstance(frames, Generator):
                frames.close()  # a cancelled engine lets go of its memory now, not some day

    def _take_in(self, made: EngineFrame, line: FrameLine) -> None:
        if not 0 <= made.take_index < len(self._records) or made.frame not in self._view.frames:
            raise GenerationFailed(
                f"The engine {self._engine.description.label!r} made frame {made.frame} of take "
                f"{made.take_index + 1}, which nobody asked for.",
                hint="Choose another engine, or report this to whoever made it.",
                frame=made.frame,
            )
        line.put(made)

    def _finish(self, made: EngineFrame) -> None:
        """Bring a made frame to disk. Called by the line's thread, one frame at a time."""
        record = self._records[made.take_index]
        if made.frame not in record.frames_done:
            began_s = time.perf_counter()
            finished = self._finisher.finish(record.take, made)
            self._write(record, made.frame, finished)
            record.frame_seconds[made.frame] = time.perf_counter() - began_s

    def _write(self, record: TakeRecord, frame: int, finished: FinishedFrame) -> None:
        path = path_at(record.take.path_pattern, frame)
        self._ports.takes.write_frame(path, finished.frame)
        if finished.replaced_pixels:
            record.replaced_pixels[frame] = finished.replaced_pixels
            self._progress.log(
                f"Frame {frame} of take {record.take.index + 1}: {finished.replaced_pixels} "
                "pixels of the fill were not numbers; the plate is kept there."
            )
        self._mark_done(record, frame, path)

    def _mark_done(self, record: TakeRecord, frame: int, path: str) -> None:
        record.frames_done.add(frame)
        self._progress.frame_done(FrameDone(record.take.index, frame, path))

    def _open_frames(self, record: TakeRecord) -> list[int]:
        return [frame for frame in self._view.frames if frame not in record.frames_done]

    def _write_recipes(self, state: str) -> None:
        facts = {
            "state": state,
            "digital_source_type": digital_source_type(
                self._engine.description, self._checked.from_generated
            ),
            "started_s": round(self._started_s, 3),
            "finished_s": round(time.time(), 3),
            "prepare_s": round(self._prepare_s, 3),
            "colour": dict(self._checked.colour.describe()),
            "passed_through": sorted(self._checked.empty_frames),
            "notes": self._progress.notes,
            "library_versions": dict(self._ports.library_versions),
        }
        for record in self._records:
            recipe = build_recipe(
                self._checked.request,
                self._engine.description,
                self._checked.options,
                record,
                facts,
            )
            self._ports.takes.write_recipe(record.take.recipe_path, recipe)

    def _write_recipes_if_possible(self, state: str) -> None:
        """Write the recipes on the way out, without hiding why it is the way out."""
        try:
            self._write_recipes(state)
        except GenAIFillError as error:
            _LOG.warning("the recipes could not be written: %s", error)


class _EngineFaults:
    """Turns what an engine raises into the error tree: the boundary to other people's code."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if error is None or isinstance(error, GenAIFillError) or not isinstance(error, Exception):
            return
        description = self._engine.description
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise DiskFull(
                f"The engine {description.label!r} ran out of disk space {self._where}.",
                hint="Free some space on the disk of the takes and on that of the temporary "
                "folder, and run the job again; the finished frames are kept.",
                engine=description.id,
            ) from error
        if isinstance(error, MemoryError):
            raise OutOfMemory(
                f"The engine {description.label!r} ran out of memory {self._where}.",
                hint="Use a smaller crop or fewer frames, or close other programs.",
                engine=description.id,
            ) from error
        _LOG.error("engine %s failed %s", description.id, self._where, exc_info=error)
        raise GenerationFailed(
            f"The engine {description.label!r} failed {self._where}: "
            f"{type(error).__name__}: {error}.",
            hint="Run the job again; the finished frames are kept. The log has the details.",
            engine=description.id,
        ) from error
