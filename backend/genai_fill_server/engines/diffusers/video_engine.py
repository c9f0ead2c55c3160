"""Video models: windows of frames that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed
from genai_fill_contract.plate import FrameRange
from genai_fill_server.domain.temporal_windows import TemporalWindow, plan_windows
from genai_fill_server.engines.diffusers.checkpoints import Checkpoints
from genai_fill_server.engines.diffusers.model_engine import Loaded, ModelEngine, Prompt
from genai_fill_server.engines.diffusers.options import mixed_seed
from genai_fill_server.engines.diffusers.painting import checked_output
from genai_fill_server.engines.diffusers.picture import (
    Fit,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
)
from genai_fill_server.engines.diffusers.shot_inputs import patches_of, reference_at
from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.engines.diffusers.window_chain import (
    Hole,
    Patch,
    cross_fade,
    match_to_kept,
    measure_drift,
    window_inputs,
    with_patches,
)
from genai_fill_server.service.ports import EngineFrame, EngineJob, FloatImage, Shot, Watch

if TYPE_CHECKING:
    from genai_fill_server.engines.diffusers.previews import Previews, Sight


@dataclass
class _Job:
    """One fill at work: what was asked, what is loaded, how far it is."""

    shot: Shot
    job: EngineJob
    watch: Watch
    loaded: Loaded
    prompt: Prompt
    fit: Fit
    windows: list[TemporalWindow]
    patches: dict[int, Patch]
    previews: Previews
    total: int = 0
    done: int = 0
    reports: list[dict[str, object]] = field(default_factory=list)


class VideoEngine(ModelEngine):
    """Fills a shot in overlapping windows, each carrying on from the one before.

    Every frame that was asked for comes back, none is dropped, doubled or resampled.
    """

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take that is not done, take by take.

        Raises `OutOfMemory`, `GenerationFailed`.
        """
        loaded = self._ready(job, watch)
        prompt = self._prompt(loaded, job, watch)
        crop = shot.window(shot.frames.first)
        fit = fit_crop(crop.height, crop.width, self._sizing())
        windows = plan_windows(
            shot.frames,
            int(job.options["window_frames"]),
            self._model.family.frame_multiple,
            int(job.options["overlap_frames"]),
        )
        patches = patches_of(shot, fit, self._model.family.inputs)
        work = _Job(
            shot, job, watch, loaded, prompt, fit, windows, patches, self._previews(loaded, watch)
        )
        _report_plan(work)
        takes = [t for t in range(len(job.seeds)) if _missing(work, t)]
        work.total = len(takes) * len(work.windows)
        for index, take in enumerate(takes):
            work.done = index * len(work.windows)
            yield from self._take(work, take)

    def _take(self, work: _Job, take: int) -> Iterator[EngineFrame]:
        missing = _missing(work, take)
        checkpoints = Checkpoints(work.job.scratch_dir, self._facts(work, take))
        start, made = _resumed(work.windows, missing[0], checkpoints)
        work.done += start
        for place in range(start, len(work.windows)):
            window = work.windows[place]
            made.update(self._window(work, window, made, take))
            work.done += 1
            following = work.windows[place + 1 :]
            first_open = following[0].frames.first if following else window.frames.last + 1
            if following:
                tail = {f: pixels for f, pixels in made.items() if f >= first_open}
                checkpoints.save(place, tail)
            for frame in sorted(f for f in made if f < first_open):
                pixels = made.pop(frame)
                if frame in missing:
                    yield self._frame(work, take, frame, pixels)
        checkpoints.clear()

    def _frame(self, work: _Job, take: int, frame: int, made: FloatImage) -> EngineFrame:
        shot = work.shot
        untouched = not hole_to_model(shot.matte(frame), work.fit).any()
        pixels = shot.plate(frame) if untouched else image_from_model(made, work.fit)
        return EngineFrame(take, frame, shot.window(frame), pixels)

    def _window(
        self, work: _Job, window: TemporalWindow, made: dict[int, FloatImage], take: int
    ) -> dict[int, FloatImage]:
        """Return the frames of ``window``, colour-matched and mixed over those in ``made``."""
        plates, holes = _read(work, window.frames)
        video, open_holes = window_inputs(window, plates, holes, made, work.patches)
        count = len(window.frames)
        if not open_holes.any():
            return {f: made.get(f, video[i]) for i, f in enumerate(window.frames)}
        with self._running(work.loaded, f"frames {window.frames}", work.watch):
            seed = mixed_seed(work.job.seeds[take], window.frames.first)
            raw = self._generated(work, video, open_holes, seed, window, take)
        all_holes = np.stack([holes[frame] for frame in window.frames])
        match = match_to_kept(raw, video[:count], all_holes, open_holes[:count])
        pictures = match.applied(raw)
        drift = measure_drift(pictures, all_holes, open_holes[:count])
        work.reports.append(
            {
                "take": take + 1,
                "frames": str(window.frames),
                "anchors": window.anchors,
                "padding": window.padding,
                "gain": [round(g, 4) for g in match.gain],
                "offset": [round(o, 5) for o in match.offset],
                "drift": asdict(drift) if drift else None,
            }
        )
        work.watch.note("windows", work.reports)
        return with_patches(cross_fade(window, list(pictures), made), work.patches)

    def _generated(
        self,
        work: _Job,
        video: npt.NDArray[np.float32],
        open_holes: npt.NDArray[np.bool_],
        seed: int,
        window: TemporalWindow,
        take: int,
    ) -> npt.NDArray[np.float32]:
        """Return the model's frames (f, h, w, 3) for the window, without its padding."""
        from genai_fill_server.engines.diffusers.following import step_callback
        from genai_fill_server.engines.diffusers.runtime import seeded
        from genai_fill_server.engines.diffusers.tensors import clip_of

        family = self._model.family
        reference = reference_at(work.shot, window.frames.first, family.inputs)
        clip = clip_of(video, open_holes, reference)
        loaded, options = work.loaded, work.job.options
        sight = self._sight(work, window, take)
        self._fresh_scheduler(loaded, options)
        with seeded(seed, loaded.device) as generator:
            output = loaded.pipe(
                **work.prompt(clip),
                **family.arguments(loaded.pipe, clip, options),
                generator=generator,
                callback_on_step_end=step_callback(
                    work.watch,
                    Span(work.done, 1.0, work.total),
                    lambda pipe, latents: work.previews.show(pipe, latents, sight),
                ),
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="np",
            )
        frames = np.asarray(output.frames[0])
        checked = [checked_output(frame, video.shape[1:3]) for frame in frames]
        if len(checked) != window.length:
            raise GenerationFailed(
                f"The model gave {len(checked)} frames for {window.frames}, not {window.length}.",
                hint="The model folder may be of another version of diffusers.",
            )
        return np.stack(checked[: len(window.frames)])

    def _sight(self, work: _Job, window: TemporalWindow, take: int) -> Sight:
        from genai_fill_server.engines.diffusers.previews import Sight

        each = self._model.family.frame_multiple
        return Sight(
            take,
            window.frames.first,
            work.fit,
            last=window.frames.last,
            frames_each=each,
            latent_frames=(window.length - 1) // each + 1,
        )

    def _facts(self, work: _Job, take: int) -> dict[str, object]:
        """Return all that a take's pictures depend on, beside the plate itself."""
        job, shot = work.job, work.shot
        return {
            "seed": job.seeds[take],
            "prompt": job.prompt,
            "negative": job.negative_prompt,
            "options": dict(job.options),
            "patches": sorted(work.patches),
            "frames": str(shot.frames),
            "crops": [str(shot.window(frame)) for frame in shot.frames],
            **work.loaded.facts,
        }


def _read(work: _Job, frames: FrameRange) -> tuple[dict[int, FloatImage], dict[int, Hole]]:
    plates: dict[int, FloatImage] = {}
    holes: dict[int, Hole] = {}
    for frame in frames:
        work.watch.check()
        plates[frame] = image_to_model(work.shot.plate(frame), work.fit)
        holes[frame] = hole_to_model(work.shot.matte(frame), work.fit)
    return plates, holes


def _missing(work: _Job, take: int) -> list[int]:
    done = work.job.done[take] if work.job.done else frozenset()
    return [frame for frame in work.shot.frames if frame not in done]


def _resumed(
    windows: list[TemporalWindow], first_missing: int, checkpoints: Checkpoints
) -> tuple[int, dict[int, FloatImage]]:
    """Return the window to start with and the frames made before it.

    The state after a window holds every frame from the next window's first on, so it will
    do when nothing before that is missing. Without one the chain starts over, and gives
    the same bits.
    """
    for place in range(len(windows) - 2, -1, -1):
        following = windows[place + 1]
        if following.frames.first > first_missing:
            continue
        tail = range(following.frames.first, windows[place].frames.last + 1)
        state = checkpoints.load(place, list(tail))
        if state is not None:
            return place + 1, state
    return 0, {}


def _report_plan(work: _Job) -> None:
    windows, fit, watch = work.windows, work.fit, work.watch
    watch.note("model_size_px", [fit.model[1], fit.model[0]])
    if fit.is_resized:
        watch.log(
            f"The crop of {fit.crop[1]} × {fit.crop[0]} px is filled at {fit.model[1]} × "
            f"{fit.model[0]} px, the size that the model is good at, and resized back."
        )
    if windows[0].padding:
        watch.log(
            f"The model takes {windows[0].length} frames for the {len(windows[0].frames)} asked "
            f"for: the last one is repeated, and the {windows[0].padding} more are dropped."
        )
    if len(windows) > 1:
        anchors = ", ".join(str(w.anchors) for w in windows[1:])
        watch.log(
            f"The shot runs in {len(windows)} windows of {windows[0].length} frames; they carry "
            f"on from {anchors} frames of the ones before."
        )
