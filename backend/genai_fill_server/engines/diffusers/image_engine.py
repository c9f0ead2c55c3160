"""Image models: every frame on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed, InvalidOption
from genai_fill_server.engines.diffusers.family import (
    HOLE_CONTENT,
    SURROUNDINGS,
    Options,
    Picture,
    call_seed,
)
from genai_fill_server.engines.diffusers.model_engine import Loaded, ModelEngine
from genai_fill_server.engines.diffusers.picture import (
    filled_from_round,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
)
from genai_fill_server.service.ports import EngineFrame, EngineJob, FloatImage, Shot, Watch


@dataclass(frozen=True)
class _Unit:
    """One call of the pipeline: which of how many, its frame and its noise."""

    index: int
    total: int
    frame: int
    seed: int


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
        loaded = self._ready(watch)
        prompt = self._prompt_arguments(loaded, job, watch)
        self._note_size(shot, watch)
        todo = [
            (take, frame)
            for take in range(len(job.seeds))
            for frame in shot.frames
            if not job.done or frame not in job.done[take]
        ]
        for index, (take, frame) in enumerate(todo):
            watch.check()
            seed = call_seed(job.seeds[take], frame, job.options)
            unit = _Unit(index, len(todo), frame, seed)
            pixels = self._filled(shot, unit, loaded, {**prompt}, job.options, watch)
            yield EngineFrame(take, frame, shot.window(frame), pixels)

    def _filled(
        self,
        shot: Shot,
        unit: _Unit,
        loaded: Loaded,
        prompt: dict[str, Any],
        options: Options,
        watch: Watch,
    ) -> FloatImage:
        plate, matte = shot.plate(unit.frame), shot.matte(unit.frame)
        fit = fit_crop(plate.shape[0], plate.shape[1], self._sizing())
        hole = hole_to_model(matte, fit)
        if not hole.any():
            return plate
        image = image_to_model(plate, fit)
        if options.get(HOLE_CONTENT) == SURROUNDINGS:
            image = filled_from_round(image, hole)
        with self._running(loaded, f"frame {unit.frame}", watch):
            made = self._generated(loaded, prompt, image, hole, unit, options, watch)
        return image_from_model(made, fit)

    def _generated(
        self,
        loaded: Loaded,
        prompt: dict[str, Any],
        image: FloatImage,
        hole: npt.NDArray[np.bool_],
        unit: _Unit,
        options: Options,
        watch: Watch,
    ) -> FloatImage:
        """Return the model's picture for ``image`` (h, w, 3) in [0, 1], at the same size."""
        from genai_fill_server.engines.diffusers.following import step_callback
        from genai_fill_server.engines.diffusers.runtime import seeded
        from genai_fill_server.engines.diffusers.tensors import picture_of

        picture: Picture = picture_of(image, hole)
        self._fresh_scheduler(loaded, options)
        with seeded(unit.seed, loaded.device) as generator:
            output = loaded.pipe(
                **prompt,
                **self._model.family.arguments(loaded.pipe, picture, options),
                generator=generator,
                callback_on_step_end=step_callback(watch, unit.index, unit.total),
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="np",
            )
        return checked_output(output.images[0], image.shape[:2], f"frame {unit.frame}")

    def _note_size(self, shot: Shot, watch: Watch) -> None:
        window = shot.window(shot.frames.first)
        fit = fit_crop(window.height, window.width, self._sizing())
        watch.note("model_size_px", [fit.model[1], fit.model[0]])
        if fit.is_resized:
            watch.log(
                f"The crop of {window.width} × {window.height} px is filled at "
                f"{fit.model[1]} × {fit.model[0]} px, the size that the model is good at, "
                "and resized back."
            )


def check_steps(options: Options) -> None:
    """Raise `InvalidOption` if strength leaves no step to make."""
    steps, strength = int(options["steps"]), float(options.get("strength", 1.0))
    if int(steps * strength) < 1:
        raise InvalidOption(
            f"Strength {strength:g} of {steps} steps leaves no step to make.",
            hint=f"Use {int(1 / strength) + 1} steps or more, or a higher strength.",
            option="strength",
        )


def checked_output(pixels: Any, size: tuple[int, ...], what: str) -> FloatImage:
    """Return the model's picture as float32; raise `GenerationFailed` if it is not one.

    Half precision that overflows gives NaN, which would go through as black.
    """
    image = np.asarray(pixels, dtype=np.float32)
    if image.shape != (*size, 3):
        raise GenerationFailed(
            f"The model gave a picture of shape {image.shape} for {what}, not {(*size, 3)}.",
            hint="The model folder may be of another version of diffusers.",
        )
    if not np.isfinite(image).all():
        raise GenerationFailed(
            f"The model gave pixels that are no numbers for {what}.",
            hint="Its precision overflowed. Try other options, or another device.",
        )
    return image
