"""Lay the fill over the plate through the blend matte, in linear light.

Outside the matte the result is the plate, bit for bit: selected, never computed. Where the
matte is 1 it is the fill. In between it is the straight mix. What is not finite in the fill is
never written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.pixel_windows import finite_pixels

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
    alpha = blend[..., None]
    good_over, good_under = finite_pixels(fill), finite_pixels(plate)
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = plate + alpha * (fill - plate)
    if not good_under.all():
        np.copyto(mixed, fill, where=~good_under[..., None])
    np.copyto(mixed, fill, where=alpha >= 1)
    inside = blend > 0
    unusable = inside & ~good_over
    replaced = int(np.count_nonzero(unusable))
    if replaced:
        kept = np.where(good_under[..., None], plate, np.float32(0))
        np.copyto(mixed, kept, where=unusable[..., None])
    np.copyto(mixed, plate, where=~inside[..., None])
    return Composite(mixed, replaced)
