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


def window_inputs(
    window: TemporalWindow,
    plates: Mapping[int, FloatImage],
    holes: Mapping[int, Hole],
    made: Mapping[int, FloatImage],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return what the model is given for ``window``: video (f, h, w, 3) and holes (f, h, w).

    Frames that were made already are anchors: their generated pixels stand in the hole and
    the hole is closed. One matte, hardened once, does both the greying out and the
    conditioning; two different ones would leave a grey ring.
    """
    video, open_holes = [], []
    for frame in window.source_frames():
        hole = holes[frame][..., None]
        if frame in made:
            video.append(np.where(hole, made[frame], plates[frame]))
            open_holes.append(np.zeros_like(holes[frame]))
        else:
            video.append(np.where(hole, np.float32(GREY), plates[frame]))
            open_holes.append(holes[frame])
    return np.stack(video).astype(np.float32), np.stack(open_holes)


def match_to_kept(
    made: npt.NDArray[np.float32],
    given: npt.NDArray[np.float32],
    holes: Sequence[Hole],
    anchors: int,
) -> ColourMatch:
    """Return the match of a window to what it had to keep.

    ``holes`` are the artist's, anchors' included. With anchors, their generated pixels are
    the measure: what comes next must look like them. Without, it is the plate round the
    holes. Gain and offset come from mean and standard deviation (Reinhard et al., *Color
    Transfer between Images*, 2001), held within narrow bounds: a match that wants more is
    not a colour shift of the codec.
    """
    if anchors:
        kept = np.zeros(made.shape[:3], bool)
        kept[:anchors] = np.stack(holes[:anchors])
        if kept.sum() < _MIN_PIXELS:
            kept[:anchors] = True
    else:
        kept = ~np.stack(holes)
    if kept.sum() < _MIN_PIXELS:
        return ColourMatch()
    source, target = made[kept].astype(np.float64), given[kept].astype(np.float64)
    gain = (target.std(axis=0) + 1e-3) / (source.std(axis=0) + 1e-3)
    gain = np.clip(gain, *_GAIN_RANGE)
    offset = np.clip(target.mean(axis=0) - source.mean(axis=0) * gain, -0.5, 0.5)
    # What the match does to the mean is what may show, so that is what is bounded.
    shift = np.clip(source.mean(axis=0) * (gain - 1) + offset, -_MAX_OFFSET, _MAX_OFFSET)
    offset = shift - source.mean(axis=0) * (gain - 1)
    return ColourMatch(_triple(gain), _triple(offset))


def measure_drift(made: Sequence[FloatImage], holes: Sequence[Hole], anchors: int) -> Drift | None:
    """Return how the content made after the anchors differs from the anchors' own.

    None when there is too little of either to tell.
    """
    before = _inside(made[:anchors], holes[:anchors])
    after = _inside(made[anchors:], holes[anchors:])
    if len(before) < _MIN_PIXELS or len(after) < _MIN_PIXELS:
        return None
    mean = after.mean(axis=0) - before.mean(axis=0)
    contrast = (after.mean(axis=1).std() + 1e-6) / (before.mean(axis=1).std() + 1e-6)
    return Drift(_triple(np.round(mean, 5)), round(float(contrast), 4))


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


def _inside(pictures: Sequence[FloatImage], holes: Sequence[Hole]) -> npt.NDArray[np.float64]:
    if not len(pictures):
        return np.zeros((0, 3))
    pixels = [picture[hole] for picture, hole in zip(pictures, holes, strict=True)]
    return np.concatenate(pixels).astype(np.float64)


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
