"""The clean-plate engine: the port's face of borrowing and inventing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genai_fill_contract.engine import EngineDescription
from genai_fill_server.engines.cleanplate.description import DESCRIPTION, CleanPlateOptions
from genai_fill_server.service.ports import EngineFrame, EngineJob, Shot, Watch

if TYPE_CHECKING:
    from genai_fill_server.engines.cleanplate.run import ShotRun


class CleanPlateEngine:
    """Fills a shot from its own frames. ``threads`` 0 uses every core.

    ``device`` is the worker's, as ``models.device`` names it; ``model_dirs`` are searched for
    RAFT's weights. OpenCV and numba are imported in `prepare`, so that describing the engine
    is cheap.
    """

    def __init__(
        self, threads: int = 0, device: str = "auto", model_dirs: Sequence[str] = ()
    ) -> None:
        self._device, self._model_dirs = device, tuple(model_dirs)
        self._threads = threads if threads > 0 else (os.cpu_count() or 1)

    @property
    def description(self) -> EngineDescription:
        """The engine's description; its options are those of `CleanPlateOptions`."""
        return DESCRIPTION

    def prepare(self, watch: Watch) -> None:
        """Import and load compiled kernels (seconds the first time on a machine)."""
        watch.progress("Preparing the clean plate", 0, 1)
        from genai_fill_server.engines.cleanplate import run

        run.warm_up()
        watch.progress("Preparing the clean plate", 1, 1)

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take not yet done, frame by frame.

        Pixels outside the matte are the plate's own. Raises `InvalidOption`, also for a
        device that is not there, and what loading RAFT raises where it was asked for.
        """
        from genai_fill_server.engines.cleanplate.outfit import Workplace, outfit
        from genai_fill_server.engines.cleanplate.run import ShotRun
        from genai_fill_server.engines.cleanplate.tally import Tally

        workplace = Workplace(self._device, self._model_dirs)
        kit = outfit(CleanPlateOptions.of(job.options), workplace, watch)
        try:
            tally = Tally(job.scratch_dir)
            with ShotRun(shot, kit, job.seeds, watch, self._threads, tally=tally) as run:
                yield from self._frames(run, shot, job, watch)
        finally:
            kit.release()

    def _frames(
        self, run: ShotRun, shot: Shot, job: EngineJob, watch: Watch
    ) -> Iterator[EngineFrame]:
        total = len(shot.frames)
        for number, frame in enumerate(shot.frames):
            watch.progress(f"Filling frame {number + 1} of {total}", number, total)
            takes = [
                take
                for take in range(len(job.seeds))
                if take >= len(job.done) or frame not in job.done[take]
            ]
            for take, pixels, layers in run.frame(frame, takes):
                yield EngineFrame(
                    take, frame, shot.window(frame), np.ascontiguousarray(pixels), layers
                )
        watch.note("cleanplate", run.report())
        watch.progress("Filling", total, total)

    def release(self) -> None:
        """Nothing is held between jobs."""
