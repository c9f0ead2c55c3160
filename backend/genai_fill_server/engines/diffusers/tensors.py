"""Between numpy pictures and torch tensors: float32, channels first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from genai_fill_server.engines.diffusers.family import Picture
from genai_fill_server.service.ports import FloatImage


def picture_of(
    image: FloatImage,
    hole: npt.NDArray[np.bool_],
    reference: FloatImage | None = None,
    control: FloatImage | None = None,
) -> Picture:
    """Return ``image`` (h, w, 3) in [0, 1] and its hole (h, w) as tensors of batch 1."""
    return Picture(
        image=_channels_first(image),
        hole=torch.from_numpy(hole.astype(np.float32))[None, None],
        reference=None if reference is None else _channels_first(reference),
        control=None if control is None else _channels_first(control),
    )


def clip_of(
    video: npt.NDArray[np.float32],
    holes: npt.NDArray[np.bool_],
    references: Sequence[FloatImage] = (),
    there: npt.NDArray[np.float32] | None = None,
) -> Picture:
    """Return a clip (f, h, w, 3) and its holes (f, h, w) as 5-D tensors (1, f, 3, h, w)."""
    mask = torch.from_numpy(holes.astype(np.float32))[None, :, None]
    shown = [_channels_first(reference) for reference in references]
    return Picture(
        image=_frames_first(video),
        hole=mask.expand(-1, -1, 3, -1, -1).contiguous(),
        reference=shown[0] if shown else None,
        there=None if there is None else _frames_first(there),
        more=tuple(shown[1:]),
    )


def _frames_first(video: npt.NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(video.transpose(0, 3, 1, 2)))[None]


def _channels_first(picture: FloatImage) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
