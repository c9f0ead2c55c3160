"""Video models: windows of frames that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed
from genai_fill_contract.plate import FrameRange
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.domain.temporal_windows import TemporalWindow, plan_windows
from genai_fill_server.engines.diffusers.checkpoints import Checkpoints
from genai_fill_server.engines.diffusers.model_engine import Loaded, ModelEngine, Prompt
from genai_fill_server.engines.diffusers.options import (
    HOLE_SHAPE,
    KEEP_EVERY,
    REFERENCE_FRAMES,
    Options,
    check_steps,
    mixed_seed,
)
from genai_fill_server.engines.diffusers.painting import (
    checked_output,
    detail_options,
    is_gone_over,
)
from genai_fill_server.engines.diffusers.picture import (
    Fit,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
    shaped,
)
from genai_fill_server.engines.diffusers.room import CallSize
from genai_fill_server.engines.diffusers.shot_inputs import (
    Approved,
    approved_frames,
    references_at,
    whole_patch,
)
from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.engines.diffusers.video_detail import Clip, Detail, has_room
from genai_fill_server.engines.diffusers.window_chain import (
    Hole,
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
    approved: Approved
    previews: Previews
    goes_over: bool = False
    total: int = 0
    done: int = 0
    reports: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class _Call:
    """One call: its seed, its options, its share of the progress, what it is a preview of."""

    seed: int
    options: Options
    span: Span
    window: TemporalWindow
    sight: Sight | None = None


class VideoEngine(ModelEngine):
    """Fills a shot in overlapping windows, each carrying on from the one before.

    Every frame that was asked for comes back, none is dropped, doubled or resampled.
    """

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take that is not done, take by take.

        Raises `OutOfMemory`, `GenerationFailed`, `InvalidOption`.
        """
        check_steps(job.options)
        crop = shot.window(shot.frames.first)
        fit = fit_crop(crop.height, crop.width, self._sizing())
        windows = plan_windows(
            shot.frames,
            int(job.options["window_frames"]),
            self._model.family.frame_multiple,
            int(job.options["overlap_frames"]),
        )
        longest = max(window.length for window in windows)
        loaded = self._ready(job, CallSize(*fit.model, longest), watch)
        prompt = self._prompt(loaded, job, watch)
        approved = Approved(shot, fit, self._approved(shot, job, watch))
        previews = self._previews(loaded, watch)
        work = _Job(shot, job, watch, loaded, prompt, fit, windows, approved, previews)
        work.goes_over = is_gone_over(fit, job.options) and has_room(work.windows[0], fit, watch)
        _report_plan(work)
        takes = [t for t in range(len(job.seeds)) if _missing(work, t)]
        work.total = len(takes) * len(work.windows)
        for index, take in enumerate(takes):
            work.done = index * len(work.windows)
            yield from self._take(work, take)

    def _approved(self, shot: Shot, job: EngineJob, watch: Watch) -> list[int]:
        """Return the approved frames that are kept, and say so if they are not all."""
        every, roles = int(job.options[KEEP_EVERY]), self._model.family.inputs
        kept = approved_frames(shot, roles, every)
        if kept and every > 1:
            watch.log(f"Of the approved frames these are kept: {spell_frames(kept)}.")
        watch.note("kept_frames", kept)
        return kept

    def _take(self, work: _Job, take: int) -> Iterator[EngineFrame]:
        missing = _missing(work, take)
        facts = self._facts(work, take)
        kept = [Checkpoints(work.job.scratch_dir, facts)]
        if work.goes_over:
            kept.append(Checkpoints(work.job.scratch_dir, {**facts, "at": "full size"}))
        start, (made, *rest) = _resumed(work.windows, missing[0], kept)
        fine = rest[0] if rest else {}
        work.done += start
        for place in range(start, len(work.windows)):
            window = work.windows[place]
            self._window(work, window, made, fine, take)
            work.done += 1
            following = work.windows[place + 1 :]
            first_open = following[0].frames.first if following else window.frames.last + 1
            if following:
                for checkpoints, state in zip(kept, (made, fine), strict=False):
                    checkpoints.save(place, {f: state[f] for f in state if f >= first_open})
            for frame in sorted(f for f in made if f < first_open):
                pixels, full = made.pop(frame), fine.pop(frame, None)
                if frame in missing:
                    yield self._frame(work, take, frame, pixels, full)
        for checkpoints in kept:
            checkpoints.clear()

    def _frame(
        self, work: _Job, take: int, frame: int, made: FloatImage, fine: FloatImage | None
    ) -> EngineFrame:
        shot = work.shot
        untouched = not hole_to_model(shot.matte(frame), work.fit).any()
        if untouched:
            pixels = shot.plate(frame)
        else:
            pixels = image_from_model(made, work.fit) if fine is None else fine
            if frame in work.approved.frames and work.fit.is_resized:
                pixels = with_patches({frame: pixels}, {frame: whole_patch(shot, frame)})[frame]
        return EngineFrame(take, frame, shot.window(frame), pixels)

    def _window(
        self,
        work: _Job,
        window: TemporalWindow,
        made: dict[int, FloatImage],
        fine: dict[int, FloatImage],
        take: int,
    ) -> None:
        """Add the frames of ``window`` to ``made`` and, at full size, to ``fine``."""
        detail = None
        if work.goes_over:
            kept = work.approved.frames
            detail = Detail.of(work.shot, window, work.fit, fine, kept, self._sizing())
        parts = Span(work.done, 1.0, work.total).split(1 + (len(detail.tiles) if detail else 0))
        made.update(self._made(work, window, made, take, parts[0]))
        if detail is None:
            return
        seed = mixed_seed(work.job.seeds[take], window.frames.first)
        options = detail_options(work.job.options)

        def generate(tile: Clip, number: int) -> npt.NDArray[np.float32]:
            asked = _Call(mixed_seed(seed, number), options, parts[1 + number], window)
            with self._running(work.loaded, f"frames {window.frames}", work.watch):
                return self._generated(work, tile, asked)

        fine.update(detail.gone_over(made, fine, generate))

    def _made(
        self,
        work: _Job,
        window: TemporalWindow,
        made: dict[int, FloatImage],
        take: int,
        span: Span,
    ) -> dict[int, FloatImage]:
        """Return the frames of ``window``, colour-matched and mixed over those in ``made``."""
        plates, holes = _read(work, window.frames)
        patches = work.approved.within(window.frames)
        video, open_holes = window_inputs(window, plates, holes, made, patches)
        count = len(window.frames)
        if not open_holes.any():
            return {f: made.get(f, video[i]) for i, f in enumerate(window.frames)}
        with self._running(work.loaded, f"frames {window.frames}", work.watch):
            seed = mixed_seed(work.job.seeds[take], window.frames.first)
            sight = self._sight(work, window, take)
            clip = Clip(video, open_holes, references=self._references(work, window))
            raw = self._generated(work, clip, _Call(seed, work.job.options, span, window, sight))
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
        return with_patches(cross_fade(window, list(pictures), made), patches)

    def _references(self, work: _Job, window: TemporalWindow) -> list[FloatImage]:
        # The pipeline has no room for more of them than the window has latent frames.
        room = (window.length - 1) // self._model.family.frame_multiple + 1
        count = min(int(work.job.options[REFERENCE_FRAMES]), room)
        return references_at(work.shot, window.frames.first, self._model.family.inputs, count)

    def _generated(self, work: _Job, clip: Clip, asked: _Call) -> npt.NDArray[np.float32]:
        """Return the model's frames (f, h, w, 3) for the window, without its padding."""
        from genai_fill_server.engines.diffusers.following import step_callback
        from genai_fill_server.engines.diffusers.runtime import seeded
        from genai_fill_server.engines.diffusers.tensors import clip_of

        family, loaded, window = self._model.family, work.loaded, asked.window
        picture = clip_of(clip.video, clip.open_holes, clip.references, clip.there)
        self._fresh_scheduler(loaded, asked.options)

        def show(pipe: Any, latents: Any) -> None:
            if asked.sight is not None:
                work.previews.show(pipe, latents, asked.sight)

        with seeded(asked.seed, loaded.device) as generator:
            output = loaded.pipe(
                **work.prompt(picture),
                **family.arguments(loaded.pipe, picture, asked.options),
                **family.start(loaded.pipe, picture, asked.options, generator),
                generator=generator,
                callback_on_step_end=step_callback(work.watch, asked.span, show),
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="np",
            )
        frames = np.asarray(output.frames[0])
        checked = [checked_output(frame, clip.video.shape[1:3]) for frame in frames]
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
            "patches": sorted(work.approved.frames),
            "frames": str(shot.frames),
            "crops": [str(shot.window(frame)) for frame in shot.frames],
            **work.loaded.facts,
        }


def _read(work: _Job, frames: FrameRange) -> tuple[dict[int, FloatImage], dict[int, Hole]]:
    plates: dict[int, FloatImage] = {}
    holes: dict[int, Hole] = {}
    shape = str(work.job.options[HOLE_SHAPE])
    for frame in frames:
        work.watch.check()
        plates[frame] = image_to_model(work.shot.plate(frame), work.fit)
        holes[frame] = shaped(hole_to_model(work.shot.matte(frame), work.fit), shape)
    return plates, holes


def _missing(work: _Job, take: int) -> list[int]:
    done = work.job.done[take] if work.job.done else frozenset()
    return [frame for frame in work.shot.frames if frame not in done]


def _resumed(
    windows: list[TemporalWindow], first_missing: int, kept: list[Checkpoints]
) -> tuple[int, list[dict[int, FloatImage]]]:
    """Return the window to start with and the frames made before it, of each of ``kept``.

    The state after a window holds every frame from the next window's first on, so it will
    do when nothing before that is missing. Without one the chain starts over, and gives
    the same bits.
    """
    for place in range(len(windows) - 2, -1, -1):
        following = windows[place + 1]
        if following.frames.first > first_missing:
            continue
        tail = list(range(following.frames.first, windows[place].frames.last + 1))
        states = [state for each in kept if (state := each.load(place, tail)) is not None]
        if len(states) == len(kept):
            return place + 1, states
    return 0, [{} for _ in kept]


def _report_plan(work: _Job) -> None:
    windows, fit, watch = work.windows, work.fit, work.watch
    watch.note("model_size_px", [fit.model[1], fit.model[0]])
    if fit.is_resized:
        gone_over = "then gone over at full size in tiles"
        then = gone_over if work.goes_over else "and resized back"
        watch.log(
            f"The crop of {fit.crop[1]} × {fit.crop[0]} px is filled at {fit.model[1]} × "
            f"{fit.model[0]} px, the size that the model is good at, {then}."
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
