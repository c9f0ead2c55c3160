"""STMaps: where each pixel of a frame lies on a picture that all frames have in common.

Nuke's run from 0 to 1 from the bottom left. Here they are pixels of a picture of the frame's
size, y down as everywhere else: a fit that takes pixels to a mirror image is none to OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.planes import Matrix, moved

Mask = npt.NDArray[np.bool_]

_INVERSE_ROUNDS = 6
_FIT_POINTS = 1024
_LEAST_KNOWN_PX = 64
_LEAST_SPREAD_PX = 2.0
_FIT_PX = 0.5


@dataclass(frozen=True)
class StMap:
    """A frame's map: ``values`` (h, w, 2: x, y), complete, and the plane nearest to its inverse."""

    values: Floats
    to_pixels: Matrix

    def showing(self, wanted: Floats) -> Floats:
        """Return the frame's pixels (h, w, 2) that lie where another's map leads: ``wanted``."""
        guess = by(self.to_pixels, wanted)
        place = guess
        # The plane that fits the map best is nearly its inverse; what it misses shrinks each round.
        for _ in range(_INVERSE_ROUNDS):
            place = place + guess - by(self.to_pixels, read(self.values, place))
        return np.asarray(place, np.float32)


def stmap_of(mapped: Floats, known: Mask) -> StMap | None:
    """Return the map of red and green as Nuke has them (h, w, 2), where they are ``known``.

    What is unknown is completed by the plane that fits what is known, and smoothly by what
    that misses. None where too little is known to tell a plane.
    """
    height, width = known.shape
    values = np.empty_like(mapped)
    values[..., 0] = mapped[..., 0] * np.float32(width)
    values[..., 1] = (np.float32(1.0) - mapped[..., 1]) * np.float32(height)
    places = grid(0, 0, width, height)
    here, there = _some(places, known), _some(values, known)
    if len(here) < _LEAST_KNOWN_PX or _narrowness(here) < _LEAST_SPREAD_PX:
        return None
    inverse = _fit(there, here, 0)
    if known.all():
        return None if inverse is None else StMap(values, inverse)
    plane = _fit(here, there, cv2.USAC_MAGSAC)
    if plane is None:
        plane = _fit(here, there, 0)
    if plane is None or inverse is None:
        return None
    flat = by(plane, places)
    missed = np.where(known[..., None], values - flat, np.float32(0.0))
    completed = flat + pull_push(missed, known.astype(np.float32))
    return StMap(np.where(known[..., None], values, completed).astype(np.float32), inverse)


def grid(x0: int, y0: int, width: int, height: int) -> Floats:
    """Return the places (x, y) of the pixels of a window, (h, w, 2)."""
    columns, rows = np.meshgrid(
        np.arange(x0, x0 + width, dtype=np.float32), np.arange(y0, y0 + height, dtype=np.float32)
    )
    return np.dstack([columns, rows])


def read(field: Floats, place: Floats) -> Floats:
    """Interpolate a field (h, w, c) at places; beyond its edge it goes on as it is there."""
    x = np.ascontiguousarray(place[..., 0], np.float32)
    y = np.ascontiguousarray(place[..., 1], np.float32)
    return np.asarray(
        cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def by(matrix: Matrix, places: Floats) -> Floats:
    """Return where a homography takes places (h, w, 2)."""
    return moved(matrix, places.reshape(-1, 2)).reshape(places.shape)


def _some(places: Floats, known: Mask) -> Floats:
    """Return some of the known of ``places``, spread evenly, (n, 2)."""
    found = np.flatnonzero(known)
    return np.asarray(places.reshape(-1, 2)[found[:: max(1, len(found) // _FIT_POINTS)]])


def _narrowness(points: Floats) -> float:
    """Return how far points (n, 2) are spread across the way in which they are spread most, px."""
    spread = np.cov(points.astype(np.float64).T)
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh(spread)[0])))


def _fit(before: Floats, after: Floats, method: int) -> Matrix | None:
    found, _ = cv2.findHomography(
        before.astype(np.float64), after.astype(np.float64), method, _FIT_PX
    )
    if found is None or not np.isfinite(found).all():
        return None
    return np.asarray(found, np.float64)
