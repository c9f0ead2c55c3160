"""Plates and mattes on disk, read through a cache bounded in bytes (`PlateStore`).

A plate is kept as the file has it, half or float, in bands of whole rows. An engine asks for
the same frame many times, each time for a slightly other window: bands answer all of these
from one reading, where the compression would have to be undone for every window anew.
"""

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
from genai_fill_server.imaging.exr_read import (
    Choice,
    Stored,
    channel_of,
    layer_of,
    read_channel,
    read_header,
    read_layer,
    read_stored_rgb,
    rgb_of,
)
from genai_fill_server.service.frame_ports import FrameHeader
from genai_fill_server.service.ports import FloatImage, FloatMatte

DEFAULT_CACHE_BYTES = 768 * 1024 * 1024
"""Half-float plates of 1080p in reach of a frame fit, and of 4K the rows round a hole."""

BAND_ROWS = 64
"""Rows of a band: as many as EXR compressions pack together, or a multiple.

Not of DWAB's 256, which are undone anew for bands that are not read at once.
"""

MAX_HEADERS = 64
"""How many headers are kept: their metadata may be large, and shots are long."""

_LOCKS = 16


class DiskPlateStore:
    """Opens plates, which share one cache, and mattes."""

    def __init__(self, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._cache = ByteCache(cache_bytes)

    @property
    def held_bytes(self) -> int:
        """How many bytes of plates are kept now; never more than the budget."""
        return self._cache.held_bytes

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
    """The files of one sequence: where they are and what their headers say.

    ``choice``: the channels that are read of them, by which the headers answer.
    """

    def __init__(self, path_pattern: str, frame_range: FrameRange, choice: Choice) -> None:
        self._pattern = path_pattern
        self._range = frame_range
        self._choice = choice
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
        header = read_header(self.path(frame), frame, self._choice)
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
        super().__init__(plate.path_pattern, plate.frame_range, rgb_of(plate.layer, plate.view))
        self._plate = plate
        self._cache = cache
        # Two threads that want the same frame at once shall not both undo its compression.
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def read(self, frame: int, window: Window) -> FloatImage:
        """Return RGB (h, w, 3) in the file's colorspace, as a new array."""
        have = self.header(frame).data_window
        shared = have.intersection(window)
        if shared == window and not window.is_empty:
            pixels = np.empty((window.height, window.width, 3), np.float32)
        else:
            pixels = np.zeros((window.height, window.width, 3), np.float32)
        if shared.is_empty:
            return pixels
        columns = slice(shared.x0 - window.x0, shared.x1 - window.x0)
        inside = slice(shared.x0 - have.x0, shared.x1 - have.x0)
        for band, rows in self._bands(frame, have, shared):
            y0, y1 = max(band.y0, shared.y0), min(band.y1, shared.y1)
            part = rows[y0 - band.y0 : y1 - band.y0, inside]
            pixels[y0 - window.y0 : y1 - window.y0, columns] = part
        return pixels

    def _bands(self, frame: int, have: Window, shared: Window) -> list[tuple[Window, Stored]]:
        """Return the bands of the data window ``have`` that hold ``shared``, with their pixels."""
        first = (shared.y0 - have.y0) // BAND_ROWS
        last = (shared.y1 - 1 - have.y0) // BAND_ROWS
        wanted = range(first, last + 1)
        with self._locks[frame % _LOCKS]:
            found = {number: self._cache.find(self._key(frame, number)) for number in wanted}
            missing = [number for number, rows in found.items() if rows is None]
            if missing and not self.path(frame).lower().endswith(".exr"):
                # Other formats are read from the top, however little is wanted.
                missing = list(range(-(-have.height // BAND_ROWS)))
            for run in _runs(missing):
                found.update(self._read_run(frame, have, run))
        parts = ((_band(have, number), found[number]) for number in wanted)
        return [(band, rows) for band, rows in parts if rows is not None]

    def _read_run(self, frame: int, have: Window, numbers: list[int]) -> dict[int, Stored]:
        """Read neighbouring bands at once and keep each on its own."""
        bands = [_band(have, number) for number in numbers]
        whole = bands[0].union(bands[-1])
        pixels = read_stored_rgb(
            self.path(frame), frame, whole, self._plate.layer, self._plate.view
        )
        found: dict[int, Stored] = {}
        for number, band in zip(numbers, bands, strict=True):
            # A copy: a band that is dropped must not be held by its neighbours.
            rows = pixels[band.y0 - whole.y0 : band.y1 - whole.y0].copy()
            self._cache.put(self._key(frame, number), rows)
            found[number] = rows
        return found

    def _key(self, frame: int, number: int) -> tuple[object, ...]:
        return self._plate, self.path(frame), number


def _band(have: Window, number: int) -> Window:
    """Return one band of a data window."""
    top = have.y0 + number * BAND_ROWS
    return Window(have.x0, top, have.x1, min(have.y1, top + BAND_ROWS))


def _runs(numbers: list[int]) -> list[list[int]]:
    """Return ascending numbers in runs without gaps."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


class DiskMatte(_Sequence):
    """One roto matte (`MatteReader`). Not cached: the service keeps it trimmed."""

    def __init__(self, matte: MatteRef) -> None:
        super().__init__(
            matte.path_pattern, matte.frame_range, channel_of(matte.channel, matte.view)
        )
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
        super().__init__(given.path_pattern, given.frame_range, layer_of(given.layer, given.view))
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
