"""The sizes of a picture that texture is synthesised on, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.level_kernels import enlarge_field, paint_enlarged
from genai_fill_server.engines.cleanplate.waves import Runner, bands, one_by_one

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.int32]

RADIUS = 3
_SMALLEST_SIDE_PX = 24
_TEXTURE_WEIGHT = 2.0
_COARSE_THICKNESS_PX = 6.0


@dataclass
class Level:
    """One size of the picture, padded by the patch radius.

    ``image`` (h, w, 5) holds three colours and two texture planes; both are repainted.
    ``thickness_px`` is how far the hole's innermost pixel lies from its edge.
    """

    image: Floats
    hole: Mask
    allowed: Mask
    thickness_px: float

    def copy(self) -> Level:
        """Return a level whose picture may be painted on its own."""
        return Level(self.image.copy(), self.hole, self.allowed, self.thickness_px)


def thickness(hole: Mask) -> float:
    """Return how far the innermost pixel of ``hole`` lies from its edge."""
    return float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max())


def pyramid(
    encoded: Floats,
    start: Floats,
    unknown: Mask,
    check: Callable[[], None],
    run: Runner = one_by_one,
) -> list[Level]:
    """Return the levels, the full size first; none where there is nothing to copy from.

    ``check`` is called often and may cancel; ``run`` may share the work out to threads.
    """
    levels: list[Level] = []
    image, known = np.where(unknown[..., None], start, encoded), (~unknown).astype(np.float32)
    while True:
        check()
        thick = thickness(known < 0.999)
        check()
        level = _level(image, known < 0.999, thick, run)
        check()
        if not level.allowed.any():
            break
        levels.append(level)
        height, width = known.shape
        if min(height, width) < 2 * _SMALLEST_SIDE_PX or thick <= _COARSE_THICKNESS_PX:
            break
        half_known = half(known)
        reduced = half(image * known[..., None])
        check()
        mean = np.asarray(reduced / np.maximum(half_known, 1e-6)[..., None], np.float32)
        check()
        filled = pull_push(mean, (half_known > 0.3).astype(np.float32), run)
        # A reduced pixel that is partly known is known: holes must shrink, not grow.
        image, known = filled, (half_known > 0.3).astype(np.float32)
    return levels


def half(plane: Floats) -> Floats:
    """Return means of 2 x 2 pixels of (h, w[, c]), an odd edge repeated."""
    height, width = plane.shape[:2]
    padded = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // 2, padded.shape[0] // 2)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _level(image: Floats, unknown: Mask, thick: float, run: Runner) -> Level:
    def framed() -> Floats:
        edges = (RADIUS, RADIUS, RADIUS, RADIUS)
        return np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_REFLECT_101), np.float32)

    def copied_from() -> Mask:
        free = np.pad(~unknown, RADIUS, constant_values=False).astype(np.uint8)
        side = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
        outside = cv2.BORDER_CONSTANT
        kept = cv2.erode(free, side, borderType=outside, borderValue=0)
        return np.asarray(kept.view(np.bool_), np.bool_)

    hole = np.pad(unknown, RADIUS, constant_values=False)
    allowed = run([copied_from])[0]
    padded = run([framed])[0]
    features = np.empty((*hole.shape, 5), np.float32)
    features[..., :3] = padded
    texture(padded, hole, features[..., 3:], run)
    return Level(features, hole, allowed, thick)


def texture(padded: Floats, hole: Mask, planes: Floats, run: Runner) -> None:
    """Set ``planes`` (h, w, 2) to how busy the picture is: mean absolute slope in x and y."""
    grey = np.empty(hole.shape, np.float32)

    def grey_of(rows: slice) -> None:
        grey[rows] = padded[rows].mean(axis=2)

    run([partial(grey_of, rows) for rows in bands(len(grey))])

    def masses() -> tuple[Floats, Floats]:
        weight = cv2.erode((~hole).astype(np.float32), np.ones((3, 3), np.uint8))
        return np.asarray(weight, np.float32), np.asarray(cv2.blur(weight, (9, 9)), np.float32)

    weight, mass = run([masses])[0]
    sure = (mass > 0.1).astype(np.float32)
    np.maximum(mass, 1e-6, out=mass)

    def slope_of(dx: int) -> Floats:
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, ksize=3)) / 4.0
        slope *= weight
        return np.asarray(cv2.blur(slope, (9, 9)) / mass, np.float32)

    for number, mean in enumerate(run([partial(slope_of, 1), partial(slope_of, 0)])):
        planes[..., number] = pull_push(mean, sure, run)
    planes *= np.float32(_TEXTURE_WEIGHT)


def enlarged(field: Field, level: Level) -> Field:
    """Return the matches of the next coarser level at the size of ``level``."""
    big = np.empty((*level.hole.shape, 2), np.int32)
    enlarge_field(np.ascontiguousarray(field), RADIUS, big)
    return big


def paint_from_coarse(level: Level, painted: Floats, field: Field) -> None:
    """Start a level with the pixels that the coarser level's matches point at."""
    paint_enlarged(level.image, level.hole, field, painted, RADIUS)
