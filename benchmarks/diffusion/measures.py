"""The measures: bare call, engine, whole way, whole frame, second take, memory.

One run, one process, one pipeline for all of them, so that ratios compare like with like:
the bare call runs with the same weights, embeddings, steps, precision and torch settings.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.diffusion.models import BenchModel, Size, build, parameters
from benchmarks.diffusion.shots import Files, Waiting, in_memory
from benchmarks.diffusion.timing import (
    REST,
    Stopwatch,
    TimedEngine,
    forget_peaks,
    peaks_gb,
    seconds,
    timed_ports,
    timed_steps,
)
from genai_fill_contract.engine import EngineKind
from genai_fill_contract.plate import Window
from genai_fill_server.engines.diffusers import loading, model_engine, runtime
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.describing import describe
from genai_fill_server.engines.diffusers.families import FAMILIES
from genai_fill_server.engines.diffusers.folder import ModelFolder
from genai_fill_server.engines.diffusers.image_engine import ImageEngine
from genai_fill_server.engines.diffusers.model_engine import Model
from genai_fill_server.engines.diffusers.options import TAKES_AT_ONCE
from genai_fill_server.engines.diffusers.picture import fit_crop
from genai_fill_server.engines.diffusers.runtime import make_reproducible, working_dtype
from genai_fill_server.engines.diffusers.tensors import clip_of, picture_of
from genai_fill_server.engines.diffusers.video_engine import VideoEngine
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.ports import EngineJob
from genai_fill_server.service.run_fill import run_fill
from tests.fakes.array_shot import QuietWatch

_LEAST_WINDOW = 5
TAKES = 4
"""How many takes are made in one call where that is measured."""
PROMPT = "an old brick wall in soft evening light"


@dataclass(frozen=True)
class Setup:
    """What a run measures: sizes (width, height) in pixels; 0 means the model's own choice."""

    device: torch.device
    size: Size
    plate: tuple[int, int] = (4096, 2160)
    whole: tuple[int, int] = (4096, 2160)
    steps: int = 0
    frames: int = 0
    rounds: int = 3
    threads: int = 0
    cpu_seconds: bool = False
    """Whether the process's own time is measured, whatever else the machine does."""


@dataclass
class Result:
    """What was measured of one model; seconds are a frame's unless their name says otherwise."""

    model: BenchModel
    steps: int
    frames: int
    precision: str
    parameters: dict[str, int]
    crop: tuple[int, int] = (0, 0)
    worked_at: tuple[int, int] = (0, 0)
    bare_s: list[float] = field(default_factory=list)
    engine_s: list[float] = field(default_factory=list)
    fill_s: list[float] = field(default_factory=list)
    breakdown_s: dict[str, float] = field(default_factory=dict)
    whole_px: tuple[int, int] = (0, 0)
    whole_s: float = 0.0
    whole_is: str = ""
    part_crop: tuple[int, int] = (0, 0)
    part_s: float = 0.0
    part_plain_s: float = 0.0
    first_take_s: float = 0.0
    second_take_s: float = 0.0
    singly_s: float = 0.0
    together_s: float = 0.0
    bare_peaks_gb: tuple[float, float] = (0.0, 0.0)
    fill_peaks_gb: tuple[float, float] = (0.0, 0.0)

    @property
    def engine_ratio(self) -> float:
        """`Engine.fill` over the bare call, the median of the rounds."""
        return _ratio(self.engine_s, self.bare_s)

    @property
    def fill_ratio(self) -> float:
        """The whole way from EXR to EXR over the bare call, the median of the rounds."""
        return _ratio(self.fill_s, self.bare_s)

    @property
    def beside_s(self) -> float:
        """What a frame costs beside the bare call, the median of the rounds."""
        pairs = zip(self.fill_s, self.bare_s, strict=True)
        return statistics.median(ours - bare for ours, bare in pairs)


def _ratio(ours: list[float], bare: list[float]) -> float:
    # Round by round: what else the machine does changes more between rounds than within one.
    return statistics.median(o / b for o, b in zip(ours, bare, strict=True))


def measure(model: BenchModel, setup: Setup) -> Result:
    """Return all measures of ``model``."""
    make_reproducible(setup.threads)
    bench = Bench(model, setup)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = bench.files(folder / "plate", setup.plate)
        bench.overhead(files)
        bench.takes(files)
        apart = setup.whole != setup.plate
        bench.whole(bench.files(folder / "whole", setup.whole) if apart else files)
    return bench.result


class Bench:
    """One model at work, loaded once."""

    def __init__(self, model: BenchModel, setup: Setup) -> None:
        family = next(family for family in FAMILIES if family.name == model.family)
        dtype = working_dtype(setup.device, family.working_dtype)
        pipe = build(model, setup.size, family, setup.device, dtype)
        card = ModelCard(
            id=model.name,
            label=model.name,
            family=family.name,
            native_px=model.native_px[setup.size],
            distilled=model.distilled,
        )
        description = describe(f"diffusers:{model.name}", family, card)
        folder = ModelFolder(Path(model.name), model.name, (), family.pipeline, {})
        engine = VideoEngine if family.kind is EngineKind.VIDEO else ImageEngine
        self.family, self.pipe, self.device, self.rounds = family, pipe, setup.device, setup.rounds
        self.card, self.is_video = card, family.kind is EngineKind.VIDEO
        self.engine = engine(
            Model(folder, family, card), description, device=str(setup.device), threads=0
        )
        with (
            _in_place_of(loading, "load_pipeline", lambda *_: self._adapted()),
            _in_place_of(model_engine, "fingerprint", lambda _: "random weights"),
        ):
            self.engine.prepare(QuietWatch())
        options = {option.name: option.default for option in description.options}
        frames = setup.frames or model.frames[setup.device.type != "cuda"]
        if setup.steps:
            options["steps"] = setup.steps
        if self.is_video:
            frames = max(frames, _LEAST_WINDOW)
            options["window_frames"] = frames
        self.options = options
        self._clock = time.process_time if setup.cpu_seconds else time.perf_counter
        self.result = Result(
            model, int(options["steps"]), frames, str(dtype).split(".")[1], parameters(pipe)
        )

    def _adapted(self) -> Any:
        """Return the pipeline as loading leaves it, and keep its way to encode."""
        loading.keep_vae_in_float32(self.pipe.vae)
        self.family.adapt(self.pipe)
        self._encode = self.pipe.vae.encode
        return self.pipe

    def files(self, folder: Path, size: tuple[int, int]) -> Files:
        """Return a shot of that size, written."""
        folder.mkdir()
        files = Files(folder, *size, self.result.frames)
        files.write()
        return files

    def fill(
        self,
        files: Files,
        options: dict[str, Any],
        *,
        prompt: str = PROMPT,
        seed: int = 1,
        stopwatch: Stopwatch | None = None,
    ) -> Waiting:
        """Run one whole fill, from files to files, with ports of its own: nothing is cached."""
        request = files.request(self.engine.description.id, options, prompt, seed)
        watch, ports, engine = Waiting(), local_frame_ports(), self.engine
        takes = allocate_takes(request, "bench")
        if stopwatch is not None:
            ports, engine = timed_ports(ports, stopwatch), TimedEngine(engine, stopwatch)
        run_fill(request, engine, takes, ports, watch)
        if watch.done != self.result.frames:
            raise AssertionError(f"{watch.done} of {self.result.frames} frames came back")
        return watch

    def seconds(self, work: Callable[[], object]) -> float:
        """Return how long ``work`` takes."""
        return seconds(work, self.device, self._clock)

    def overhead(self, files: Files) -> None:
        """Measure the bare call, the engine and the whole way, round by round, and the steps.

        Without the second pass over large crops (*detail*), which the bare call has not.
        """
        result, frames, options = self.result, self.result.frames, self.plain_options
        crop = self.fill(files, options).crop  # the first call, which is discarded
        assert crop is not None
        fit = fit_crop(crop.height, crop.width, self.family.sizing(self.card))
        result.crop, result.worked_at = (crop.width, crop.height), (fit.model[1], fit.model[0])
        shot = in_memory(crop, frames)
        forget_peaks(self.device)
        bare = self.bare(fit.model)
        bare()
        result.bare_peaks_gb = peaks_gb(self.device)
        for _ in range(self.rounds):
            floor = self.seconds(bare)
            result.bare_s.append(floor / (frames if self.is_video else 1))
            self.loaded.encodings.clear()
            ours = self.seconds(lambda: self.engine_alone(shot, options))
            result.engine_s.append(ours / frames)
            self.loaded.encodings.clear()
            whole = self.seconds(lambda: self.fill(files, options))
            result.fill_s.append(whole / frames)
        self.loaded.encodings.clear()
        forget_peaks(self.device)
        stopwatch = Stopwatch(self.device)
        one_thread = _in_place_of(runtime, "works_beside", lambda _: False)
        with one_thread, timed_steps(self.pipe, stopwatch), stopwatch.at(REST):
            self.fill(files, options, stopwatch=stopwatch)
        result.fill_peaks_gb = peaks_gb(self.device)
        result.breakdown_s = {k: v / frames for k, v in stopwatch.seconds.items()}

    def takes(self, files: Files) -> None:
        """Measure a first take, one more with another seed, and several in one call."""
        options, frames = self.plain_options, self.result.frames
        new = {"prompt": f"{PROMPT}, at night"}
        self.loaded.encodings.clear()
        first = self.seconds(lambda: self.fill(files, options, seed=2, **new))
        second = self.seconds(lambda: self.fill(files, options, seed=3, **new))
        self.result.first_take_s, self.result.second_take_s = first / frames, second / frames
        if TAKES_AT_ONCE in options:
            crop = Window(0, 0, *self.result.crop)
            shot, seeds = in_memory(crop, 1), tuple(range(TAKES))
            for name, count in (("together_s", TAKES), ("singly_s", 1)):
                asked = {**options, TAKES_AT_ONCE: count}
                self.loaded.encodings.clear()
                spent = self.seconds(lambda a=asked: self.engine_alone(shot, a, seeds))
                setattr(self.result, name, spent / TAKES)

    def whole(self, files: Files) -> None:
        """Measure the model over the whole frame, and our way over the crop of the same frame.

        Where the whole frame does not fit the device, the bare call on the crop is scaled by
        area, which is less than it would take: attention grows faster.
        """
        result, frames = self.result, self.result.frames
        crop = self.fill(files, self.plain_options).crop
        assert crop is not None
        result.part_crop = (crop.width, crop.height)
        self.loaded.encodings.clear()
        part = self.seconds(lambda: self.fill(files, self.plain_options))
        result.part_plain_s = part / frames
        result.part_s = result.part_plain_s
        if self.plain_options != self.options:
            self.loaded.encodings.clear()
            result.part_s = self.seconds(lambda: self.fill(files, self.options)) / frames
        multiple = self.family.multiple_px
        size = (files.height // multiple * multiple, files.width // multiple * multiple)
        result.whole_px = (size[1], size[0])
        calls = frames if self.is_video else 1
        try:
            with _any_size(self.pipe):
                result.whole_s = self.seconds(self.bare(size)) / calls
            result.whole_is = "measured"
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error):
                raise
            worked = result.worked_at
            share = math.prod(size) / math.prod(worked)
            result.whole_s = statistics.median(result.bare_s) * share
            result.whole_is = f"does not fit; {worked[0]} × {worked[1]} scaled by area"

    @property
    def loaded(self) -> Any:
        """The engine's own state: the pipeline and what is kept for the next take."""
        return self.engine._loaded

    @property
    def plain_options(self) -> dict[str, Any]:
        """The options of one call a frame."""
        return {**self.options, "detail": 0.0} if "detail" in self.options else self.options

    def engine_alone(
        self, shot: Any, options: dict[str, Any], seeds: tuple[int, ...] = (1,)
    ) -> None:
        """Run the engine over a shot in memory."""
        job = EngineJob(seeds=seeds, prompt=PROMPT, options=options)
        for _ in self.engine.fill(shot, job, QuietWatch()):
            pass

    def bare(self, size: tuple[int, int]) -> Callable[[], object]:
        """Return a call of the pipeline at ``size`` (height, width), all it takes at hand."""
        pipe, options, loaded = self.pipe, self.plain_options, self.loaded
        prompt = loaded.prompts.arguments(self.family, pipe, PROMPT, "", options)
        arguments = {**prompt, **self.family.arguments(pipe, self._picture(size), options)}

        def call() -> object:
            pipe.scheduler = self.family.scheduler(loaded.scheduler, options)
            generator = torch.Generator("cpu").manual_seed(1)
            with _in_place_of(pipe.vae, "encode", self._encode):  # nothing kept from before
                return pipe(**arguments, generator=generator, output_type="np")

        return call

    def _picture(self, size: tuple[int, int]) -> Any:
        crop = Window(0, 0, size[1], size[0])
        shot = in_memory(crop, self.result.frames if self.is_video else 1)
        first = shot.frames.first
        if not self.is_video:
            return picture_of(shot.plate(first), shot.matte(first) > 0)
        plates = np.stack([shot.plate(frame) for frame in shot.frames])
        return clip_of(plates, np.stack([shot.matte(frame) > 0 for frame in shot.frames]))


@contextlib.contextmanager
def _in_place_of(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _any_size(pipe: Any) -> Iterator[None]:
    """Keep a pipeline from shrinking its picture: FLUX.2's does above a megapixel."""
    processor = getattr(pipe, "image_processor", None)
    if processor is None or "Flux2" not in type(pipe).__name__:
        yield
        return
    processor.resize = lambda image, *_, **__: image
    try:
        yield
    finally:
        del processor.resize
