"""Lay the fill over the plate through the blend matte, in linear light.

Outside the matte the result is the plate, bit for bit: selected, never computed. Where the
matte is 1 it is the fill. In between it is the straight mix. What is not finite in the fill is
never written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
FloatMatte = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Composite:
    """The composite, and how many pixels of the fill could not be used."""

    rgb: FloatImage
    replaced_pixels: int


def composite(plate: FloatImage, fill: FloatImage, blend: FloatMatte) -> Composite:
    """Return ``fill`` over ``plate`` (both (h, w, 3), scene-linear) through ``blend`` (h, w).

    Where the fill has a NaN or infinity inside the matte, the whole pixel is taken from the
    plate, or is black if the plate is not finite there either. Where the plate is not finite
    under a soft edge, the fill is taken: mixing would spread the NaN.
    """
    rgb = plate.copy()
    rows, columns = np.nonzero(blend)
    alpha = blend[rows, columns][:, None]
    over, under = fill[rows, columns], plate[rows, columns]
    good_over = np.isfinite(over).all(axis=1, keepdims=True)
    good_under = np.isfinite(under).all(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = under + alpha * (over - under)
    mixed = np.where((alpha >= 1) | ~good_under, over, mixed)
    rescue = np.where(good_under, under, np.float32(0))
    rgb[rows, columns] = np.where(good_over, mixed, rescue)
    return Composite(rgb, int(np.count_nonzero(~good_over)))
