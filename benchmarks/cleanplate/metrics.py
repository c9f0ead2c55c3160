"""What is measured inside the matte, on display-coded and on log-coded pictures.

Display code is sRGB clipped to 0 to 1. Log code is ACEScct (Academy S-2016-001), applied to
the pictures' own primaries: it keeps highlights up to 65504 and weighs a stop as a stop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import cv2
import numpy as np

from benchmarks.cleanplate.shots import Case

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MARGIN_PX = 24
_LEAST_SIDE_PX = 192


def display(linear: np.ndarray) -> np.ndarray:
    """Return light clipped to 0 to 1 and sRGB-encoded, float32."""
    light = np.clip(linear, 0.0, 1.0)
    curve = 1.055 * np.power(np.maximum(light, 1e-9), 1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curve).astype(np.float32)


def logged(linear: np.ndarray) -> np.ndarray:
    """Return light in ACEScct: a stop is 1/17.52, 0 is 0.073, 1 is 0.555."""
    curve = (np.log2(np.maximum(linear, 0.0078125)) + 9.72) / 17.52
    toe = 10.5402377416545 * linear + 0.0729055341958355
    return np.where(linear <= 0.0078125, toe, curve).astype(np.float32)


@dataclass(frozen=True)
class Likeness:
    """How like the truth a fill is in one code.

    ``psnr`` in dB (peak 1); ``ssim`` and ``msssim`` (Z. Wang et al., 2004 and 2003) of grey;
    ``gradient`` is the mean deviation of gradient magnitude; ``detail`` the ratio of
    high-frequency energy (1: as the truth).
    """

    psnr: float
    ssim: float
    msssim: float
    gradient: float
    detail: float


@dataclass(frozen=True)
class Score:
    """One fill of one case.

    ``flicker`` is the mean change of the error from frame to frame along the truth's own
    motion, where both frames' mattes are, after a blur of 1.5 pixels (so that grain does not
    count), display-coded;
    ``highlights`` the ratio of the mean light of what is above 1 in the truth; ``outside``
    the number of pixels outside the matte that differ from the plate in any bit.
    """

    display: Likeness
    log: Likeness
    flicker: float
    highlights: float
    outside: int


def similarity(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return SSIM and its contrast-structure part at each pixel of two grey pictures.

    Gaussian window of 11 pixels, sigma 1.5, values from 0 to 1.
    """

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (11, 11), 1.5)

    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    both = mean(x * y) - mean_x * mean_y
    structure = (2 * both + 0.03**2) / (var_x + var_y + 0.03**2)
    return (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2) * structure, (
        structure
    )


def _slope(grey: np.ndarray) -> np.ndarray:
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8.0


def _fine(grey: np.ndarray) -> np.ndarray:
    return grey - cv2.GaussianBlur(grey, (0, 0), 1.2)


def _halved(plane: np.ndarray) -> np.ndarray:
    even = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))


def _window(hole: np.ndarray) -> tuple[slice, slice]:
    """Return the box round a hole, large enough for five scales where the frame is."""
    box = []
    for axis in (1, 0):
        at = np.flatnonzero(hole.any(axis=axis))
        low, high = int(at[0]) - _MARGIN_PX, int(at[-1]) + 1 + _MARGIN_PX
        more = max(0, _LEAST_SIDE_PX - (high - low)) // 2 + 1
        box.append(slice(max(0, low - more), high + more))
    return box[0], box[1]


class _Sums:
    """Collects what one code needs over the frames of a case."""

    def __init__(self) -> None:
        self.errors: list[np.ndarray] = []
        self.similar: list[np.ndarray] = []
        self.slopes: list[np.ndarray] = []
        self.fine: list[np.ndarray] = []
        self.true_fine: list[np.ndarray] = []
        self.scales: list[list[float]] = []

    def add(self, a: np.ndarray, b: np.ndarray, hole: np.ndarray) -> None:
        """Add a frame: fill and truth, coded, and the hole in the same window."""
        self.errors.append(((a - b)[hole] ** 2).ravel())
        grey_a, grey_b = a.mean(axis=2), b.mean(axis=2)
        self.slopes.append(np.abs(_slope(grey_a) - _slope(grey_b))[hole])
        core = cv2.erode(hole.astype(np.uint8), np.ones((5, 5))) > 0
        self.fine.append(_fine(grey_a)[core] ** 2)
        self.true_fine.append(_fine(grey_b)[core] ** 2)
        weight, scales = hole.astype(np.float64), []
        for scale in range(len(_SCALE_WEIGHTS)):
            whole, structure = similarity(grey_a, grey_b)
            if scale == 0:
                self.similar.append(whole[hole])
            last = scale == len(_SCALE_WEIGHTS) - 1
            of = whole if last else structure
            scales.append(float((of * weight).sum() / max(weight.sum(), 1e-9)))
            grey_a, grey_b, weight = _halved(grey_a), _halved(grey_b), _halved(weight)
        self.scales.append(scales)

    def result(self) -> Likeness:
        """Return the means over all hole pixels of all frames added."""
        scales = np.maximum(np.array(self.scales), 0.0)
        fine, true = np.concatenate(self.fine).mean(), np.concatenate(self.true_fine).mean()
        return Likeness(
            psnr=float(-10 * np.log10(max(np.concatenate(self.errors).mean(), 1e-12))),
            ssim=float(np.concatenate(self.similar).mean()),
            msssim=float(np.prod(scales ** np.array(_SCALE_WEIGHTS), axis=1).mean()),
            gradient=float(np.concatenate(self.slopes).mean()),
            detail=float(np.sqrt(fine / max(1e-12, true))),
        )


class Reference:
    """The truth of a case, made ready once for every method's fill."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._holes = case.mattes > 0.0
        self._windows = [_window(hole) for hole in self._holes]
        greys = [(display(t).mean(axis=2) * 255).astype(np.uint8) for t in case.truths]
        estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        blurred = [cv2.GaussianBlur(grey, (0, 0), 1.0) for grey in greys]
        rows, columns = np.mgrid[0 : greys[0].shape[0], 0 : greys[0].shape[1]]
        grid = np.dstack([columns, rows]).astype(np.float32)
        self._before = [grid + estimator.calc(now, then, None) for then, now in pairwise(blurred)]

    def score(self, filled: np.ndarray, frames: Sequence[int] | None = None) -> Score:
        """Measure a scene-linear fill (n, h, w, 3) on all frames or on ``frames`` alone.

        ``filled`` holds the frames asked for, in order. Single frames apart have no flicker.
        """
        case, holes = self._case, self._holes
        numbers = list(range(len(case.plates))) if frames is None else list(frames)
        coded, logs, outside, hot, true_hot = _Sums(), _Sums(), 0, 0.0, 0.0
        for fill, index in zip(filled, numbers, strict=True):
            hole, truth, at = holes[index], case.truths[index], self._windows[index]
            coded.add(display(fill[at]), display(truth[at]), hole[at])
            logs.add(logged(fill[at]), logged(truth[at]), hole[at])
            over = hole[..., None] & (truth > 1.0)
            hot, true_hot = hot + float(fill[over].sum()), true_hot + float(truth[over].sum())
            differs = (np.asarray(fill) != case.plates[index]).any(axis=2)
            outside += int((differs & ~hole).sum())
        return Score(
            display=coded.result(),
            log=logs.result(),
            flicker=self._flicker(filled) if frames is None else float("nan"),
            highlights=hot / true_hot if true_hot > 0 else 1.0,
            outside=outside,
        )

    def _flicker(self, filled: np.ndarray) -> float:
        changes: list[np.ndarray] = []
        before: np.ndarray | None = None
        for index, (fill, hole) in enumerate(zip(filled, self._holes, strict=True)):
            apart = (display(fill) - display(self._case.truths[index])).mean(axis=2)
            error = cv2.GaussianBlur(np.where(hole, apart, 0.0), (0, 0), 1.5)
            if before is not None:
                place = self._before[index - 1]
                carried = cv2.remap(before, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
                was = self._holes[index - 1].astype(np.float32)
                both = hole & (cv2.remap(was, place[..., 0], place[..., 1], 1) > 0.99)
                changes.append(np.abs(error - carried)[both])
            before = error
        values = np.concatenate(changes) if changes else np.zeros(0)
        return float(values.mean()) if len(values) else float("nan")


def mean_of(scores: Sequence[Score]) -> Score:
    """Return the mean of each figure; those that some cases lack, of the others."""

    def of(values: Callable[[Score], float]) -> float:
        known = [value for value in map(values, scores) if np.isfinite(value)]
        return float(np.mean(known)) if known else float("nan")

    def likeness(code: str) -> Likeness:
        return Likeness(
            *[of(lambda s, n=f.name: getattr(getattr(s, code), n)) for f in fields(Likeness)]
        )

    return Score(
        likeness("display"),
        likeness("log"),
        of(lambda s: s.flicker),
        of(lambda s: s.highlights),
        sum(score.outside for score in scores),
    )
