"""Temporal windows one after the other: anchors, colour match, cross-fade, drift.

numpy only; what runs the model is elsewhere. Pictures are (h, w, 3) float32 in [0, 1] at the
size that the model works at, holes (h, w) bool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.temporal_windows import TemporalWindow
from genai_fill_server.service.ports import FloatImage

Hole = npt.NDArray[np.bool_]
GREY = 0.5
"""What stands in the hole: 0 after normalisation, so that what is removed is not shown."""

_MIN_PIXELS = 64
_GAIN_RANGE = (0.8, 1.25)
_MAX_OFFSET = 0.1


@dataclass(frozen=True)
class ColourMatch:
    """Per channel: ``pixels * gain + offset`` brings a window to what it was given to keep."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def applied(self, pixels: FloatImage) -> FloatImage:
        """Return the matched pixels, within [0, 1]."""
        gain, offset = (np.asarray(v, np.float32) for v in (self.gain, self.offset))
        return np.asarray(np.clip(pixels * gain + offset, 0.0, 1.0), dtype=np.float32)


@dataclass(frozen=True)
class Drift:
    """How far a window's new content is from its anchors': mean per channel and contrast.

    ``mean`` is the difference in [0, 1] units, ``contrast`` the ratio of the standard
    deviations of luma-like averages; 0 and 1 mean no drift.
    """

    mean: tuple[float, float, float]
    contrast: float


@dataclass(frozen=True)
class Patch:
    """What an artist approved or painted for one frame: ``pixels`` count where ``covers``."""

    pixels: FloatImage
    covers: Hole


def window_inputs(
    window: TemporalWindow,
    plates: Mapping[int, FloatImage],
    holes: Mapping[int, Hole],
    made: Mapping[int, FloatImage],
    patches: Mapping[int, Patch],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return what the model is given for ``window``: video (f, h, w, 3) and holes (f, h, w).

    Frames that were made already are anchors: their generated pixels stand in the hole and
    the hole is closed; so it is where a patch covers it. One matte, hardened once, does both
    the greying out and the conditioning; two different ones would leave a grey ring.
    """
    video, open_holes = [], []
    for frame in window.source_frames():
        hole = still_open = holes[frame]
        content: FloatImage = np.full_like(plates[frame], GREY)
        if frame in made:
            content, still_open = made[frame], np.zeros_like(hole)
        elif frame in patches:
            patch = patches[frame]
            content = np.where(patch.covers[..., None], patch.pixels, content)
            still_open = hole & ~patch.covers
        video.append(np.where(hole[..., None], content, plates[frame]))
        open_holes.append(still_open)
    return np.stack(video).astype(np.float32), np.stack(open_holes)


def match_to_kept(
    made: npt.NDArray[np.float32],
    given: npt.NDArray[np.float32],
    holes: npt.NDArray[np.bool_],
    open_holes: npt.NDArray[np.bool_],
) -> ColourMatch:
    """Return the match of a window to what it had to keep.

    All are stacks of frames. Where a hole was given closed, by anchors or patches, its
    pixels are the measure: what comes next must look like them. Else it is the plate round
    the holes. Gain and offset come from mean and standard deviation (Reinhard et al., *Color
    Transfer between Images*, 2001), held within narrow bounds: a match that wants more is
    not a colour shift of the codec.
    """
    kept = holes & ~open_holes
    if kept.sum() < _MIN_PIXELS:
        kept = ~holes
    if kept.sum() < _MIN_PIXELS:
        return ColourMatch()
    source, target = made[kept].astype(np.float64), given[kept].astype(np.float64)
    gain = (target.std(axis=0) + 1e-3) / (source.std(axis=0) + 1e-3)
    gain = np.clip(gain, *_GAIN_RANGE)
    offset = target.mean(axis=0) - source.mean(axis=0) * gain
    # What the match does to the mean is what may show, so that is what is bounded.
    shift = np.clip(source.mean(axis=0) * (gain - 1) + offset, -_MAX_OFFSET, _MAX_OFFSET)
    return ColourMatch(_triple(gain), _triple(shift - source.mean(axis=0) * (gain - 1)))


def measure_drift(
    made: npt.NDArray[np.float32],
    holes: npt.NDArray[np.bool_],
    open_holes: npt.NDArray[np.bool_],
) -> Drift | None:
    """Return how the new content of a window differs from what its holes were given with.

    None when there is too little of either to tell.
    """
    before, after = made[holes & ~open_holes], made[open_holes]
    if len(before) < _MIN_PIXELS or len(after) < _MIN_PIXELS:
        return None
    before, after = before.astype(np.float64), after.astype(np.float64)
    mean = after.mean(axis=0) - before.mean(axis=0)
    contrast = (after.mean(axis=1).std() + 1e-6) / (before.mean(axis=1).std() + 1e-6)
    return Drift(_triple(np.round(mean, 5)), round(float(contrast), 4))


def with_patches(
    frames: Mapping[int, FloatImage], patches: Mapping[int, Patch]
) -> dict[int, FloatImage]:
    """Return ``frames`` with the patches as they were given, not as the model rounds them."""
    return {
        frame: np.where(patches[frame].covers[..., None], patches[frame].pixels, picture)
        if frame in patches
        else picture
        for frame, picture in frames.items()
    }


def cross_fade(
    window: TemporalWindow, made: Sequence[FloatImage], before: Mapping[int, FloatImage]
) -> dict[int, FloatImage]:
    """Return the frames of ``window``: its pictures mixed over what was there before."""
    mixed: dict[int, FloatImage] = {}
    for index, frame in enumerate(window.frames):
        share = np.float32(window.fade[index])
        mixed[frame] = (
            before[frame] * (1 - share) + made[index] * share if frame in before else made[index]
        )
    return mixed


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
