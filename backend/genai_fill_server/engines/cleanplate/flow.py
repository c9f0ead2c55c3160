"""Dense flow between two views of a region: the port, and the estimator that is always there."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate.description import Detail
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats

_PRESETS = {
    Detail.DRAFT: cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    Detail.NORMAL: cv2.DISOPTICAL_FLOW_PRESET_FAST,
    Detail.FINE: cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class Flow(Protocol):
    """Measures how the pixels of one picture move to another. Safe between threads."""

    @property
    def name(self) -> str:
        """What stands in the recipe."""

    def between(self, first: Bytes, second: Bytes) -> Floats:
        """Return the flow from ``first`` to ``second``, (h, w, 2: x, y) in pixels.

        Both pictures (h, w) are `encoding.Levels`, neither with anything of the object; no side
        is less than `LEAST_SIDE_PX`.
        """

    def release(self) -> None:
        """Give memory back to the system. Flow can still be measured afterwards."""


LEAST_SIDE_PX = 32
"""Below it no flow is worth measuring: patches are 8 pixels wide, and pyramids have none left."""


class DisFlow:
    """Dense inverse search (T. Kroeger et al., ECCV 2016), as OpenCV has it."""

    name = "dis"

    def __init__(self, detail: Detail) -> None:
        self._detail = detail

    def between(self, first: Bytes, second: Bytes) -> Floats:
        """Return the flow from one to the other."""
        if min(first.shape) < LEAST_SIDE_PX:
            raise ValueError(f"no flow on {first.shape[1]}x{first.shape[0]} pixels")
        estimator = cv2.DISOpticalFlow.create(_PRESETS[self._detail])
        estimator.setFinestScale(1)
        found = np.zeros((*first.shape, 2), np.float32)
        return np.asarray(estimator.calc(first, second, found), np.float32)

    def release(self) -> None:
        """Nothing is held."""
