"""Pixels of the sources, brought into the hole at full size.

Coordinates and choices come from the proxies; each pixel of the hole is then sampled once,
from the plate itself, in the signed log domain, and multiplied by the gain that its source
needs there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.alignment import Alignment
from genai_fill_server.engines.cleanplate.encoding import (
    Bytes,
    Floats,
    decode,
    encode,
    without_nonfinite,
)
from genai_fill_server.engines.cleanplate.kernels import lanczos_table, sample
from genai_fill_server.engines.cleanplate.proxies import hole_of
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.service.ports import Shot

Mask = npt.NDArray[np.bool_]

_MARGIN_PX = 4
_LEAST_WEIGHT = 0.05
_SHADE, _HIGHLIGHT = np.float32(np.log1p(0.25 / 0.02)), np.float32(np.log1p(1.0 / 0.02))
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
    height, width = alignment.place.shape[:2]
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    # Displacements, not positions, are interpolated: they stay right at the frame's edge.
    shift = lookup.read(alignment.place - np.dstack([columns, rows]), only)
    place = np.column_stack([lookup.x[only], lookup.y[only]]) + shift
    return np.asarray(place * np.float32(factor) + np.float32((factor - 1) / 2), np.float32)


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


def source_window(place: Floats, plate: Window) -> Window | None:
    """Return the part of the plate (its own coordinates from 0) that samples touch."""
    finite = place[np.isfinite(place).all(axis=1)]
    if len(finite) == 0:
        return None
    low = np.clip(np.floor(finite.min(axis=0)), -1e6, 1e6).astype(int)
    high = np.clip(np.ceil(finite.max(axis=0)), -1e6, 1e6).astype(int)
    window = Window(int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1)
    window = window.grown(_MARGIN_PX).intersection(Window(0, 0, plate.width, plate.height))
    return None if window.is_empty else window


def from_source(shot: Shot, alignment: Alignment, place: Floats) -> tuple[Floats, Mask]:
    """Return encoded samples of a source frame at full-size places, and which exist."""
    plate = shot.plate_window
    window = source_window(place, plate)
    if window is None:
        return np.zeros((len(place), 3), np.float32), np.zeros(len(place), np.bool_)
    at = window.shifted(plate.x0, plate.y0)
    pixels, broken = without_nonfinite(shot.plate(alignment.frame, at))
    blocked = hole_of(shot.matte(alignment.frame, at))
    if broken is not None:
        blocked |= broken
    offset = np.array([window.x0, window.y0], np.float32)
    return in_both_lights(pixels, blocked.astype(np.uint8), place - offset)


def in_both_lights(pixels: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
    """Return encoded samples: of the logarithm in the dark, of light itself in highlights.

    Light is what a lens averages, but beside a lamp its filter rings dark pixels by more than
    they hold; the logarithm does not ring, but pulls narrow peaks down.
    """
    dark, found = sampled(encode(pixels), blocked, place)
    light, _ = sampled(pixels, blocked, place)
    bright = encode(light)
    share = np.clip(bright - _SHADE, 0.0, _HIGHLIGHT - _SHADE) / (_HIGHLIGHT - _SHADE)
    return np.asarray(dark + share * (bright - dark), np.float32), found


def brightened(encoded: Floats, log2_gain: Floats) -> Floats:
    """Multiply encoded pixels by ``2 ** log2_gain`` in linear light."""
    return encode(decode(encoded) * np.exp2(log2_gain))


@dataclass
class Gathered:
    """What sources gave for the pixels of a hole, (n, ...).

    ``encoded`` colours; ``mass`` 0 where nothing was found; ``origin`` the source frame's
    offset from the target in frames.
    """

    encoded: Floats
    mass: Floats
    origin: Floats

    @classmethod
    def empty(cls, count: int) -> Gathered:
        """Return the state before any source was asked."""
        return cls(
            np.zeros((count, 3), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
        )

    def add(self, only: Mask, part: tuple[Floats, Mask], weight: Floats, offset: int) -> None:
        """Add the samples of one source for the pixels marked by ``only``."""
        encoded, found = part
        indices = np.flatnonzero(only)[found]
        own = weight[found]
        self.encoded[indices] += encoded[found] * own[:, None]
        heavier = own > self.mass[indices]
        self.origin[indices[heavier]] = offset
        self.mass[indices] += own

    def normalise(self) -> None:
        """Turn weighted sums into colours."""
        self.encoded /= np.maximum(self.mass, 1e-6)[:, None]
        np.minimum(self.mass, 1.0, out=self.mass)


def take_from(
    shot: Shot, alignment: Alignment, lookup: Lookup, factor: int, only: Mask
) -> tuple[Floats, Mask]:
    """Return the source's pixels (encoded, gain applied) for the hole pixels in ``only``."""
    place = places_of(alignment, lookup, factor, only)
    encoded, found = from_source(shot, alignment, place)
    gain = lookup.of_half().read(alignment.gain, only)
    lit = brightened(encoded, gain)
    if found.any():
        # Light differs smoothly over a hole; a lamp must not come out brighter for it.
        usual = np.median(gain[found], axis=0).astype(np.float32)
        lit = np.minimum(lit, brightened(encoded[found].max(axis=0), np.maximum(usual, 0.0)))
    return lit, found


def weights_of(weights: Floats, lookup: Lookup) -> list[Floats]:
    """Return each source's weight for the hole's pixels, without traces of others."""
    planes = [lookup.read(np.ascontiguousarray(plane)) for plane in weights]
    return [np.where(plane > _LEAST_WEIGHT, plane, 0.0).astype(np.float32) for plane in planes]
