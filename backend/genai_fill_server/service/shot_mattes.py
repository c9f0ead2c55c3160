"""The matte of every frame: read once, kept trimmed, shaped on demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genai_fill_contract.fill import MatteShaping
from genai_fill_contract.plate import MatteRef, Window, is_still
from genai_fill_server.domain.byte_cache import ByteCache
from genai_fill_server.domain.matte_shaping import margin_px, reach_px, shape_matte
from genai_fill_server.domain.pixel_windows import recut, slices, support
from genai_fill_server.service.frame_ports import MatteReader
from genai_fill_server.service.ports import FloatMatte

EMPTY = Window(0, 0, 0, 0)

CACHE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class ShapedMatte:
    """Both mattes of a frame over ``window``, outside which they are 0. Read-only arrays."""

    window: Window
    generation: FloatMatte
    blend: FloatMatte


class ShotMattes:
    """Reads, trims and shapes the mattes of a shot within a bounded number of bytes."""

    def __init__(
        self, reader: MatteReader, matte: MatteRef, shaping: MatteShaping, bounds: Window
    ) -> None:
        self._reader = reader
        self._shaping = shaping
        self._bounds = bounds
        self._inverted = matte.invert
        self._still = is_still(matte.path_pattern)
        self._range = matte.frame_range
        self._drawn: dict[int, Window] = {}
        self._cache = ByteCache(CACHE_BYTES)

    def drawn_window(self, frame: int) -> Window:
        """Return where the artist's matte is not 0, within the plate; empty if nowhere."""
        key = self._key(frame)
        if key not in self._drawn:
            self._trimmed(frame)
        return self._drawn[key]

    def reach_window(self, frame: int) -> Window:
        """Return a window that holds the shaped matte, cut at the plate; empty if nothing is."""
        drawn = self.drawn_window(frame)
        if drawn.is_empty:
            return EMPTY
        if self._shaping.grow_px < 0:
            shaped = self.shaped(frame)
            return support(shaped.generation, shaped.window)
        return drawn.grown(reach_px(self._shaping)).intersection(self._bounds)

    def shaped(self, frame: int) -> ShapedMatte:
        """Return the generation and blend mattes of ``frame``.

        A frame outside the matte's range has none: nothing is drawn there.
        """
        drawn = self.drawn_window(frame) if frame in self._range or self._still else EMPTY
        if drawn.is_empty:
            nothing = np.zeros((0, 0), dtype=np.float32)
            return ShapedMatte(EMPTY, nothing, nothing)
        window = drawn.grown(margin_px(self._shaping)).intersection(self._bounds)
        both = self._cache.get(("shaped", self._key(frame)), lambda: self._shape(frame, window))
        return ShapedMatte(window, both[0], both[1])

    def generation(self, frame: int, window: Window) -> FloatMatte:
        """Return the generation matte of ``frame`` in any window, as a new array."""
        shaped = self.shaped(frame)
        return recut(shaped.generation, shaped.window, window)

    def _shape(self, frame: int, window: Window) -> FloatMatte:
        drawn = self.drawn_window(frame)
        raw = recut(self._trimmed(frame), drawn, window)
        return np.stack(shape_matte(raw, self._shaping))

    def _trimmed(self, frame: int) -> FloatMatte:
        return self._cache.get(("drawn", self._key(frame)), lambda: self._read_trimmed(frame))

    def _read_trimmed(self, frame: int) -> FloatMatte:
        header = self._reader.header(frame)
        # Inverted, everything outside what is in the file is drawn.
        looked_at = (
            self._bounds if self._inverted else header.data_window.intersection(self._bounds)
        )
        if looked_at.is_empty:
            self._drawn[self._key(frame)] = EMPTY
            return np.zeros((0, 0), dtype=np.float32)
        matte = self._reader.read(frame, looked_at)
        drawn = support(matte, looked_at)
        self._drawn[self._key(frame)] = drawn
        return matte[slices(drawn, looked_at)].copy()

    def _key(self, frame: int) -> int:
        return self._range.first if self._still else frame
