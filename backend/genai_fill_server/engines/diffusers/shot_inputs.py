"""The node's optional inputs as models take them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.picture import (
    Fit,
    hole_to_model,
    image_to_model,
    is_hole,
    resized,
)
from genai_fill_server.engines.diffusers.window_chain import Patch
from genai_fill_server.service.ports import FloatImage, Shot

_REFERENCE_PIXELS = 1024 * 1024


def reference_at(shot: Shot, frame: int, roles: tuple[InputRole, ...]) -> FloatImage | None:
    """Return the reference picture for ``frame``, whole, in [0, 1], at most a megapixel.

    The input's own frame of that number, else its first; None if there is no such input or
    the family takes none.
    """
    frames = shot.input_frames(InputRole.REFERENCE) if InputRole.REFERENCE in roles else ()
    if not frames:
        return None
    return _reference(shot, frame if frame in frames else frames[0])


def references_at(
    shot: Shot, frame: int, roles: tuple[InputRole, ...], most: int
) -> list[FloatImage]:
    """Return up to ``most`` reference pictures for ``frame``: `reference_at`, and its next frames.

    The one for ``frame`` comes first; then those after it in the input, then from its start.
    """
    frames = shot.input_frames(InputRole.REFERENCE) if InputRole.REFERENCE in roles else ()
    if not frames:
        return []
    first = frames.index(frame) if frame in frames else 0
    return [_reference(shot, each) for each in (frames[first:] + frames[:first])[:most]]


def _reference(shot: Shot, frame: int) -> FloatImage:
    picture, _ = shot.input(InputRole.REFERENCE, frame)
    picture = np.clip(np.nan_to_num(picture, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    height, width = picture.shape[:2]
    scale = math.sqrt(_REFERENCE_PIXELS / max(1, height * width))
    if scale >= 1:
        return np.asarray(picture, np.float32)
    size = (max(1, int(height * scale)), max(1, int(width * scale)))
    return resized(np.asarray(picture, np.float32), size)


def control_at(shot: Shot, frame: int, roles: tuple[InputRole, ...]) -> FloatImage | None:
    """Return the control picture (depth, pose, edges) of the crop at ``frame``, if there is one."""
    if InputRole.CONTROL not in roles or frame not in shot.input_frames(InputRole.CONTROL):
        return None
    return shot.input(InputRole.CONTROL, frame, shot.window(frame))[0]


def approved_frames(shot: Shot, roles: tuple[InputRole, ...], keep_every: int = 1) -> list[int]:
    """Return the frames of the shot that are approved and kept: every ``keep_every``-th."""
    frames = shot.input_frames(InputRole.PATCH) if InputRole.PATCH in roles else ()
    return [frame for frame in frames if frame in shot.frames][::keep_every]


class Approved:
    """The approved frames that are kept, at the model's size.

    Those of one temporal window are held at a time: a shot may be long, and every frame of it
    approved.
    """

    def __init__(self, shot: Shot, fit: Fit, frames: Iterable[int]) -> None:
        """Use these ``frames`` of the shot's patch input; nothing is read yet."""
        self.frames = frozenset(frames)
        self._shot = shot
        self._fit = fit
        self._held: dict[int, Patch] = {}

    def within(self, window: Iterable[int]) -> Mapping[int, Patch]:
        """Return the patches of a window's frames; those of other frames are let go."""
        wanted = [frame for frame in window if frame in self.frames]
        self._held = {frame: self._held[frame] for frame in wanted if frame in self._held}
        self._held |= {frame: self._read(frame) for frame in wanted if frame not in self._held}
        return self._held

    def _read(self, frame: int) -> Patch:
        pixels, alpha = self._shot.input(InputRole.PATCH, frame, self._shot.window(frame))
        covers = ~hole_to_model(1.0 - alpha, self._fit)
        return Patch(image_to_model(pixels, self._fit), covers)


def whole_patch(shot: Shot, frame: int) -> Patch:
    """Return an approved frame at the size of the crop."""
    pixels, alpha = shot.input(InputRole.PATCH, frame, shot.window(frame))
    return Patch(np.clip(np.nan_to_num(pixels), 0.0, 1.0), ~is_hole(1.0 - alpha))
