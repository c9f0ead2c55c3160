"""Pixels of the sources, brought into the hole at full size.

Coordinates and choices come from the proxies; each pixel of the hole is then sampled once,
from the plate itself, in the signed log domain, and multiplied by the gain that its source
needs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.alignment import Alignment
from genai_fill_server.engines.cleanplate.borders import Border
from genai_fill_server.engines.cleanplate.device import Gathered, Source
from genai_fill_server.engines.cleanplate.encoding import (
    Bytes,
    Floats,
    decode,
    encode,
    without_broken,
)
from genai_fill_server.engines.cleanplate.kernels import lanczos_table, look, sample
from genai_fill_server.engines.cleanplate.proxies import hole_of
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one
from genai_fill_server.service.ports import Shot

Mask = npt.NDArray[np.bool_]

_MARGIN_PX = 4
_PART_PX = 1 << 18
LEAST_WEIGHT = 0.05
SHADE, HIGHLIGHT = np.float32(np.log1p(0.25 / 0.02)), np.float32(np.log1p(1.0 / 0.02))
LAMP_STOPS = np.float32(2.0)
FEW = 1 << 13
"""How many pixels of a hole tell its middle."""

_TABLE = lanczos_table()


@dataclass(frozen=True)
class Holes:
    """The pixels to fill of one frame: ``rows`` and ``columns`` in the plate window, (n,).

    ``box`` is the window round them in the same coordinates.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    box: Window

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Lookup:
    """Where the pixels of a hole lie in the planes of a region, (n,) each, proxy pixels."""

    x: Floats
    y: Floats

    @classmethod
    def of(cls, holes: Holes, region: Region, factor: int) -> Lookup:
        """Return the places of ``holes`` in ``region``, for proxies reduced by ``factor``."""
        scale = np.float32(1.0 / factor)
        x = (holes.columns.astype(np.float32) + 0.5) * scale - 0.5 - region.x0
        y = (holes.rows.astype(np.float32) + 0.5) * scale - 0.5 - region.y0
        return cls(x.astype(np.float32), y.astype(np.float32))

    def of_half(self) -> Lookup:
        """Return the same places in planes of half the region's size."""
        half, quarter = np.float32(0.5), np.float32(0.25)
        return Lookup(self.x * half - quarter, self.y * half - quarter)

    def read(self, plane: Floats, only: Mask | None = None) -> Floats:
        """Interpolate ``plane`` (h, w) or (h, w, c) at the places: (n,) or (n, c)."""
        x, y = (self.x, self.y) if only is None else (self.x[only], self.y[only])
        # remap wants a picture of coordinates, with sides below 32768.
        width = 4096
        rows = -(-max(len(x), 1) // width)
        shape_x, shape_y = np.zeros((2, rows * width), np.float32)
        shape_x[: len(x)], shape_y[: len(y)] = x, y
        read = cv2.remap(
            plane,
            shape_x.reshape(rows, width),
            shape_y.reshape(rows, width),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(read.reshape(rows * width, *plane.shape[2:])[: len(x)], np.float32)


def places_of(alignment: Alignment, lookup: Lookup, factor: int, only: Mask) -> Floats:
    """Return where hole pixels lie in the source's plate, (n, 2) full-size pixels."""
    return shifted(shift_of(alignment), lookup, factor, only)


def shift_of(alignment: Alignment) -> Floats:
    """Return how far away each pixel of a region lies on the source, (h, w, 2) proxy pixels."""
    height, width = alignment.place.shape[:2]
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return np.asarray(alignment.place - np.dstack([columns, rows]), np.float32)


def shifted(shift: Floats, lookup: Lookup, factor: int, only: Mask) -> Floats:
    """Return where hole pixels lie in a plate that is ``shift`` away, (n, 2) full-size pixels."""
    # Displacements, not positions, are interpolated: they stay right at the frame's edge.
    place = np.column_stack([lookup.x[only], lookup.y[only]]) + lookup.read(shift, only)
    return np.asarray(place * np.float32(factor) + np.float32((factor - 1) / 2), np.float32)


def parts(count: int) -> list[slice]:
    """Return slices that together hold the pixels of a hole, each some milliseconds of work."""
    return [slice(start, start + _PART_PX) for start in range(0, count, _PART_PX)]


def sampled(encoded: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
    """Return Lanczos samples (n, 3) of an encoded image and which of them exist."""
    out = np.zeros((len(place), 3), np.float32)
    found = np.zeros(len(place), np.uint8)
    sample(
        np.ascontiguousarray(encoded),
        np.ascontiguousarray(blocked),
        np.ascontiguousarray(place),
        _TABLE,
        out,
        found,
    )
    return out, found > 0


def source_window(place: Floats, width: int, height: int) -> Window | None:
    """Return the part of a plate (its own coordinates from 0) that samples touch."""
    finite = place[np.isfinite(place).all(axis=1)]
    if len(finite) == 0:
        return None
    low = np.clip(np.floor(finite.min(axis=0)), -1e6, 1e6).astype(int)
    high = np.clip(np.ceil(finite.max(axis=0)), -1e6, 1e6).astype(int)
    return touched((int(low[0]), int(low[1])), (int(high[0]), int(high[1])), width, height)


def touched(low: tuple[int, int], high: tuple[int, int], width: int, height: int) -> Window | None:
    """Return the window that the filter touches for samples from ``low`` to ``high`` (x, y)."""
    window = Window(low[0], low[1], high[0] + 1, high[1] + 1)
    window = window.grown(_MARGIN_PX).intersection(Window(0, 0, width, height))
    return None if window.is_empty else window


def source_of(shot: Shot, alignment: Alignment, frame: int, border: Border) -> Source:
    """Return an aligned frame, which is no picture beyond ``border``, as a source for ``frame``."""
    plate = shot.plate_window
    return Source(
        offset=alignment.frame - frame,
        shift=shift_of(alignment),
        gain=alignment.gain,
        width=plate.width,
        height=plate.height,
        pixels=partial(_pixels_of, shot, alignment.frame, border),
        covered=partial(_covered_of, shot, alignment.frame, border),
    )


def _covered_of(shot: Shot, frame: int, border: Border, window: Window) -> Bytes:
    """Return 1 where a frame's matte is, or no picture."""
    at = window.shifted(shot.plate_window.x0, shot.plate_window.y0)
    covered = hole_of(shot.matte(frame, at))
    border.close(covered, window)
    return covered.view(np.uint8)


def _pixels_of(shot: Shot, frame: int, border: Border, window: Window) -> tuple[Floats, Bytes]:
    """Return a frame's linear pixels, and 1 where none may be taken."""
    at = window.shifted(shot.plate_window.x0, shot.plate_window.y0)
    pixels, broken = without_broken(shot.plate(frame, at))
    blocked = hole_of(shot.matte(frame, at))
    border.close(blocked, window)
    if broken is not None:
        blocked |= broken
    return pixels, blocked.astype(np.uint8)


def from_source(source: Source, place: Floats) -> tuple[Floats, Mask]:
    """Return encoded samples of a source frame at full-size places, and which exist."""
    window = source_window(place, source.width, source.height)
    if window is None:
        return np.zeros((len(place), 3), np.float32), np.zeros(len(place), np.bool_)
    pixels, blocked = source.pixels(window)
    return in_both_lights(pixels, blocked, place - np.array([window.x0, window.y0], np.float32))


def in_both_lights(pixels: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
    """Return encoded samples: of the logarithm in the dark, of light itself in highlights.

    Light is what a lens averages, but beside a lamp its filter rings dark pixels by more than
    they hold; the logarithm does not ring, but pulls narrow peaks down.
    """
    dark, found = sampled(encode(pixels), blocked, place)
    light, _ = sampled(pixels, blocked, place)
    bright = encode(light)
    share = np.clip(bright - SHADE, 0.0, HIGHLIGHT - SHADE) / (HIGHLIGHT - SHADE)
    return np.asarray(dark + share * (bright - dark), np.float32), found


def brightened(encoded: Floats, log2_gain: Floats) -> Floats:
    """Multiply encoded pixels by ``2 ** log2_gain`` in linear light."""
    return encode(decode(encoded) * np.exp2(log2_gain))


def visible(source: Source, lookup: Lookup, factor: int, only: Mask) -> Mask:
    """Return which hole pixels in ``only`` (n,) a source may show: all that it does, and some.

    What is asked is its matte alone, which costs a fraction of its pixels.
    """
    if source.covered is None:
        return only
    place = shifted(source.shift, lookup, factor, only)
    window = source_window(place, source.width, source.height)
    seen = np.zeros_like(only)
    if window is not None:
        covered = np.ascontiguousarray(source.covered(window))
        offset = np.array([window.x0, window.y0], np.float32)
        found = np.zeros(len(place), np.uint8)
        look(covered, np.ascontiguousarray(place - offset), found)
        seen[only] = found > 0
    return seen


def taken_from(
    sources: Sequence[Source], wanted: Sequence[Mask], lookup: Lookup, factor: int, run: Runner
) -> list[tuple[Floats, Mask]]:
    """Return each source's pixels (encoded, gain applied) for the hole pixels it is ``wanted`` for.

    Large parts of a hole are cut up, so that all threads work on them and a cancel is noticed.
    """
    places = run(
        [
            partial(shifted, source.shift, lookup, factor, only)
            for source, only in zip(sources, wanted, strict=True)
        ]
    )
    cuts = [(index, part) for index, place in enumerate(places) for part in parts(len(place))]
    pieces = run([partial(from_source, sources[i], places[i][part]) for i, part in cuts])
    encoded = [np.empty((len(place), 3), np.float32) for place in places]
    found = [np.empty(len(place), np.bool_) for place in places]
    for (index, part), piece in zip(cuts, pieces, strict=True):
        encoded[index][part], found[index][part] = piece

    def lit(index: int, beside: Runner) -> Floats:
        if not found[index].any():
            return encoded[index]
        gain = lookup.of_half().read(sources[index].gain(), wanted[index])
        return within_reason(encoded[index], gain, found[index], beside)

    # What is small has a thread for itself, what is large has all of them.
    small = [index for index, colours in enumerate(encoded) if len(colours) <= _PART_PX]
    for index, colours in zip(
        small, run([partial(lit, i, one_by_one) for i in small]), strict=True
    ):
        encoded[index] = colours
    for index in sorted(set(range(len(encoded))) - set(small)):
        encoded[index] = lit(index, run)
    return list(zip(encoded, found, strict=True))


def within_reason(encoded: Floats, gain: Floats, found: Mask, run: Runner = one_by_one) -> Floats:
    """Return ``encoded`` (n, 3) brightened by ``gain``, without light that nothing has.

    Light differs smoothly over a hole: a lamp must not come out brighter for it than by the
    usual gain, nor negative light more negative. What is within `LAMP_STOPS` of the middle is
    no lamp. ``run`` may share the work out.
    """
    lit = np.empty_like(encoded)

    def light(part: slice) -> None:
        lit[part] = brightened(encoded[part], gain[part])

    run([partial(light, part) for part in parts(len(encoded))])
    if not found.any():
        return lit
    gains, colours = gain[found], encoded[found]
    usual = np.maximum(np.median(gains, axis=0).astype(np.float32), np.float32(0.0))
    most = brightened(colours.max(axis=0), usual)
    some = colours[:: max(1, len(colours) // FEW)]
    middle = np.median(some, axis=0).astype(np.float32)
    most = np.maximum(most, brightened(middle, gains.max(axis=0) + LAMP_STOPS))
    least = np.minimum(brightened(colours.min(axis=0), usual), np.float32(0.0))
    most = np.maximum(most, least)

    def hold(part: slice) -> None:
        np.clip(lit[part], least, most, out=lit[part])

    run([partial(hold, part) for part in parts(len(lit))])
    return lit


def weights_of(weights: Floats, lookup: Lookup, run: Runner = one_by_one) -> list[Floats]:
    """Return each source's weight for the hole's pixels, without traces of others."""
    nothing = np.zeros(len(lookup.x), np.float32)

    def read(plane: Floats) -> Floats:
        if not plane.any():
            return nothing
        share = lookup.read(plane)
        share[share <= LEAST_WEIGHT] = 0.0
        return share

    return run([partial(read, plane) for plane in weights])


def gather(
    sources: Sequence[Source], weights: Floats, lookup: Lookup, factor: int, run: Runner
) -> Gathered:
    """Return what the sources give for a hole's pixels, ``weights`` (n, h, w) deciding."""
    gathered = Gathered.empty(len(lookup.x))
    shares = weights_of(weights, lookup, run)
    wanted = [share > 0.0 for share in shares]
    taken = taken_from(sources, wanted, lookup, factor, run)
    for part, source, only, share in zip(taken, sources, wanted, shares, strict=True):
        gathered.add(only, part, share[only], source.offset)
    # What the chosen source turned out not to show at full size, another may.
    missing = gathered.mass <= 0.0
    if not missing.any():
        return gathered
    maybe = run([partial(visible, source, lookup, factor, missing) for source in sources])
    for source, seen in zip(sources, maybe, strict=True):
        only = seen & (gathered.mass <= 0.0)
        if not only.any():
            continue
        (part,) = taken_from([source], [only], lookup, factor, run)
        gathered.add(only, part, np.ones(int(only.sum()), np.float32), source.offset)
    return gathered
