"""One frame through an image model: to its size, the call, detail in tiles, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed
from genai_fill_server.engines.diffusers.options import (
    DETAIL,
    HOLE_CONTENT,
    PLATE,
    SURROUNDINGS,
    Options,
    mixed_seed,
)
from genai_fill_server.engines.diffusers.picture import (
    Fit,
    Sizing,
    filled_from_round,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
    is_hole,
)
from genai_fill_server.engines.diffusers.refining import Tile, plan_tiles, refine
from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.service.ports import FloatImage, FloatMatte, Watch

if TYPE_CHECKING:
    from genai_fill_server.engines.diffusers.family import Family
    from genai_fill_server.engines.diffusers.model_engine import Loaded, Prompt
    from genai_fill_server.engines.diffusers.previews import Previews

_SCALE_WORTH_REFINING = 0.8
"""Above it, enlarging loses the finest fifth of the detail at most: not worth a second pass."""


@dataclass(frozen=True)
class Scene:
    """What the model is given of a frame, or of a tile of it, at the size of the crop."""

    plate: FloatImage
    matte: FloatMatte
    reference: FloatImage | None
    control: FloatImage | None

    def tile(self, tile: Tile, plate: FloatImage, matte: FloatMatte) -> Scene:
        """Return the scene of a tile whose plate and matte are as they are now."""
        control = self.control[tile.slices] if self.control is not None else None
        return Scene(plate, matte, self.reference, control)


@dataclass(frozen=True)
class Call:
    """One call: the seeds of its pictures, its options, its share of the progress.

    ``shown_as`` is the take and frame that it is a preview of; tiles are none.
    """

    seeds: tuple[int, ...]
    options: Options
    span: Span
    shown_as: tuple[int, int] | None = None


@dataclass(frozen=True)
class Painter:
    """A loaded model with a prompt, at work for a job."""

    family: Family
    loaded: Loaded
    prompt: Prompt
    sizing: Sizing
    watch: Watch
    previews: Previews

    def filled(self, scene: Scene, call: Call) -> list[FloatImage]:
        """Return the filled crop for each seed, (h, w, 3); the plate where nothing is to fill."""
        fit = fit_crop(scene.plate.shape[0], scene.plate.shape[1], self.sizing)
        if not hole_to_model(scene.matte, fit).any():
            return [scene.plate] * len(call.seeds)
        tiles = tiles_of(scene.matte, fit, call.options, self.sizing)
        first, *rest = call.span.split(1 + len(tiles) * len(call.seeds))
        made = self._generated(scene, Call(call.seeds, call.options, first, call.shown_as))
        if not tiles:
            return made
        count = len(tiles)
        return [
            self._refined(scene, picture, tiles, seed, call.options, rest[i * count :][:count])
            for i, (seed, picture) in enumerate(zip(call.seeds, made, strict=True))
        ]

    def _refined(
        self,
        scene: Scene,
        made: FloatImage,
        tiles: list[Tile],
        seed: int,
        options: Options,
        spans: Sequence[Span],
    ) -> FloatImage:
        """Return ``made`` gone over at full size, a tile a call."""
        low = detail_options(options)

        def generate(picture: FloatImage, hole: npt.NDArray[np.bool_], number: int) -> FloatImage:
            part = scene.tile(tiles[number], picture, hole.astype(np.float32))
            call = Call((mixed_seed(seed, number),), low, spans[number])
            return self._generated(part, call)[0]

        hole = is_hole(scene.matte)
        plate = np.clip(np.nan_to_num(scene.plate), 0.0, 1.0)
        canvas = np.where(hole[..., None], made, plate).astype(np.float32)
        refined = refine(canvas, hole, tiles, generate)
        # Outside the hole the model's own picture stays: it shows how far its colours are off.
        return np.where(hole[..., None], refined, made)

    def _generated(self, scene: Scene, call: Call) -> list[FloatImage]:
        """Return the model's pictures for ``scene`` (h, w, 3), at the same size."""
        from genai_fill_server.engines.diffusers.following import step_callback
        from genai_fill_server.engines.diffusers.runtime import seeded
        from genai_fill_server.engines.diffusers.tensors import picture_of

        fit = fit_crop(scene.plate.shape[0], scene.plate.shape[1], self.sizing)
        image, hole = image_to_model(scene.plate, fit), hole_to_model(scene.matte, fit)
        if call.options.get(HOLE_CONTENT) == SURROUNDINGS:
            image = filled_from_round(image, hole)
        control = None if scene.control is None else image_to_model(scene.control, fit)
        picture = picture_of(image, hole, scene.reference, control)
        pipe, family, options = self.loaded.pipe, self.family, call.options
        pipe.scheduler = family.scheduler(self.loaded.scheduler, options)
        arguments = {**self.prompt(picture), **family.arguments(pipe, picture, options)}
        with seeded(call.seeds[0], self.loaded.device) as generator:
            output = family.pipe_for(pipe, picture, options)(
                **_for_all(arguments, len(call.seeds)),
                **family.start(pipe, picture, options, generator),
                generator=_generators(call.seeds, generator),
                callback_on_step_end=step_callback(self.watch, call.span, self._show(call, fit)),
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="np",
            )
        if len(output.images) != len(call.seeds):
            raise GenerationFailed(
                f"The model gave {len(output.images)} pictures, not {len(call.seeds)}.",
                hint="Set the option 'Takes at once' to 1.",
            )
        size = image.shape[:2]
        return [image_from_model(checked_output(each, size), fit) for each in output.images]

    def _show(self, call: Call, fit: Fit) -> Callable[[Any, Any], None] | None:
        """Return what shows the latents of a step, None for those of a tile."""
        if call.shown_as is None:
            return None
        from genai_fill_server.engines.diffusers.previews import Sight

        take, frame = call.shown_as
        sight = Sight(take, frame, fit, last=frame)
        return lambda pipe, latents: self.previews.show(pipe, latents, sight)


def tiles_of(matte: FloatMatte, fit: Fit, options: Options, sizing: Sizing) -> list[Tile]:
    """Return the tiles to go over, none where the model worked at full size already."""
    return plan_tiles(is_hole(matte), sizing) if is_gone_over(fit, options) else []


def is_gone_over(fit: Fit, options: Options) -> bool:
    """Whether a crop is gone over at full size after the fill."""
    return fit.scale <= _SCALE_WORTH_REFINING and float(options.get(DETAIL, 0.0)) > 0


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


def detail_options(options: Options) -> Options:
    """Return the options of a tile's call: low strength, from what is there.

    The strength is rounded down to whole steps, one at least: pipelines that are asked for a
    part of a step make a whole one more.
    """
    steps = int(options["steps"])
    made = max(1, int(steps * float(options[DETAIL]) + 1e-6))
    strength = made / steps
    if steps * strength < 1:  # 49 · (1 / 49) is, and pipelines cut it to no step at all
        strength = math.nextafter(strength, 1.0)
    return {**options, "strength": strength, HOLE_CONTENT: PLATE}


def _generators(seeds: tuple[int, ...], first: Any) -> Any:
    """Return one generator a picture; the only one as it is."""
    if len(seeds) == 1:
        return first
    import torch

    return [first, *(torch.Generator("cpu").manual_seed(seed) for seed in seeds[1:])]


def _for_all(arguments: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the arguments of a call for ``count`` pictures: what is one picture's, repeated.

    Repeated and not left to the pipeline, so that each picture draws from its own generator
    all that it would draw alone, and in the same order.
    """
    if count == 1:
        return dict(arguments)
    import torch

    def repeated(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.repeat(count, *[1] * (value.ndim - 1))
        return value * count if isinstance(value, list) else value

    return {name: repeated(value) for name, value in arguments.items()}
