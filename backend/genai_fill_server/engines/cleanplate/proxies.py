"""Small versions of the frames: what motion, choice of sources and gains are computed on.

A proxy covers the whole plate, reduced by a whole factor so that its pixels are exact
averages of plate pixels: no resampling error enters the motion. Plate coordinates here
start at the plate window's top left.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.borders import (
    EMPTY_SHARE,
    close_outside,
    data_window,
    empty_border,
)
from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.encoding import (
    Bytes,
    Floats,
    Levels,
    luma,
    without_broken,
)
from genai_fill_server.engines.cleanplate.reduction import any_above
from genai_fill_server.service.ports import FloatMatte, Shot, Watch

MATTE_THRESHOLD = 1.0 / 1024.0
"""A matte above this may hide something: such pixels are filled and never used as sources."""

PROXY_SIDE_PX = 1024
"""The longer side of a proxy stays at or below this."""

STRIP_ROWS = 128
"""Rows of a plate that are reduced at once, about."""

_VALID = np.uint8(255)
_MOST_AHEAD = 6
_NEXT = 3


@dataclass(frozen=True)
class Proxy:
    """One frame, reduced by ``factor``.

    ``levels`` are bytes of `Levels`; ``valid`` is 255 where a pixel may be used and 0 under
    the matte, on NaN and where the file has no data; ``light`` is linear RGB at half the
    proxy's size, with ``light_valid`` from 0 to 1. ``hole`` is True where the matte is,
    ``empty`` where some of an `empty_border` is; None: there is none.
    """

    frame: int
    levels: Bytes
    valid: Bytes
    hole: npt.NDArray[np.bool_]
    light: Floats
    light_valid: Floats
    empty: npt.NDArray[np.bool_] | None = None


def proxy_factor(width: int, height: int) -> int:
    """Return the whole factor by which a plate is reduced for analysis."""
    return max(1, -(-max(width, height) // PROXY_SIDE_PX))


def hole_of(matte: FloatMatte) -> npt.NDArray[np.bool_]:
    """Return where a matte asks for new pixels. NaN counts as matte."""
    return np.asarray(~(matte <= MATTE_THRESHOLD), np.bool_)


@dataclass(frozen=True)
class _Strip:
    """Some rows of a plate: colours and hole at the proxy's size, and what may be amiss.

    ``black`` are the edges (top, bottom, left, right) where they are exactly black.
    """

    rgb: Floats
    hole: npt.NDArray[np.bool_]
    is_broken: bool
    black: tuple[npt.NDArray[np.bool_], ...]


@dataclass(frozen=True)
class _Whole:
    """A plate at the proxy's size: colours, where they may be used, its empty border."""

    rgb: Floats
    usable: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_] | None


def _may_be_empty(strips: list[_Strip]) -> bool:
    """Whether a plate in strips has an edge that is as good as black all along."""
    left, right = (np.concatenate([strip.black[side] for strip in strips]) for side in (2, 3))
    edges = (strips[0].black[0], strips[-1].black[1], left, right)
    return any(bool(edge.mean() > EMPTY_SHARE) for edge in edges)


class Proxies:
    """Makes and keeps the proxies of a shot; the oldest are dropped beyond ``capacity``.

    Asked by one thread. Others may make proxies ahead of it: what a proxy holds depends on
    its frame alone.
    """

    def __init__(self, shot: Shot, watch: Watch, device: Device, capacity: int) -> None:
        self._shot = shot
        self._watch = watch
        self._device = device
        self._capacity = max(4, capacity)
        self._kept: OrderedDict[int, Proxy | None] = OrderedDict()
        self._coming: dict[int, Future[Proxy | None]] = {}
        self._threads: Executor | None = None
        self._expected: range = range(0)
        self._last_made = shot.reach.first
        window = shot.plate_window
        self.factor = proxy_factor(window.width, window.height)
        self.width = -(-window.width // self.factor)
        self.height = -(-window.height // self.factor)

    def expect(self, frames: range) -> None:
        """Say what will be asked for later: begun with where `look_ahead` leaves threads idle."""
        self._expected = frames

    def look_ahead(self, frames: Iterable[int], threads: Executor) -> None:
        """Begin with the next proxies of ``frames`` on other threads, a few at a time.

        Only a guess at what is asked next: what fails here fails when it is asked for.
        """
        self._threads = threads
        for frame in [frame for frame, future in self._coming.items() if future.done()]:
            self._take_in(frame)
        for frame in chain(frames, self._expected):
            if len(self._coming) >= _MOST_AHEAD:
                break
            if frame not in self._kept and frame not in self._coming:
                self._coming[frame] = threads.submit(self._make, frame)

    def forget_threads(self) -> None:
        """Use the threads of `look_ahead` no more: they are about to end. Others may follow."""
        self._threads = None
        for future in self._coming.values():
            future.cancel()
        self._coming.clear()

    def _take_in(self, frame: int) -> None:
        """Keep a proxy made ahead, unless making it failed or was called off."""
        future = self._coming.pop(frame)
        if future.cancelled():
            return  # waiting for one that was cancelled unbegun has no end
        wait([future])
        if not future.cancelled() and future.exception() is None:
            self._keep(frame, future.result())

    def soon(self, frame: int) -> Future[Proxy | None] | None:
        """Return a proxy that is made or being made; None for one that nobody has begun with."""
        if frame not in self._kept:
            return self._coming.get(frame)
        made: Future[Proxy | None] = Future()
        made.set_result(self._kept[frame])
        return made

    def get(self, frame: int) -> Proxy | None:
        """Return the proxy of ``frame``, None when its plate or matte is not there."""
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        self._watch.check()
        self._go_on_from(frame)
        if frame in self._coming:
            self._take_in(frame)
        if frame not in self._kept:
            self._keep(frame, self._make(frame))
        return self._kept[frame]

    def _go_on_from(self, frame: int) -> None:
        """Begin with the frames after one that is asked for, where they are asked in order."""
        onward = frame - self._last_made
        self._last_made = frame
        if self._threads is not None and abs(onward) == 1:
            reach = self._shot.reach
            following = range(frame + onward, frame + (_NEXT + 1) * onward, onward)
            self.look_ahead([one for one in following if one in reach], self._threads)

    def _keep(self, frame: int, proxy: Proxy | None) -> None:
        self._kept[frame] = proxy
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _make(self, frame: int) -> Proxy | None:
        if frame not in self._shot.reach or not self._shot.has_frame(frame):
            return None
        try:
            strips = [self._strip(frame, window) for window in self._windows()]
        except MissingFrames:
            # Where the matte is unknown the object may be in view: no source.
            return None
        rgb = np.concatenate([strip.rgb for strip in strips])
        hole = np.concatenate([strip.hole for strip in strips])
        if any(s.is_broken for s in strips) or _may_be_empty(strips) or self._is_cut(frame):
            whole = self._of_whole(frame)
            return self._reduced(frame, whole.rgb, whole.usable, hole, whole.empty)
        return self._reduced(frame, rgb, ~hole, hole)

    def _is_cut(self, frame: int) -> bool:
        """Whether a frame's data window leaves some of the plate out."""
        return not self._shot.data_window(frame).contains(self._shot.plate_window)

    def _windows(self) -> list[Window]:
        """Return the plate's window in strips of whole rows of the proxy.

        A strip stays in the processor's cache from one pass over it to the next, and takes
        its memory from what the strip before gave back; a whole plate does neither.
        """
        plate = self._shot.plate_window
        rows = max(1, STRIP_ROWS // self.factor) * self.factor
        tops = range(plate.y0, plate.y1, rows)
        return [Window(plate.x0, top, plate.x1, min(top + rows, plate.y1)) for top in tops]

    def _strip(self, frame: int, window: Window) -> _Strip:
        plate, broken = without_broken(self._shot.plate(frame, window))
        matte = self._shot.matte(frame, window)
        black = (plate[0], plate[-1], plate[:, 0], plate[:, -1])
        return _Strip(
            self._device.reduced(plate, self.factor),
            any_above(matte, self.factor, MATTE_THRESHOLD),
            broken is not None,
            tuple(np.asarray(~edge.any(axis=-1), np.bool_) for edge in black),
        )

    def _of_whole(self, frame: int) -> _Whole:
        """Return a plate with pixels that are no numbers or no data, at the proxy's size."""
        window = self._shot.plate_window
        plate, broken = without_broken(self._shot.plate(frame, window))
        unusable = hole_of(self._shot.matte(frame, window))
        empty = empty_border(plate)
        for more in (broken, empty):
            if more is not None:
                unusable |= more
        close_outside(
            unusable, window.shifted(-window.x0, -window.y0), data_window(self._shot, frame)
        )
        usable = self._device.reduced((~unusable).astype(np.float32), self.factor) > 0.999
        small = None if empty is None else any_above(empty.astype(np.float32), self.factor, 0.0)
        return _Whole(self._device.reduced(plate, self.factor), usable, small)

    def _reduced(
        self,
        frame: int,
        rgb: Floats,
        usable: npt.NDArray[np.bool_],
        hole: npt.NDArray[np.bool_],
        empty: npt.NDArray[np.bool_] | None = None,
    ) -> Proxy:
        """Return the proxy of a plate; all arrays are of the proxy's size."""
        light = luma(rgb)
        levels = Levels.of(light, usable).bytes_of(light)
        weight = usable.astype(np.float32)
        half_weight = self._device.reduced(weight, 2)
        half = self._device.reduced(rgb * weight[..., None], 2)
        half /= np.maximum(half_weight, 1e-6)[..., None]
        return Proxy(
            frame=frame,
            levels=levels,
            valid=np.where(usable, _VALID, np.uint8(0)),
            hole=hole,
            light=half,
            light_valid=half_weight,
            empty=empty,
        )
