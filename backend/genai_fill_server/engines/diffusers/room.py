"""What a call takes on the device beside the weights, by its picture and its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LEAST_SHARE = 0.25
"""Of a native call's memory: some of it does not shrink with the picture."""
_LEAST_SIDE = 0.25


@dataclass(frozen=True)
class CallSize:
    """The pictures of one call: their sides in pixels, as the model gets them, and how many."""

    height: int
    width: int
    frames: int = 1

    def __str__(self) -> str:
        """Return it in words."""
        many = f"{self.frames} frames of " if self.frames > 1 else ""
        return f"{many}{self.width} × {self.height} px"


@dataclass(frozen=True)
class Room:
    """What calls take: ``native_gb`` (2**30 bytes) for the family's native picture and window.

    ``native_px`` is the side of that picture, ``native_frames`` the length of that window,
    which has a multiple of ``frame_multiple`` frames and one more. Activations grow with the
    number of pixels; attention is computed in blocks and takes no square of it.
    """

    native_gb: float
    native_px: int
    native_frames: int = 1
    frame_multiple: int = 1

    def of(self, call: CallSize) -> float:
        """Return the GB that ``call`` takes."""
        share = call.height * call.width * call.frames / self._native
        return self.native_gb * max(_LEAST_SHARE, share)

    def that_fits(self, call: CallSize, free_gb: float) -> str:
        """Return in words what would fit into ``free_gb``, "" where nothing worth it does."""
        share = free_gb / self.native_gb if self.native_gb > 0 else math.inf
        if share < _LEAST_SHARE:
            return ""
        if call.frames > 1:
            frames = int(share * self._native / (call.height * call.width))
            frames = (frames - 1) // self.frame_multiple * self.frame_multiple + 1
            if frames > self.frame_multiple:
                return f"Windows of {min(frames, call.frames)} frames would fit at this size."
        side = int(math.sqrt(share * self._native / call.frames)) // 16 * 16
        if side < _LEAST_SIDE * self.native_px:
            return ""
        return f"A crop of about {side} × {side} px would fit."

    @property
    def _native(self) -> float:
        return float(self.native_px**2 * max(1, self.native_frames))
