"""Plates and mattes on disk, read through a cache bounded in bytes (`PlateStore`)."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from genai_fill_contract.errors import GenAIFillError, MissingFrames
from genai_fill_contract.plate import (
    FrameRange,
    InputRef,
    MatteRef,
    PlateRef,
    Window,
    is_still,
    path_at,
)
from genai_fill_server.domain.byte_cache import ByteCache
from genai_fill_server.imaging.exr_read import read_channel, read_header, read_layer, read_rgb
from genai_fill_server.service.frame_ports import FrameHeader
from genai_fill_server.service.ports import FloatImage, FloatMatte

DEFAULT_CACHE_BYTES = 1 << 30

MAX_HEADERS = 64
"""How many headers are kept: their metadata may be large, and shots are long."""


class DiskPlateStore:
    """Opens plates, which share one cache, and mattes."""

    def __init__(self, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._cache = ByteCache(cache_bytes)

    def open_plate(self, plate: PlateRef) -> DiskPlate:
        """Return a reader of ``plate``; touches no file yet."""
        return DiskPlate(plate, self._cache)

    def open_matte(self, matte: MatteRef) -> DiskMatte:
        """Return a reader of ``matte``; touches no file yet."""
        return DiskMatte(matte)

    def open_input(self, given: InputRef) -> DiskInput:
        """Return a reader of an optional input; touches no file yet."""
        return DiskInput(given, self._cache)


class _Sequence:
    """The files of one sequence: where they are and what their headers say."""

    def __init__(self, path_pattern: str, frame_range: FrameRange) -> None:
        self._pattern = path_pattern
        self._range = frame_range
        self._headers: OrderedDict[int, FrameHeader] = OrderedDict()
        self._usable: dict[int, bool] = {}
        self._lock = threading.Lock()

    def path(self, frame: int) -> str:
        """Return the file of ``frame``."""
        return path_at(self._pattern, frame)

    def _covers(self, frame: int) -> bool:
        """Whether the sequence has the frame at all; one still stands for every frame."""
        return frame in self._range or is_still(self._pattern)

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Return the frames that are out of range or not on disk."""
        return tuple(
            frame
            for frame in frames
            # Unlike Path.is_file(), false also where a folder may not be entered.
            if not self._covers(frame) or not os.path.isfile(self.path(frame))  # noqa: PTH113
        )

    def header(self, frame: int) -> FrameHeader:
        """Return a frame's header; the last few are kept."""
        with self._lock:
            if frame in self._headers:
                return self._headers[frame]
        if not self._covers(frame):
            raise MissingFrames(
                f"Frame {frame} is outside the range {self._range} of {self._pattern}.",
                hint="Widen the range of the input, or shorten the frame range.",
                frame=frame,
            )
        header = read_header(self.path(frame), frame)
        with self._lock:
            self._headers[frame] = header
            if len(self._headers) > MAX_HEADERS:
                self._headers.popitem(last=False)
        return header

    def has_frame(self, frame: int) -> bool:
        """Whether `header` succeeds; asked of the disk once a frame."""
        if frame not in self._usable:
            try:
                self.header(frame)
            except GenAIFillError:
                self._usable[frame] = False
            else:
                self._usable[frame] = True
        return self._usable[frame]


class DiskPlate(_Sequence):
    """One plate (`PlateReader`)."""

    def __init__(self, plate: PlateRef, cache: ByteCache) -> None:
        super().__init__(plate.path_pattern, plate.frame_range)
        self._plate = plate
        self._cache = cache

    def read(self, frame: int, window: Window) -> FloatImage:
        """Return RGB (h, w, 3) in the file's colorspace, read-only, shared by the cache."""
        self.header(frame)
        key = (self._plate, frame, window)
        return self._cache.get(key, lambda: self._read(frame, window))

    def _read(self, frame: int, window: Window) -> FloatImage:
        path = self.path(frame)
        return read_rgb(path, frame, window, self._plate.layer, self._plate.view)


class DiskMatte(_Sequence):
    """One roto matte (`MatteReader`). Not cached: the service keeps it trimmed."""

    def __init__(self, matte: MatteRef) -> None:
        super().__init__(matte.path_pattern, matte.frame_range)
        self._matte = matte

    def read(self, frame: int, window: Window) -> FloatMatte:
        """Return the matte (h, w), 0 to 1, inverted if so asked."""
        self.header(frame)
        raw = read_channel(self.path(frame), frame, window, self._matte.channel, self._matte.view)
        matte = raw
        if not (raw.min(initial=0) >= 0 and raw.max(initial=0) <= 1):  # NaN fails both
            finite = np.nan_to_num(raw, nan=0.0, posinf=1.0, neginf=0.0)
            matte = np.clip(finite, 0, 1).astype(np.float32, copy=False)
        return np.float32(1) - matte if self._matte.invert else matte


class DiskInput(_Sequence):
    """One optional input (`InputReader`)."""

    def __init__(self, given: InputRef, cache: ByteCache) -> None:
        super().__init__(given.path_pattern, given.frame_range)
        self._given = given
        self._cache = cache

    def read(self, frame: int, window: Window) -> tuple[FloatImage, FloatMatte]:
        """Return RGB (h, w, 3) and alpha (h, w), read-only, shared by the cache."""
        self.header(frame)
        key = (self._given, frame, window)
        rgba = self._cache.get(key, lambda: self._read(frame, window))
        return rgba[..., :3], rgba[..., 3]

    def _read(self, frame: int, window: Window) -> FloatImage:
        return read_layer(self.path(frame), frame, window, self._given.layer, self._given.view)
