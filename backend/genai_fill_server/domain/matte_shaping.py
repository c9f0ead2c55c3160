"""Grow, feather and blend a roto matte, in real pixels, soft edges kept.

Three separate controls. *Grow* is a grey-level dilation (negative: erosion) with a Euclidean
disc. *Feather* and *blend* add a soft edge outside the grown matte.

A soft or motion-blurred edge of the matte says that the object is still in the pixel, if only
by a share. Keeping that share of the plate would keep a ghost of the object's outline, so a
pixel in which the object shows counts as whole (`cover`), and soft edges begin outside.

Guarantees, for a matte m with values 0 to 1 whose non-zero pixels are its support:

- ``grow_px >= 0``: the result is nowhere less than m (but for noise); the artist's matte is
  kept whole.
- the result is exactly 0 at every pixel farther than ``grow_px + soft_px`` from the support.
- a larger matte, a larger grow or a wider edge never gives a smaller value (but for the last
  bit or two of float32 where the matte is soft).
- a pixel that is 1 in the grown matte stays exactly 1.

Everything works on the matte's own window grown by the reach, not on the whole plate.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genai_fill_contract.fill import MatteShaping

Matte = npt.NDArray[np.float32]

NOISE = 0.002
"""Up to this value a matte's pixel is a keyer's noise, not the object."""

SHOWS = 0.02
"""From this value on the object shows in a pixel."""

_BLOCK_VALUES = 1 << 16  # a block of rows that stays in the second-level cache


def reach_px(shaping: MatteShaping) -> int:
    """Return how many whole pixels beyond the artist's matte anything can differ from 0."""
    return math.ceil(max(shaping.grow_px, 0.0) + max(shaping.feather_px, shaping.blend_px))


def margin_px(shaping: MatteShaping) -> int:
    """Return how many pixels of the plate round the matte shaping must be shown."""
    return reach_px(shaping) + math.ceil(max(-shaping.grow_px, 0.0))


def generation_matte(matte: Matte, shaping: MatteShaping) -> Matte:
    """Return the matte that the engine fills: grown, then feathered.

    The edge is as wide as the wider of feather and blend, so that there is generated picture
    wherever the composite shows some. ``matte`` (h, w) must carry `margin_px` pixels of margin
    on each side where the plate goes on; what touches the array's edge counts as going on.
    """
    return shape_matte(matte, shaping)[0]


def blend_matte(matte: Matte, shaping: MatteShaping) -> Matte:
    """Return the matte of the composite: grown, then softened by the blend width.

    Nowhere more than `generation_matte`. Same margin rule.
    """
    return shape_matte(matte, shaping)[1]


def shape_matte(matte: Matte, shaping: MatteShaping) -> tuple[Matte, Matte]:
    """Return both `generation_matte` and `blend_matte`, sharing what they have in common."""
    grown = grow(cover(matte), shaping.grow_px)
    blend = soften(grown, shaping.blend_px)
    if shaping.feather_px <= shaping.blend_px:
        return blend, blend
    # The wider edge is the larger one but for rounding; the promise is kept without it.
    return np.maximum(soften(grown, shaping.feather_px), blend), blend


def cover(matte: Matte) -> Matte:
    """Return ``matte`` with 1 wherever the object shows, 0 where there is only noise.

    Linear between `NOISE` and `SHOWS`, so that a slow ramp does not get a hard edge.
    """
    scale = np.float32(1.0 / (SHOWS - NOISE))
    lifted = (matte.astype(np.float32, copy=False) - np.float32(NOISE)) * scale
    return np.clip(lifted, 0, 1, out=lifted)


def grow(matte: Matte, radius_px: float) -> Matte:
    """Return ``matte`` dilated by a disc of ``radius_px``, or eroded if it is negative.

    Grey-level morphology with a flat disc: each pixel takes the largest (smallest) value
    within the distance. Pixels beyond the array do not take part, so a matte that runs off
    the plate is not eroded from the plate's edge.
    """
    matte = np.ascontiguousarray(matte, dtype=np.float32)
    if radius_px >= 0:
        return _dilate(matte, radius_px)
    return np.float32(1) - _dilate(np.float32(1) - matte, -radius_px)


def soften(matte: Matte, width_px: float) -> Matte:
    """Return ``matte`` with a soft edge of ``width_px`` pixels outside it.

    For a hard matte the value at distance d is ramp(d / width), a smoothstep from 1 to 0. A
    soft pixel of value v counts as lying ramp⁻¹(v) · width from a hard edge, and distances add
    as the sides of a right angle: the smallest of ``d² + (ramp⁻¹(v) · width)²`` over all
    pixels is one generalised distance transform (Felzenszwalb & Huttenlocher, *Distance
    Transforms of Sampled Functions*, 2012), exact and separable.
    """
    if width_px <= 1:  # the nearest other pixel is 1 away: no edge fits
        return matte.astype(np.float32, copy=True)
    limit = np.float32(width_px * width_px)
    cost = np.square(_ramp_inverse(matte) * np.float32(width_px))
    reach = math.ceil(width_px)
    cost = _parabolic_pass(cost, reach, limit)
    cost = _parabolic_pass(np.ascontiguousarray(cost.T), reach, limit).T
    distance = np.asarray(np.sqrt(cost) / np.float32(width_px), dtype=np.float32)
    softened = _ramp(distance)
    # ramp(ramp⁻¹(v)) may miss v by an ulp; the matte itself is the floor.
    return np.ascontiguousarray(np.maximum(softened, matte))


def _ramp(u: Matte) -> Matte:
    """Smoothstep from 1 at 0 down to 0 at 1."""
    u = np.clip(u, 0, 1)
    return np.asarray(1 - u * u * (3 - 2 * u), dtype=np.float32)


def _ramp_inverse(value: Matte) -> Matte:
    """Return u with ``_ramp(u) == value``; solved in closed form by trisecting an angle."""
    clipped = np.clip(value, 0, 1)
    u = np.where(clipped > 0, np.float32(0), np.float32(1))
    soft = (clipped > 0) & (clipped < 1)
    # Only soft pixels pay for the trigonometry; most mattes have few.
    inner = clipped[soft].astype(np.float64)
    u[soft] = 0.5 - np.sin(np.arcsin(2 * inner - 1) / 3)
    return np.asarray(u, dtype=np.float32)


def _parabolic_pass(cost: Matte, reach: int, limit: np.float32) -> Matte:
    """Return ``min over |k| <= reach of cost[row, column + k] + k²``, at most ``limit``.

    Brute force over k in blocks of rows that fit the cache, stopping as soon as k² exceeds
    every cost left in the block.
    """
    height, width = cost.shape
    result = np.minimum(cost, limit)
    rows_per_block = max(1, _BLOCK_VALUES // max(1, width))
    for top in range(0, height, rows_per_block):
        source = result[top : top + rows_per_block].copy()
        target = result[top : top + rows_per_block]
        if source.min(initial=limit) >= limit:
            continue
        scratch = np.empty_like(source)
        for k in range(1, min(reach, width - 1) + 1):
            if k * k >= target.max():
                break
            shifted = scratch[:, : width - k]
            np.add(source[:, k:], np.float32(k * k), out=shifted)
            np.minimum(target[:, : width - k], shifted, out=target[:, : width - k])
            np.add(source[:, : width - k], np.float32(k * k), out=shifted)
            np.minimum(target[:, k:], shifted, out=target[:, k:])
    return result


def _dilate(matte: Matte, radius_px: float) -> Matte:
    """Flat grey dilation with the disc dx² + dy² <= radius².

    The disc is a stack of horizontal runs. The running maximum of a run is two overlapping
    maxima of a power-of-two length, so all runs together need a handful of doublings and two
    comparisons each: O(radius) per pixel.
    """
    radius = math.floor(radius_px)
    if radius < 1:
        return matte.copy()
    height, width = matte.shape
    half_widths = [
        math.floor(math.sqrt(max(0.0, radius_px * radius_px - dy * dy))) for dy in range(radius + 1)
    ]
    result = np.zeros_like(matte)
    doubled: list[Matte] = []
    padded = np.pad(matte, ((0, 0), (radius, radius)))
    doubled.append(padded)
    while 2 ** len(doubled) <= 2 * radius + 1:
        step = 2 ** (len(doubled) - 1)
        last = doubled[-1]
        doubled.append(np.maximum(last[:, :-step], last[:, step:]))
    for dy, half in enumerate(half_widths):
        level = (2 * half + 1).bit_length() - 1
        start = radius - half
        end = radius + half + 1 - 2**level
        if dy >= height:
            break
        runs = np.maximum(
            doubled[level][:, start : start + width], doubled[level][:, end : end + width]
        )
        np.maximum(result[dy:], runs[: height - dy], out=result[dy:])
        np.maximum(result[: height - dy], runs[dy:], out=result[: height - dy])
    return result
