"""The shot as others are to see it: with hero frames as patches, and as one frame to fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.plate import FrameRange, InputRole, Window
from genai_fill_server.domain.pixel_windows import recut
from genai_fill_server.service.ports import FloatImage, FloatMatte, Shot


@dataclass(frozen=True)
class Hero:
    """A generated frame: scene-linear composite over ``window``, alpha where it holds."""

    frame: int
    window: Window
    rgb: FloatImage
    alpha: FloatMatte


class _SameShot:
    """Everything of a shot as it is, for views that change a little of it."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot

    @property
    def frames(self) -> FrameRange:
        """The frames to fill."""
        return self._shot.frames

    @property
    def reach(self) -> FrameRange:
        """The frames that can be read."""
        return self._shot.reach

    @property
    def plate_window(self) -> Window:
        """The whole plate."""
        return self._shot.plate_window

    def window(self, frame: int) -> Window:
        """Return the crop at ``frame``."""
        return self._shot.window(frame)

    def has_frame(self, frame: int) -> bool:
        """Whether the plate's frame can be read."""
        return self._shot.has_frame(frame)

    def data_window(self, frame: int) -> Window:
        """Return where the plate has pixels at ``frame``."""
        return self._shot.data_window(frame)

    def plate(self, frame: int, window: Window | None = None) -> FloatImage:
        """Return the plate."""
        return self._shot.plate(frame, window)

    def matte(self, frame: int, window: Window | None = None) -> FloatMatte:
        """Return the generation matte."""
        return self._shot.matte(frame, window)

    def input_frames(self, role: InputRole) -> tuple[int, ...]:
        """Return the frames of an optional input."""
        return self._shot.input_frames(role)

    def input(
        self, role: InputRole, frame: int, window: Window | None = None
    ) -> tuple[FloatImage, FloatMatte]:
        """Return an optional input."""
        return self._shot.input(role, frame, window)

    def in_domain(self, domain: ColourDomain) -> Shot:
        """Return the unchanged shot in another domain."""
        return self._shot.in_domain(domain)

    def to_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return pixels of this shot's domain in the working space."""
        return self._shot.to_scene_linear(pixels)

    def from_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return working-space pixels in this shot's domain."""
        return self._shot.from_scene_linear(pixels)


class HeroShot(_SameShot):
    """A scene-linear shot to whose patches generated heroes are added."""

    def __init__(self, shot: Shot, heroes: Mapping[int, Hero]) -> None:
        super().__init__(shot)
        self._heroes = heroes

    def input_frames(self, role: InputRole) -> tuple[int, ...]:
        """Return the frames of an optional input, heroes among the patches."""
        given = super().input_frames(role)
        return tuple(sorted({*given, *self._heroes})) if role is InputRole.PATCH else given

    def input(
        self, role: InputRole, frame: int, window: Window | None = None
    ) -> tuple[FloatImage, FloatMatte]:
        """Return an optional input; on a hero's frame the hero is the patch."""
        hero = self._heroes.get(frame) if role is InputRole.PATCH else None
        if hero is None:
            return super().input(role, frame, window)
        where = self.window(frame) if window is None else window
        return recut(hero.rgb, hero.window, where), recut(hero.alpha, hero.window, where)


class OneFrame(_SameShot):
    """One frame of a shot to be filled, part of it done already.

    ``done`` (h, w) marks pixels of the crop in which ``composite`` (h, w, 3; working space)
    stands in for the plate; ``matte`` (h, w) is what is left to fill.
    """

    def __init__(
        self,
        shot: Shot,
        frame: int,
        composite: FloatImage,
        done: npt.NDArray[np.bool_],
        matte: FloatMatte,
    ) -> None:
        super().__init__(shot)
        self._range = FrameRange(frame, frame)
        self._crop = shot.window(frame)
        self._composite = shot.from_scene_linear(composite) if done.any() else composite
        self._done = done.astype(np.float32)
        self._matte = matte

    @property
    def frames(self) -> FrameRange:
        """The one frame."""
        return self._range

    @property
    def reach(self) -> FrameRange:
        """The one frame: nothing else of the shot is the image engine's business."""
        return self._range

    def plate(self, frame: int, window: Window | None = None) -> FloatImage:
        """Return the plate with what is done in it."""
        where = self._crop if window is None else window
        plate = super().plate(frame, where)
        done = recut(self._done, self._crop, where) > 0
        return np.where(done[..., None], recut(self._composite, self._crop, where), plate)

    def matte(self, frame: int, window: Window | None = None) -> FloatMatte:
        """Return what is left to fill."""
        del frame
        return recut(self._matte, self._crop, self._crop if window is None else window)
