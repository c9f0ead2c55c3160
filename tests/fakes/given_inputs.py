"""Optional inputs and colour domains for shots that are held in arrays."""

from __future__ import annotations

import copy

import numpy as np

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.plate import Window

_GAMMA = 2.2


class GivenInputs:
    """What a fake `Shot` has beside plate and matte.

    ``given`` maps a role to {frame: (rgb (h, w, 3), alpha (h, w))} of the whole picture, as
    the port hands them out. The fake's own pixels are scene-linear; its display domain is a
    plain power curve, clipped to 0 to 1.
    """

    given: dict = {}  # noqa: RUF012 - replaced, never written into
    domain = ColourDomain.SCENE_LINEAR

    def with_inputs(self, given: dict) -> GivenInputs:
        """Return the same shot with these inputs."""
        other = copy.copy(self)
        other.given = given
        return other

    def input_frames(self, role) -> tuple[int, ...]:
        return tuple(sorted(self.given.get(role, {})))

    def input(self, role, frame, window=None):
        if frame not in self.given.get(role, {}):
            raise MissingFrames(f"{role} has no frame {frame}.", hint="Render it.")
        rgb, alpha = self.given[role][frame]
        rgb = self.from_scene_linear(rgb) if role.is_colour else rgb
        if window is None and role.value == "reference":
            return rgb.copy(), alpha.copy()
        where = window or self.window(frame)
        return cut(rgb, self.plate_window, where), cut(alpha, self.plate_window, where)

    def in_domain(self, domain):
        if domain is self.domain:
            return self
        return _InDomain(self, domain)

    def to_scene_linear(self, pixels):
        return pixels

    def from_scene_linear(self, pixels):
        return pixels


class _InDomain:
    """A scene-linear fake seen in the display domain."""

    def __init__(self, shot, domain) -> None:
        self._shot = shot
        self.domain = domain

    def __getattr__(self, name):
        return getattr(self._shot, name)

    def plate(self, frame, window=None):
        return self.from_scene_linear(self._shot.plate(frame, window))

    def input(self, role, frame, window=None):
        rgb, alpha = self._shot.input(role, frame, window)
        return (self.from_scene_linear(rgb) if role.is_colour else rgb), alpha

    def in_domain(self, domain):
        return self if domain is self.domain else self._shot

    def to_scene_linear(self, pixels):
        return np.clip(pixels, 0, 1).astype(np.float32) ** np.float32(_GAMMA)

    def from_scene_linear(self, pixels):
        return np.clip(pixels, 0, 1).astype(np.float32) ** np.float32(1 / _GAMMA)


def cut(image: np.ndarray, have: Window, window: Window) -> np.ndarray:
    """Return ``image``, which covers ``have``, in ``window``; 0 outside."""
    out = np.zeros((window.height, window.width, *image.shape[2:]), np.float32)
    inner = window.intersection(have)
    if not inner.is_empty:
        mine, there = inner.shifted(-have.x0, -have.y0), inner.shifted(-window.x0, -window.y0)
        out[there.y0 : there.y1, there.x0 : there.x1] = image[mine.y0 : mine.y1, mine.x0 : mine.x1]
    return out
