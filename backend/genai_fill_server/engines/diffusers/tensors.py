"""Between numpy pictures and torch tensors: float32, channels first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from genai_fill_server.engines.diffusers.family import Picture
from genai_fill_server.service.ports import FloatImage


def picture_of(image: FloatImage, hole: npt.NDArray[np.bool_]) -> Picture:
    """Return ``image`` (h, w, 3) in [0, 1] and its hole (h, w) as tensors of batch 1."""
    return Picture(
        image=torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None],
        hole=torch.from_numpy(hole.astype(np.float32))[None, None],
    )
