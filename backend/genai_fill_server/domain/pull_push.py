"""Smooth completion of scattered values: pull-push over a pyramid.

Gortler, Grzeszczuk, Szeliski & Cohen, *The Lumigraph* (1996), section 3.5. Coarser levels
average what is known; on the way back each level fills what it does not know from the coarser
one. Every value is a mean of known values, so nothing overshoots.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def complete(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``values`` (h, w, c), filled in smoothly where ``weights`` (h, w) are below 1.

    A weight of 1 keeps a value, 0 ignores it. With no weight at all the result is 0.
    """
    height, width = weights.shape
    if max(height, width) <= 1:
        return np.where(weights[..., None] > 0, values, np.float32(0))
    padded = ((0, height % 2), (0, width % 2))
    even_values = np.pad(values * weights[..., None], (*padded, (0, 0)))
    even_weights = np.pad(weights, padded)
    summed = _quarter(even_weights[..., None])[..., 0]
    mean = _quarter(even_values) / np.maximum(summed, np.float32(1e-12))[..., None]
    coarse = complete(mean.astype(np.float32, copy=False), np.minimum(summed, np.float32(1)))
    known = weights[..., None]
    spread = upsample(coarse, 2, height, width)
    return np.asarray(values * known + spread * (1 - known), dtype=np.float32)


def upsample(coarse: FloatArray, factor: int, height: int, width: int) -> FloatArray:
    """Return ``coarse`` (h, w, c) enlarged ``factor`` times, linearly, cut to (height, width).

    Coarse pixel i covers fine pixels i·factor to i·factor + factor - 1; edges are held.
    """
    # Columns while there are few rows: the large step then copies whole rows.
    columns = np.swapaxes(_stretch(np.swapaxes(coarse, 0, 1), factor, width), 0, 1)
    return _stretch(np.ascontiguousarray(columns), factor, height)


def _stretch(values: FloatArray, factor: int, length: int) -> FloatArray:
    position = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / factor - np.float32(0.5)
    position = np.clip(position, 0, values.shape[0] - 1)
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, values.shape[0] - 1)
    share = (position - low).astype(np.float32)[:, None, None]
    below, above = values[low], values[high]
    return np.asarray(below + (above - below) * share, dtype=np.float32)


def _quarter(values: FloatArray) -> FloatArray:
    """Sum each 2 x 2 block."""
    return np.asarray(
        values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2],
        dtype=np.float32,
    )
