"""Between the crop and the size that a model works at: float32 all the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.pull_push import complete
from genai_fill_server.service.ports import FloatImage, FloatMatte

HOLE_THRESHOLD = 0.1
"""A pixel whose matte is above this is generated.

Models take a hard hole. The matte's soft edge lies outside what the artist grew, and the
composite uses the result under all of it, so nearly all of it has to be generated: a kept
pixel there would bring back the edge of what is being removed.
"""


@dataclass(frozen=True)
class Sizing:
    """Which picture sizes a model is good at.

    Sides are multiples of ``multiple_px``; areas between ``min_area_px`` and
    ``max_area_px`` are taken as they are, others are resized to the nearer bound.
    """

    multiple_px: int
    min_area_px: int
    max_area_px: int


@dataclass(frozen=True)
class Fit:
    """How one crop goes to the model and back.

    The crop (height, width) is resized to ``scaled``, then padded at the bottom and right
    to ``model``. When no resizing is needed the pixels stay what they are.
    """

    crop: tuple[int, int]
    scaled: tuple[int, int]
    model: tuple[int, int]

    @property
    def is_resized(self) -> bool:
        """Whether the model works at another scale than the crop."""
        return self.crop != self.scaled

    @property
    def scale(self) -> float:
        """Model pixels per crop pixel, along a side."""
        return math.sqrt(self.scaled[0] * self.scaled[1] / max(1, self.crop[0] * self.crop[1]))


def fit_crop(height: int, width: int, sizing: Sizing) -> Fit:
    """Return how a crop of that size is fitted to a model's sizes."""
    multiple = sizing.multiple_px
    padded = (_round_up(height, multiple), _round_up(width, multiple))
    if sizing.min_area_px <= height * width and padded[0] * padded[1] <= sizing.max_area_px:
        return Fit((height, width), (height, width), padded)
    bound = sizing.min_area_px if height * width < sizing.min_area_px else sizing.max_area_px
    scale = math.sqrt(bound / (height * width))
    sides = [max(multiple, round(side * scale / multiple) * multiple) for side in (height, width)]
    while sides[0] * sides[1] > sizing.max_area_px and max(sides) > multiple:
        sides[sides.index(max(sides))] -= multiple
    return Fit((height, width), (sides[0], sides[1]), (sides[0], sides[1]))


def image_to_model(image: FloatImage, fit: Fit) -> FloatImage:
    """Return ``image`` (crop size, any values) at the model's size, within [0, 1].

    diffusers takes a tensor with any negative value for one that is normalised already, and
    passes values above 1 on unclipped, so both ends are cut here. NaN becomes 0.
    """
    image = np.nan_to_num(np.clip(image, 0.0, 1.0), nan=0.0)
    return _padded(np.clip(resized(image, fit.scaled), 0.0, 1.0), fit)


def is_hole(matte: FloatMatte) -> npt.NDArray[np.bool_]:
    """Return which pixels are generated, at the size of the crop (see `HOLE_THRESHOLD`)."""
    return np.asarray(matte > HOLE_THRESHOLD)


def hole_to_model(matte: FloatMatte, fit: Fit) -> npt.NDArray[np.bool_]:
    """Return which pixels the model generates, at its size.

    A model pixel that covers any part of the hole belongs to it, so that nothing of what is
    being removed stays in the picture as context.
    """
    hole = is_hole(matte).astype(np.float32)
    return np.asarray(_padded(resized(hole, fit.scaled), fit) > 1e-4)


def shaped(hole: npt.NDArray[np.bool_], shape: str) -> npt.NDArray[np.bool_]:
    """Return the convex "hull" or the "box" round a hole, for anything else the hole itself."""
    rows, columns = np.nonzero(hole)
    if shape not in ("hull", "box") or not len(rows):
        return hole
    if shape == "box":
        whole = np.zeros_like(hole)
        whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        return whole
    import cv2

    points = np.stack([columns, rows], axis=1).astype(np.int32)
    filled = cv2.fillConvexPoly(hole.astype(np.uint8), cv2.convexHull(points), 1)
    return np.asarray(filled > 0) | hole


def filled_from_round(image: FloatImage, hole: npt.NDArray[np.bool_]) -> FloatImage:
    """Return ``image`` with its hole filled smoothly by the colours round it."""
    filled = complete(image, (~hole).astype(np.float32))
    return np.where(hole[..., None], np.clip(filled, 0.0, 1.0), image).astype(np.float32)


def image_from_model(image: FloatImage, fit: Fit) -> FloatImage:
    """Return the model's picture at the size of the crop, within [0, 1]."""
    inside = image[: fit.scaled[0], : fit.scaled[1]]
    return np.clip(resized(inside, fit.crop), 0.0, 1.0).astype(np.float32)


def resized(pixels: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return ``pixels`` (h, w) or (h, w, 3) at ``size`` (height, width), as they are if equal.

    Smaller by area, larger by cubic interpolation, which may overshoot.
    """
    # Here and not above: models are listed in processes that load no heavy library.
    import cv2

    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    shrinks = size[0] * size[1] < height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(np.ascontiguousarray(pixels), (size[1], size[0]), interpolation=method),
        dtype=np.float32,
    )


def _padded(pixels: npt.NDArray[np.float32], fit: Fit) -> npt.NDArray[np.float32]:
    bottom, right = fit.model[0] - fit.scaled[0], fit.model[1] - fit.scaled[1]
    if not bottom and not right:
        return pixels
    # Mirrored, hole and all: a hole that touches the edge must not meet an edge of its own.
    pads = [(0, bottom), (0, right)] + [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, pads, mode="symmetric")


def _round_up(side: int, multiple: int) -> int:
    return max(multiple, -(-side // multiple) * multiple)
