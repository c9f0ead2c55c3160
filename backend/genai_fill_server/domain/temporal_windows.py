"""Cut a long shot into overlapping temporal windows for engines that take so many frames.

Video models take k·n + 1 frames at a time. A window overlaps the one before: the frames in
the overlap that were made already are its *anchors*, kept as they are while the rest is made.
Where windows overlap, results are cross-faded with weights that sum to exactly 1. Frames are
never resampled in time: what is padded is padded by repeating the last frame, and trimmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from genai_fill_contract.plate import FrameRange

WEIGHT_STEPS = 1 << 12
"""Fade weights are multiples of 1/4096, so that their sums and products are exact."""


@dataclass(frozen=True)
class TemporalWindow:
    """One call of the engine: real frames ``frames``, then ``padding`` repeats of the last.

    The first ``anchors`` frames have been made by earlier windows. ``fade`` has one weight a
    real frame: how much of this window's result is mixed over what is there.
    """

    frames: FrameRange
    padding: int
    anchors: int
    fade: tuple[float, ...]

    @property
    def length(self) -> int:
        """How many frames the engine is given: always k·n + 1."""
        return len(self.frames) + self.padding

    def source_frames(self) -> list[int]:
        """Return the plate frame for each of the ``length`` frames given to the engine."""
        return [*self.frames, *[self.frames.last] * self.padding]


def plan_windows(
    frames: FrameRange, window_frames: int, frame_multiple: int = 1, overlap: int = 0
) -> list[TemporalWindow]:
    """Return the windows that cover ``frames``, in order.

    ``window_frames`` is the most that the engine takes at once and is rounded down to
    k·n + 1 (k = ``frame_multiple``). ``overlap`` frames are shared with the window before,
    more for the last one, which is moved back to end with the shot instead of being padded.
    A shot shorter than a window is one window, padded up to k·n + 1. The overlap is at most
    half a window, so that no more than three windows ever meet at a frame.
    """
    multiple = max(1, frame_multiple)
    longest = max(1, (max(1, window_frames) - 1) // multiple * multiple + 1)
    if len(frames) <= longest:
        length = -(-(len(frames) - 1) // multiple) * multiple + 1
        return [_window(frames, length - len(frames), anchors=0)]
    stride = longest - min(max(0, overlap), longest // 2)
    windows: list[TemporalWindow] = []
    covered = frames.first - 1
    first = frames.first
    while covered < frames.last:
        first = min(first, frames.last - longest + 1)
        window = FrameRange(first, first + longest - 1)
        windows.append(_window(window, 0, anchors=max(0, covered - first + 1)))
        covered = window.last
        first += stride
    return windows


def frame_weights(windows: list[TemporalWindow], frame: int) -> dict[int, float]:
    """Return how much each window (by its place in the list) gives to ``frame``.

    What mixing the windows in order by their fades comes to: weights that are exact in
    float64 and sum to exactly 1.
    """
    weights: dict[int, float] = {}
    for place, window in enumerate(windows):
        if frame not in window.frames:
            continue
        share = window.fade[frame - window.frames.first]
        weights = {other: weight * (1.0 - share) for other, weight in weights.items()}
        weights[place] = share
    return {place: weight for place, weight in weights.items() if weight > 0}


def _window(frames: FrameRange, padding: int, *, anchors: int) -> TemporalWindow:
    fade = tuple(
        _fade_in(index, anchors) if index < anchors else 1.0 for index in range(len(frames))
    )
    return TemporalWindow(frames, padding, anchors, fade)


def _fade_in(index: int, anchors: int) -> float:
    """Return the weight of the new window at anchor ``index``: a ramp that is never 0 or 1."""
    return round((index + 1) / (anchors + 1) * WEIGHT_STEPS) / WEIGHT_STEPS
