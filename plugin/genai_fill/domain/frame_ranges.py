"""Which frames a fill covers, and which frames around it may help."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from genai_fill_contract.errors import RangeMismatch
from genai_fill_contract.plate import FrameRange

SOURCE_REACH_FRAMES = 24
"""How far source frames are spooled before and after the fill: about a second each side."""


class RangeMode(enum.StrEnum):
    """The entries of the node's ``range_mode`` knob."""

    FRAME = "frame"
    INPUT = "input"
    CUSTOM = "custom"


def resolve_range(
    mode: str, *, current: int, plate: FrameRange, first: int, last: int
) -> FrameRange:
    """Return the frames to fill.

    ``current`` is the frame the artist looks at, ``plate`` the range of the plate input,
    ``first`` and ``last`` the custom range. Raises `RangeMismatch` for a custom range that
    runs backwards and for frames that the plate does not have.
    """
    if mode == RangeMode.INPUT:
        return plate
    if mode == RangeMode.FRAME:
        wanted = FrameRange(current, current)
    elif last < first:
        raise RangeMismatch(
            f"The custom range {first}-{last} runs backwards.",
            hint="Give a last frame that is not before the first.",
        )
    else:
        wanted = FrameRange(first, last)
    is_still = len(plate) == 1  # Nuke holds a still over every frame, so any frame has it
    if not is_still and (wanted.first < plate.first or wanted.last > plate.last):
        raise RangeMismatch(
            f"The plate has frames {plate}, but frames {wanted} were asked for.",
            hint="Choose frames inside the plate's range.",
        )
    return wanted


def source_range(fill: FrameRange, plate: FrameRange) -> FrameRange:
    """Return the frames to spool for an engine that looks at the whole shot.

    The fill, and up to `SOURCE_REACH_FRAMES` more of the plate on each side.
    """
    return FrameRange(
        min(fill.first, max(plate.first, fill.first - SOURCE_REACH_FRAMES)),
        max(fill.last, min(plate.last, fill.last + SOURCE_REACH_FRAMES)),
    )


def frames_in_words(frames: Iterable[int]) -> str:
    """Return frames as artists write them: ``1001-1004, 1009``."""
    runs: list[FrameRange] = []
    for frame in sorted(set(frames)):
        if runs and runs[-1].last == frame - 1:
            runs[-1] = FrameRange(runs[-1].first, frame)
        else:
            runs.append(FrameRange(frame, frame))
    return ", ".join(str(run) for run in runs)
