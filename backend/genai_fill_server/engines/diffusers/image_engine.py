"""Image models: every frame on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed, InvalidOption
from genai_fill_server.engines.diffusers.model_engine import Loaded, ModelEngine, Prompt
from genai_fill_server.engines.diffusers.options import (
    DETAIL,
    HOLE_CONTENT,
    PLATE,
    SURROUNDINGS,
    Options,
    call_seed,
    mixed_seed,
)
from genai_fill_server.engines.diffusers.picture import (
    Fit,
    filled_from_round,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
    is_hole,
)
from genai_fill_server.engines.diffusers.refining import Tile, plan_tiles, refine
from genai_fill_server.engines.diffusers.shot_inputs import control_at, reference_at
from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.service.ports import (
    EngineFrame,
    EngineJob,
    FloatImage,
    FloatMatte,
    Shot,
    Watch,
)

if TYPE_CHECKING:
    from genai_fill_server.engines.diffusers.previews import Previews

_SCALE_WORTH_REFINING = 0.8
"""Above it, enlarging loses the finest fifth of the detail at most: not worth a second pass."""


@dataclass(frozen=True)
class _Work:
    """One fill at work: the loaded model, the prompt, what was asked."""

    loaded: Loaded
    prompt: Prompt
    options: Options
    watch: Watch
    previews: Previews


@dataclass(frozen=True)
class _Scene:
    """What the model is given of one frame, or of a tile of it, at the size of the crop.

    ``shown_as`` is the take and frame that it is a preview of; tiles are none.
    """

    plate: FloatImage
    matte: FloatMatte
    reference: FloatImage | None
    control: FloatImage | None
    shown_as: tuple[int, int] | None = None

    def tile(self, tile: Tile, plate: FloatImage, matte: FloatMatte) -> _Scene:
        """Return the scene of a tile whose plate and matte are as they are now."""
        control = self.control[tile.slices] if self.control is not None else None
        return _Scene(plate, matte, self.reference, control)


class ImageEngine(ModelEngine):
    """Fills frame by frame. Frames of a range do not know each other.

    One call makes one frame of one take: batches would be a little faster, but a GPU's
    result depends on the batch size in its last bits, so a resumed job would differ from
    one that ran through.
    """

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take that is not done, take by take.

        Frames with an empty matte are the plate, unchanged. Raises `OutOfMemory`,
        `GenerationFailed`, `InvalidOption`.
        """
        check_steps(job.options)
        loaded = self._ready(job, watch)
        prompt = self._prompt(loaded, job, watch)
        work = _Work(loaded, prompt, job.options, watch, self._previews(loaded, watch))
        self._note_size(shot, job.options, watch)
        todo = [
            (take, frame)
            for take in range(len(job.seeds))
            for frame in shot.frames
            if not job.done or frame not in job.done[take]
        ]
        for index, (take, frame) in enumerate(todo):
            watch.check()
            seed = call_seed(job.seeds[take], frame, job.options)
            span = Span(index, 1.0, len(todo))
            with self._running(loaded, f"frame {frame}", watch):
                pixels = self._filled(work, self._scene(shot, take, frame), seed, span)
            yield EngineFrame(take, frame, shot.window(frame), pixels)

    def _scene(self, shot: Shot, take: int, frame: int) -> _Scene:
        roles = self._model.family.inputs
        return _Scene(
            shot.plate(frame),
            shot.matte(frame),
            reference_at(shot, frame, roles),
            control_at(shot, frame, roles),
            (take, frame),
        )

    def _filled(self, work: _Work, scene: _Scene, seed: int, span: Span) -> FloatImage:
        fit = fit_crop(scene.plate.shape[0], scene.plate.shape[1], self._sizing())
        if not hole_to_model(scene.matte, fit).any():
            return scene.plate
        tiles = self._tiles(scene.matte, fit.scale, work.options)
        base, *spans = span.split(1 + len(tiles))
        made = self._generated(work, scene, work.options, seed, base)
        if not tiles:
            return made

        def generate(picture: FloatImage, hole: npt.NDArray[np.bool_], number: int) -> FloatImage:
            part = scene.tile(tiles[number], picture, hole.astype(np.float32))
            options = _detail_options(work.options)
            return self._generated(work, part, options, mixed_seed(seed, number), spans[number])

        hole = is_hole(scene.matte)
        plate = np.clip(np.nan_to_num(scene.plate), 0.0, 1.0)
        canvas = np.where(hole[..., None], made, plate).astype(np.float32)
        refined = refine(canvas, hole, tiles, generate)
        # Outside the hole the model's own picture stays: it shows how far its colours are off.
        return np.where(hole[..., None], refined, made)

    def _generated(
        self, work: _Work, scene: _Scene, options: Options, seed: int, span: Span
    ) -> FloatImage:
        """Return the model's picture for ``scene`` (h, w, 3), at the same size."""
        from genai_fill_server.engines.diffusers.following import step_callback
        from genai_fill_server.engines.diffusers.runtime import seeded
        from genai_fill_server.engines.diffusers.tensors import picture_of

        fit = fit_crop(scene.plate.shape[0], scene.plate.shape[1], self._sizing())
        image, hole = image_to_model(scene.plate, fit), hole_to_model(scene.matte, fit)
        if options.get(HOLE_CONTENT) == SURROUNDINGS:
            image = filled_from_round(image, hole)
        control = None if scene.control is None else image_to_model(scene.control, fit)
        picture = picture_of(image, hole, scene.reference, control)
        pipe, family = work.loaded.pipe, self._model.family
        self._fresh_scheduler(work.loaded, options)
        with seeded(seed, work.loaded.device) as generator:
            output = pipe(
                **work.prompt(picture),
                **family.arguments(pipe, picture, options),
                **family.start(pipe, picture, options, generator),
                generator=generator,
                callback_on_step_end=step_callback(work.watch, span, _show(work, scene, fit)),
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="np",
            )
        return image_from_model(checked_output(output.images[0], image.shape[:2]), fit)

    def _tiles(self, matte: FloatMatte, scale: float, options: Options) -> list[Tile]:
        """Return the tiles to go over, none where the model worked at full size already."""
        if scale > _SCALE_WORTH_REFINING or not float(options.get(DETAIL, 0.0)):
            return []
        return plan_tiles(is_hole(matte), self._sizing())

    def _note_size(self, shot: Shot, options: Options, watch: Watch) -> None:
        window = shot.window(shot.frames.first)
        fit = fit_crop(window.height, window.width, self._sizing())
        watch.note("model_size_px", [fit.model[1], fit.model[0]])
        if not fit.is_resized:
            return
        goes_over = fit.scale <= _SCALE_WORTH_REFINING and bool(options.get(DETAIL))
        then = "then gone over at full size in tiles" if goes_over else "and resized back"
        watch.log(
            f"The crop of {window.width} × {window.height} px is filled at "
            f"{fit.model[1]} × {fit.model[0]} px, the size that the model is good at, {then}."
        )


def _show(work: _Work, scene: _Scene, fit: Fit) -> Callable[[Any, Any], None] | None:
    """Return what shows the latents of a step, None for those of a tile."""
    if scene.shown_as is None:
        return None
    from genai_fill_server.engines.diffusers.previews import Sight

    take, frame = scene.shown_as
    sight = Sight(take, frame, fit, last=frame)
    return lambda pipe, latents: work.previews.show(pipe, latents, sight)


def _detail_options(options: Options) -> Options:
    """Return the options of a tile's call: low strength, from what is there.

    At least one step is made, however few steps there are.
    """
    strength = max(float(options[DETAIL]), 1.01 / int(options["steps"]))
    return {**options, "strength": min(1.0, strength), HOLE_CONTENT: PLATE}


def check_steps(options: Options) -> None:
    """Raise `InvalidOption` if strength leaves no step to make."""
    steps, strength = int(options["steps"]), float(options.get("strength", 1.0))
    if int(steps * strength) < 1:
        raise InvalidOption(
            f"Strength {strength:g} of {steps} steps leaves no step to make.",
            hint=f"Use {int(1 / strength) + 1} steps or more, or a higher strength.",
            option="strength",
        )


def checked_output(pixels: Any, size: tuple[int, ...]) -> FloatImage:
    """Return the model's picture as float32; raise `GenerationFailed` if it is not one.

    Half precision that overflows gives NaN, which would go through as black.
    """
    image = np.asarray(pixels, dtype=np.float32)
    if image.shape != (*size, 3):
        raise GenerationFailed(
            f"The model gave a picture of shape {image.shape}, not {(*size, 3)}.",
            hint="The model folder may be of another version of diffusers.",
        )
    if not np.isfinite(image).all():
        raise GenerationFailed(
            "The model gave pixels that are no numbers.",
            hint="Its precision overflowed. Try other options, or another device.",
        )
    return image
