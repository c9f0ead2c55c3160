"""A shot as an engine sees it (`Shot`): any frame, any window, in the engine's domain."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.plate import FrameRange, InputRole, Window
from genai_fill_server.domain.byte_cache import ByteCache
from genai_fill_server.domain.hdr_shoulder import HdrShoulder, shot_peak
from genai_fill_server.service.check_request import CheckedRequest
from genai_fill_server.service.ports import FloatImage, FloatMatte

CACHE_BYTES = 512 * 1024 * 1024

PEAK_FRAMES = 16
"""In how many frames, spread over the range, the shot's brightest value is looked for."""


class ShotView:
    """Reads plate and matte for an engine. Every array it gives is the caller's own.

    In the display domain: linear Rec.709 through the shot's HDR shoulder and the sRGB curve,
    clipped to 0 to 1 (negatives, colours outside Rec.709, are lost to the engine, not to the
    plate). In the scene-linear domain: the working space as it is.
    """

    def __init__(self, checked: CheckedRequest, domain: ColourDomain) -> None:
        self._checked = checked
        self._domain = domain
        self._plate = checked.plate
        self._cache = ByteCache(CACHE_BYTES)

    @property
    def frames(self) -> FrameRange:
        """The frames to fill."""
        return self._checked.request.frame_range

    @property
    def reach(self) -> FrameRange:
        """The frames that may be on disk."""
        return self._checked.request.plate.frame_range

    @cached_property
    def plate_window(self) -> Window:
        """The union of the data windows of every frame on disk."""
        window = Window(0, 0, 0, 0)
        for frame in self.reach:
            if self._plate.has_frame(frame):
                window = window.union(self._plate.header(frame).data_window)
        return window

    @cached_property
    def shoulder(self) -> HdrShoulder:
        """The shot's HDR curve, from the brightest value in its crops.

        From the same few frames wherever a job resumes.
        """
        step = max(1, -(-len(self.frames) // PEAK_FRAMES))
        looked_at = range(self.frames.first, self.frames.last + 1, step)
        peaks = (shot_peak(self._rec709(frame, self.window(frame))) for frame in looked_at)
        return HdrShoulder(max(1.0, *peaks))

    def window(self, frame: int) -> Window:
        """Return the crop; outside ``frames``, that of the nearest frame."""
        nearest = min(max(frame, self.frames.first), self.frames.last)
        return self._checked.crops[nearest]

    def has_frame(self, frame: int) -> bool:
        """Whether the plate's frame is on disk with a header that makes sense."""
        return self._plate.has_frame(frame)

    def data_window(self, frame: int) -> Window:
        """Return where the plate has pixels at ``frame``."""
        return self._plate.header(frame).data_window

    def plate(self, frame: int, window: Window | None = None) -> FloatImage:
        """Return the plate (h, w, 3) in the engine's domain."""
        where = self.window(frame) if window is None else window
        if self._domain is ColourDomain.SCENE_LINEAR:
            return self.working_plate(frame, where).copy()
        shared = self._cache.get((frame, where), lambda: self._display(frame, where))
        return shared.copy()

    def matte(self, frame: int, window: Window | None = None) -> FloatMatte:
        """Return the generation matte (h, w)."""
        where = self.window(frame) if window is None else window
        return self._checked.mattes.generation(frame, where)

    def input_frames(self, role: InputRole) -> tuple[int, ...]:
        """Return the frames that an optional input has, in order."""
        return self._checked.inputs.frames(role)

    def input(
        self, role: InputRole, frame: int, window: Window | None = None
    ) -> tuple[FloatImage, FloatMatte]:
        """Return RGB (h, w, 3) and alpha (h, w) of an optional input, as the port says."""
        whole = role is InputRole.REFERENCE and window is None
        where = self.window(frame) if window is None and not whole else window
        pixels, alpha, colorspace = self._checked.inputs.read(role, frame, where)
        if role.is_colour:
            working = self._checked.colour.to_working(pixels, colorspace)
            return self.from_scene_linear(working), alpha
        return pixels, alpha

    def in_domain(self, domain: ColourDomain) -> ShotView:
        """Return the same shot in another colour domain."""
        return self if domain is self._domain else ShotView(self._checked, domain)

    def to_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return pixels (h, w, 3) of this view's domain in the working space."""
        return self.to_working(pixels)

    def from_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return working-space pixels (h, w, 3) in this view's domain; clipped if display."""
        if self._domain is ColourDomain.SCENE_LINEAR:
            return pixels.copy()
        return self._encoded(self._checked.colour.to_rec709(pixels))

    def working_plate(self, frame: int, window: Window) -> FloatImage:
        """Return the plate in the working space; may be shared, do not write into it."""
        colorspace = self._checked.request.plate.colorspace
        return self._checked.colour.to_working(self._plate.read(frame, window), colorspace)

    def to_working(self, pixels: FloatImage) -> FloatImage:
        """Return an engine's pixels (h, w, 3) in the working space: the way back."""
        if self._domain is ColourDomain.SCENE_LINEAR:
            return pixels
        return self._checked.colour.from_rec709(self.shoulder.decode(pixels))

    def _rec709(self, frame: int, window: Window) -> FloatImage:
        return self._checked.colour.to_rec709(self.working_plate(frame, window))

    def _display(self, frame: int, window: Window) -> FloatImage:
        return self._encoded(self._rec709(frame, window))

    def _encoded(self, rec709: FloatImage) -> FloatImage:
        encoded = self.shoulder.encode(rec709)
        return np.clip(encoded, 0, 1, out=encoded)
