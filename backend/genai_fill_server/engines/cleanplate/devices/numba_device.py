"""The CPU as a device: OpenCV, numpy and compiled loops. What every machine has."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate import diffusion, motion, transfer, weighing
from genai_fill_server.engines.cleanplate.device import Gathered, Mask, Source
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one


class NumbaDevice:
    """Computes on the CPU. Holds nothing."""

    name = "cpu"

    def reduced(self, image: Floats, factor: int) -> Floats:
        """Return means of blocks of (h, w[, c]), the edge repeated to a whole block."""
        if factor == 1:
            return image
        height, width = image.shape[:2]
        bottom, right = -height % factor, -width % factor
        if bottom or right:
            image = np.asarray(
                cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.float32
            )
        size = (image.shape[1] // factor, image.shape[0] // factor)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)

    def warped(self, image: Bytes, matrix: Matrix, size: tuple[int, int]) -> Bytes:
        """Return ``image`` seen from the first frame of ``matrix``."""
        return motion.warped(image, matrix, size)

    def followed(self, image: Floats | Bytes, place: Floats) -> Floats:
        """Read ``image`` (h, w[, c]) at ``place`` (..., 2: x, y)."""
        x, y = place[..., 0], place[..., 1]
        read = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(read, np.float32)

    def pull_push(self, values: Floats, weight: Floats) -> Floats:
        """Return ``values`` with the places of weight 0 filled in smoothly."""
        return diffusion.pull_push(values, weight)

    def membrane(self, values: Floats, weight: Floats, smoothing_px: int) -> Floats:
        """Return a smooth surface through the weighted values."""
        return diffusion.membrane(values, weight, smoothing_px)

    def apart(
        self, levels: Floats, usable: Mask, several: bool, run: Runner = one_by_one
    ) -> Floats:
        """Return how far each source stands from what most say."""
        return weighing.apart(levels, usable, several, run)

    def weighed(self, price: Floats, planes: Sequence[int], run: Runner = one_by_one) -> Floats:
        """Return the weights of sources that cost ``price``."""
        return weighing.weighed(price, planes, run)

    def sampled(self, encoded: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
        """Return Lanczos samples, and which of them exist."""
        return transfer.sampled(encoded, blocked, place)

    def gather(
        self,
        sources: Sequence[Source],
        weights: Floats,
        places: tuple[Floats, Floats],
        factor: int,
        run: Runner,
    ) -> Gathered:
        """Return what the sources give for a hole's pixels."""
        return transfer.gather(sources, weights, transfer.Lookup(*places), factor, run)

    def release(self) -> None:
        """Nothing is held."""
