"""Choose the crop: one size for the whole range, following the matte or standing still.

Rules, in the order in which they win:

1. The crop at a frame holds the matte's window there (as far as the plate goes).
2. It lies within the bounds; it is shifted, never shrunk, to do so.
3. Its sides are multiples of the engine's; only where the plate itself is too small to offer
   a multiple that holds the matte is a side the whole plate's, and the engine pads.
4. It holds the context round the matte, cut at the bounds.
5. It is not smaller than the engine's native size, if the plate is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genai_fill_contract.fill import CropMode
from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.domain.crop_path import Corridor, shortest_path

Span = tuple[int, int]

SLACK_DIVISOR = 16
"""FOLLOW: how much larger than needed the window is, so that small moves of the matte stay
inside it: one sixteenth of the side."""


@dataclass(frozen=True)
class CropRules:
    """What shapes the crop beside the matte: context and engine sizes, in pixels."""

    mode: CropMode
    context_px: int
    multiple_px: int = 1
    native_size_px: int = 0


def plan_crops(
    matte_windows: Mapping[int, Window], frames: FrameRange, bounds: Window, rules: CropRules
) -> dict[int, Window]:
    """Return the crop of every frame in ``frames``, all of one size.

    ``matte_windows`` are the windows of the shaped matte; a frame without one, or with an
    empty one, follows its neighbours. ``bounds`` is the plate. With no matte at all, or in
    FULL mode, the crop is as much of the plate as the multiple allows for holding the matte.
    """
    inside = {
        frame: window.intersection(bounds)
        for frame, window in matte_windows.items()
        if not window.intersection(bounds).is_empty
    }
    everything = Window(0, 0, 0, 0)
    for window in inside.values():
        everything = everything.union(window)
    if rules.mode is CropMode.FULL or everything.is_empty:
        return dict.fromkeys(frames, _fixed(bounds, everything, bounds, rules))
    if rules.mode is CropMode.FIXED:
        needed = everything.grown(rules.context_px).intersection(bounds)
        return dict.fromkeys(frames, _fixed(needed, everything, bounds, rules))
    return _following(inside, frames, bounds, rules)


def _fixed(needed: Window, matte: Window, bounds: Window, rules: CropRules) -> Window:
    if matte.is_empty:
        matte = Window(needed.x0, needed.y0, needed.x0, needed.y0)
        context = matte
    else:
        context = matte.grown(rules.context_px).intersection(bounds)
    width = _side(needed.width, matte.width, bounds.width, rules)
    height = _side(needed.height, matte.height, bounds.height, rules)
    x0 = _start(width, [_x(needed), _x(context), _x(matte)], _x(bounds))
    y0 = _start(height, [_y(needed), _y(context), _y(matte)], _y(bounds))
    return Window(x0, y0, x0 + width, y0 + height)


def _side(needed: int, matte: int, limit: int, rules: CropRules) -> int:
    """Return the length of a side: ``needed`` rounded up to the multiple, within ``limit``."""
    multiple = max(1, rules.multiple_px)
    wanted = -(-max(needed, rules.native_size_px) // multiple) * multiple
    if wanted <= limit:
        return wanted
    largest = limit // multiple * multiple
    return largest if largest >= max(matte, 1) else limit


def _start(side: int, wanted: Sequence[Span], bound: Span) -> int:
    """Return where a side begins: centred on the first of ``wanted``, then shifted to hold
    each of them in turn as far as it fits, the last one surely, and to stay in ``bound``."""
    start = (wanted[0][0] + wanted[0][1] - side) // 2
    for low, high in wanted:
        if high - low <= side:
            start = min(max(start, high - side), low)
    return min(max(start, bound[0]), bound[1] - side)


def _following(
    mattes: Mapping[int, Window], frames: FrameRange, bounds: Window, rules: CropRules
) -> dict[int, Window]:
    needs = {f: w.grown(rules.context_px).intersection(bounds) for f, w in mattes.items()}
    width = _following_side(
        max(w.width for w in needs.values()),
        max(w.width for w in mattes.values()),
        bounds.width,
        rules,
    )
    height = _following_side(
        max(w.height for w in needs.values()),
        max(w.height for w in mattes.values()),
        bounds.height,
        rules,
    )
    columns = shortest_path(
        [_corridor(_span_x(needs, f), _span_x(mattes, f), width, _x(bounds)) for f in frames]
    )
    rows = shortest_path(
        [_corridor(_span_y(needs, f), _span_y(mattes, f), height, _y(bounds)) for f in frames]
    )
    return {
        frame: Window(x0, y0, x0 + width, y0 + height)
        for frame, x0, y0 in zip(frames, columns, rows, strict=True)
    }


def _following_side(needed: int, matte: int, limit: int, rules: CropRules) -> int:
    slack = needed // SLACK_DIVISOR
    return _side(min(needed + slack, max(needed, limit)), matte, limit, rules)


def _x(window: Window) -> Span:
    return window.x0, window.x1


def _y(window: Window) -> Span:
    return window.y0, window.y1


def _span_x(windows: Mapping[int, Window], frame: int) -> Span | None:
    return _x(windows[frame]) if frame in windows else None


def _span_y(windows: Mapping[int, Window], frame: int) -> Span | None:
    return _y(windows[frame]) if frame in windows else None


def _corridor(need: Span | None, matte: Span | None, side: int, bound: Span) -> Corridor:
    """Return where the window may begin: holding need and bounds, or at least the matte."""
    low, high = bound[0], bound[1] - side
    if need is None or matte is None:
        return Corridor(low, high)
    span = need if need[1] - need[0] <= side else matte
    return Corridor(max(low, span[1] - side), min(high, span[0]))
