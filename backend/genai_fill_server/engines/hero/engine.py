"""The hero-frame engine: an image engine's frames, carried by the clean plate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from genai_fill_contract.engine import EngineDescription
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.engines.hero.description import HeroOptions, describe
from genai_fill_server.service.ports import Engine, EngineFrame, EngineJob, Shot, Watch

if TYPE_CHECKING:
    from genai_fill_server.engines.hero.making import Maker

_MAKING_SHARE = 0.5


class HeroEngine:
    """Fills a whole shot with a model for single pictures. ``threads`` 0 uses every core.

    The model is loaded when the first hero is generated, so that a shot whose heroes are all
    given needs none of the device's memory.
    """

    def __init__(self, image: Engine, threads: int = 0) -> None:
        self._image = image
        self.threads = threads if threads > 0 else (os.cpu_count() or 1)
        self._description = describe(image.description)

    @property
    def description(self) -> EngineDescription:
        """What it is and which options it has: the image engine's and its own."""
        return self._description

    def prepare(self, watch: Watch) -> None:
        """Load the compiled kernels of carrying (seconds the first time on a machine)."""
        watch.progress("Loading what carries frames", 0, 1)
        from genai_fill_server.engines.cleanplate import run

        run.warm_up()
        watch.progress("Loading what carries frames", 1, 1)

    def release(self) -> None:
        """Give the image engine's memory back."""
        self._image.release()

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take not yet done, take by take.

        Pixels outside the matte are the plate's own. Raises `InvalidOption`, and whatever the
        image engine raises.
        """
        from genai_fill_server.engines.cleanplate.borrowing import Borrower
        from genai_fill_server.engines.cleanplate.outfit import on_cpu
        from genai_fill_server.engines.hero.keeping import HeroStore
        from genai_fill_server.engines.hero.making import Maker

        options = HeroOptions.of(job.options)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="hero") as threads:
            like = Borrower(shot, on_cpu(options.carrying), watch, threads)
            store = HeroStore(job.scratch_dir)
            maker = Maker(shot, self._image, job, options, store, threads, like)
            for take_index in range(len(job.seeds)):
                done = job.done[take_index] if take_index < len(job.done) else frozenset()
                todo = [frame for frame in shot.frames if frame not in done]
                if todo:
                    yield from self._take(maker, take_index, todo, watch)
        watch.progress("Done", 1, 1)

    def _take(
        self, maker: Maker, take_index: int, todo: list[int], watch: Watch
    ) -> Iterator[EngineFrame]:
        from genai_fill_server.engines.cleanplate.run import ShotRun
        from genai_fill_server.engines.cleanplate.tally import Tally
        from genai_fill_server.engines.hero.shots import HeroShot

        shot, like = maker.shot, maker.like
        takes = len(maker.job.seeds)
        begin, share = take_index / takes, _MAKING_SHARE / takes
        heroes = maker.heroes(take_index, watch, begin, share)
        given = filter(like.patches.holds, like.patches.frames)
        self._tell({"given": given, "generated": heroes}, take_index, watch)
        seeds = (maker.job.seeds[take_index],)
        with_heroes = HeroShot(shot, heroes)
        count = len(shot.frames)
        tally = Tally(maker.job.scratch_dir, f"hero_{take_index}")
        with ShotRun(with_heroes, like.kit, seeds, watch, self.threads, like, tally) as run:
            for frame in todo:
                number = frame - shot.frames.first
                along = begin + share + (1.0 / takes - share) * number / count
                watch.progress(f"Carrying frame {number + 1} of {count}", along, 1)
                for _, pixels, layers in run.frame(frame, (0,)):
                    yield EngineFrame(
                        take_index, frame, shot.window(frame), np.ascontiguousarray(pixels), layers
                    )
            facts = {"generated": sorted(heroes), **run.report()}
        watch.note(f"hero_frames_take_{take_index + 1}", facts)

    def _tell(self, heroes: Mapping[str, Iterable[int]], take_index: int, watch: Watch) -> None:
        for how, frames in heroes.items():
            names = spell_frames(frames)
            if names:
                watch.log(f"Take {take_index + 1}: hero frames {how}: {names}.")
