"""Match the fill to the plate along the ring round the matte.

A model's picture of the plate is a little off in exposure and colour, and that shows as a
seam. In a ring just outside the matte both are known: there, the ratio of local means of
plate and fill says how far it is off. The ratios are completed smoothly into the hole
(`pull_push`, a membrane like that of Pérez, Gangnet & Blake, *Poisson Image Editing*, 2003) and
the fill is multiplied by them: a change of exposure and balance, in linear light, that leaves
grain, contrast and negatives in place.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.matte_shaping import grow
from genai_fill_server.domain.pixel_windows import finite_pixels
from genai_fill_server.domain.pull_push import complete, upsample

FloatImage = npt.NDArray[np.float32]
FloatMatte = npt.NDArray[np.float32]

RING_PX = 24.0
"""How wide the ring is in which fill and plate are compared."""

BLOCK_PX = 8
"""Ratios are measured over blocks of this side: they are smooth, grain is not."""

MAX_STOPS = 1.0
"""No correction beyond one stop: what differs more is another picture, not a seam."""

MIN_LEVEL = 1e-3
"""Below this linear level a ratio of means says nothing."""


def ring_around(matte: FloatMatte, width_px: float = RING_PX) -> npt.NDArray[np.bool_]:
    """Return where ``matte`` (h, w) is 0 but within about ``width_px`` of its support.

    Found on a grid of four pixels, which is as exact as a ring needs to be, and 16 times
    faster.
    """
    inside = matte > 0
    height, width = inside.shape
    step = 4
    padded = np.pad(inside, ((0, -height % step), (0, -width % step)))
    coarse = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    touched = np.asarray(coarse.any(axis=(1, 3)), dtype=np.float32)
    near = grow(touched, max(1.0, width_px / step)) > 0
    spread = np.repeat(np.repeat(near, step, axis=0), step, axis=1)[:height, :width]
    return np.asarray(spread & ~inside)


def correct_seam(fill: FloatImage, plate: FloatImage, matte: FloatMatte) -> FloatImage:
    """Return ``fill`` with the plate's exposure and balance along the ring, new array.

    All (h, w[, 3]) over the same window, scene-linear; ``matte`` is the generation matte,
    outside which the fill is the engine's own picture of the plate. Without a usable ring
    (the matte fills the crop, or all is black) the fill comes back as it is.
    """
    ring = ring_around(matte) & finite_pixels(plate) & finite_pixels(fill)
    plate_means, fill_means, weights = _block_means(plate, fill, ring)
    usable = (
        (weights > 0) & (plate_means.min(axis=2) > MIN_LEVEL) & (fill_means.min(axis=2) > MIN_LEVEL)
    )
    if not usable.any():
        return fill.copy()
    stops = np.zeros_like(plate_means)
    stops[usable] = np.log2(plate_means[usable] / fill_means[usable])
    usable &= _agrees(stops, usable)
    stops = np.clip(stops, -MAX_STOPS, MAX_STOPS)
    trust = np.where(usable, np.minimum(weights * 4, 1), 0).astype(np.float32)
    field = complete(stops * (trust > 0)[..., None], trust)
    gain = upsample(np.exp2(field), BLOCK_PX, *matte.shape)
    return np.asarray(fill * gain, dtype=np.float32)


def _agrees(stops: npt.NDArray[np.float32], usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Reject blocks far from the median: there the model drew something else."""
    middle = np.median(stops[usable], axis=0)
    spread = np.median(np.abs(stops[usable] - middle), axis=0) * 1.4826
    limit = np.maximum(4 * spread, 0.1)
    return np.asarray((np.abs(stops - middle) <= limit).all(axis=2))


def _block_means(
    plate: FloatImage, fill: FloatImage, ring: npt.NDArray[np.bool_]
) -> tuple[FloatImage, FloatImage, FloatMatte]:
    """Return the means of both images over the ring's pixels in each block, and their share."""
    share = _blocks(ring[..., None].astype(np.float32))
    safe = np.maximum(share, np.float32(1e-6)).astype(np.float32, copy=False)
    plate_sum = _blocks(np.where(ring[..., None], plate, np.float32(0)))
    fill_sum = _blocks(np.where(ring[..., None], fill, np.float32(0)))
    return np.divide(plate_sum, safe), np.divide(fill_sum, safe), share[..., 0]


def _blocks(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of each block; what a block lacks at the edge counts as 0."""
    rows = math.ceil(image.shape[0] / BLOCK_PX)
    columns = math.ceil(image.shape[1] / BLOCK_PX)
    pad = ((0, rows * BLOCK_PX - image.shape[0]), (0, columns * BLOCK_PX - image.shape[1]), (0, 0))
    whole = np.pad(image, pad) if any(after for _, after in pad) else image
    tiled = whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX, image.shape[2])
    # Rows first: that sum runs along memory.
    summed = tiled.sum(axis=1, dtype=np.float32).sum(axis=2, dtype=np.float32)
    return np.asarray(summed / np.float32(BLOCK_PX * BLOCK_PX), dtype=np.float32)
