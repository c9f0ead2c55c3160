"""From an engine's pixels to a frame of a take: colour out, seam, grain, composite."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import GenerationFailed
from genai_fill_contract.plate import Window
from genai_fill_contract.take import Take
from genai_fill_server.domain.composite import composite
from genai_fill_server.domain.grain import GrainProfile, measure_grain, synthesise_grain
from genai_fill_server.domain.pixel_windows import recut, slices, support
from genai_fill_server.domain.recipe import digital_source_type
from genai_fill_server.domain.seam import RING_PX, correct_seam, ring_around
from genai_fill_server.service.check_request import CheckedRequest
from genai_fill_server.service.frame_ports import TakeFrame
from genai_fill_server.service.ports import EngineFrame, FloatImage, FloatMatte
from genai_fill_server.service.shot_view import ShotView

GRAIN_FRAMES = 5
GRAIN_RING_PX = 96.0


@dataclass(frozen=True)
class FinishedFrame:
    """A frame ready to be written, and how many pixels of its fill were unusable."""

    frame: TakeFrame
    replaced_pixels: int


class FrameFinisher:
    """Finishes the frames of one job. What it does depends on the frame alone."""

    def __init__(self, checked: CheckedRequest, view: ShotView, engine: EngineDescription) -> None:
        self._checked = checked
        self._view = view
        self._engine = engine

    def labels(self, take: Take, frame: int) -> dict[str, str]:
        """Return the short recipe for the header: who made the frame, from what, and what it is.

        Nothing secret is in it: headers leave the building with the pixels.
        """
        return {
            "genaifill:job": take.job_id,
            "genaifill:take": str(take.index),
            "genaifill:frame": str(frame),
            "genaifill:seed": str(take.seed),
            "genaifill:engine": self._engine.id,
            "genaifill:model": self._engine.model,
            "genaifill:recipe": take.recipe_path.rsplit("/", maxsplit=1)[-1],
            "Iptc4xmpExt:DigitalSourceType": digital_source_type(
                self._engine, self._checked.from_generated
            ),
        }

    def pass_through(self, take: Take, frame: int) -> FinishedFrame:
        """Return the plate as it is with an alpha of 0: a frame that has no matte."""
        crop = self._checked.crops[frame]
        plate = self._view.working_plate(frame, crop)
        alpha = np.zeros(plate.shape[:2], dtype=np.float32)
        return FinishedFrame(self._take_frame(take, frame, plate, alpha, {}), 0)

    def finish(self, take: Take, made: EngineFrame) -> FinishedFrame:
        """Return the frame of ``take`` that the engine's pixels make.

        Raises `GenerationFailed` for pixels of the wrong form or that leave matte unfilled.
        """
        self._check_form(made)
        crop = self._checked.crops[made.frame]
        shaped = self._checked.mattes.shaped(made.frame)
        alpha = recut(shaped.blend, shaped.window, crop)
        rgb = self._view.working_plate(made.frame, crop).copy()
        shown = support(alpha, crop)
        if not made.window.contains(shown):
            raise self._failed(made.frame, "its window does not cover the matte")
        replaced = 0
        if not shown.is_empty:
            # Everything from here on is done where it shows, and in the ring round the whole
            # generation matte: a wide feather reaches much farther than the blend.
            generated = support(shaped.generation, shaped.window)
            near = generated.grown(round(RING_PX) + 16).intersection(crop)
            inside = slices(near, crop)
            matte = recut(shaped.generation, shaped.window, near)
            fill = self._matched(take, made, near, rgb[inside], matte)
            done = composite(rgb[inside], fill, alpha[inside])
            rgb[inside] = done.rgb
            replaced = done.replaced_pixels
        layers = {name: recut(plane, made.window, crop) for name, plane in made.layers.items()}
        return FinishedFrame(self._take_frame(take, made.frame, rgb, alpha, layers), replaced)

    def _matched(
        self, take: Take, made: EngineFrame, near: Window, plate: FloatImage, matte: FloatMatte
    ) -> FloatImage:
        """Return the fill over ``near`` in the working space, seam and grain matched."""
        have = near.intersection(made.window)
        part = recut(made.pixels, made.window, have)
        # What the engine did not give lies outside the matte: there the plate stands in.
        fill = plate.copy()
        fill[slices(have, near)] = self._view.to_working(part)
        if not self._engine.matches_seams:
            fill = correct_seam(fill, plate, matte)
        if not self._engine.matches_grain:
            own = measure_grain(fill, matte > 0)
            fill += synthesise_grain(fill, self._plate_grain, own, take.seed, made.frame)
        return fill

    @cached_property
    def _plate_grain(self) -> GrainProfile:
        """The plate's grain in a ring round the matte, from the frame where most is seen.

        A few frames, the same wherever a job resumes, are looked at.
        """
        filled = [f for f in self._view.frames if f not in self._checked.empty_frames]
        step = max(1, -(-len(filled) // GRAIN_FRAMES))
        profiles = [self._grain_at(frame) for frame in filled[::step]]
        return max(profiles, key=lambda profile: len(profile.level), default=GrainProfile())

    def _grain_at(self, frame: int) -> GrainProfile:
        crop = self._checked.crops[frame]
        matte = self._checked.mattes.generation(frame, crop)
        ring = ring_around(matte, GRAIN_RING_PX)
        return measure_grain(self._view.working_plate(frame, crop), ring)

    def _take_frame(
        self,
        take: Take,
        frame: int,
        rgb: FloatImage,
        alpha: FloatMatte,
        layers: dict[str, npt.NDArray[np.float32]],
    ) -> TakeFrame:
        return TakeFrame(
            window=self._checked.crops[frame],
            rgb=rgb,
            alpha=alpha,
            header=self._checked.plate.header(frame),
            layers=layers,
            labels=self.labels(take, frame),
        )

    def _check_form(self, made: EngineFrame) -> None:
        size = (made.window.height, made.window.width)
        if made.pixels.shape != (*size, 3) or made.pixels.dtype != np.float32:
            raise self._failed(
                made.frame, f"it gave {made.pixels.dtype} {made.pixels.shape} for {size}"
            )
        for name, plane in made.layers.items():
            if plane.shape[:2] != size or plane.ndim not in (2, 3):
                raise self._failed(made.frame, f"its layer {name!r} is {plane.shape} for {size}")

    def _failed(self, frame: int, what: str) -> GenerationFailed:
        return GenerationFailed(
            f"The engine {self._engine.label!r} failed on frame {frame}: {what}.",
            hint="Choose another engine, or report this to whoever made it.",
            frame=frame,
            engine=self._engine.id,
        )
