"""Which frames a fill covers, and which frames around it may help."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

from genai_fill_contract.errors import InvalidRequest, RangeMismatch
from genai_fill_contract.plate import FrameRange

SOURCE_REACH_FRAMES = 24
"""How far source frames are spooled before and after the fill: about a second each side."""

MAX_LISTED_FRAMES = 10_000
"""How many frames a list that the artist types may name."""

_LISTED = re.compile(r"(-?\d{1,9})(?:-(-?\d{1,9})(?:x(\d{1,6}))?)?")


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


def runs_of(frames: Iterable[int]) -> tuple[FrameRange, ...]:
    """Return frames as ranges without gaps, in rising order."""
    runs: list[FrameRange] = []
    for frame in sorted(set(frames)):
        if runs and runs[-1].last == frame - 1:
            runs[-1] = FrameRange(runs[-1].first, frame)
        else:
            runs.append(FrameRange(frame, frame))
    return tuple(runs)


def frames_in_words(frames: Iterable[int]) -> str:
    """Return frames as artists write them: ``1001-1004, 1009``."""
    return ", ".join(str(run) for run in runs_of(frames))


def parse_frames(text: str) -> tuple[int, ...]:
    """Return the frames that an artist typed, in rising order and each once.

    ``1010 1032``, ``1010-1014``, ``1001-1100x10``; spaces or commas between. Raises
    `InvalidRequest` for anything else and for more than `MAX_LISTED_FRAMES`.
    """
    frames: set[int] = set()
    for word in text.replace(",", " ").split():
        match = _LISTED.fullmatch(word)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        step = int(match[3]) if match and match[3] else 1
        if match is None or step < 1 or last < first:
            raise InvalidRequest(
                f"{word[:40]!r} is not a frame or a range of frames.",
                hint="Write frames as 1010 1032, 1010-1014 or 1001-1100x10.",
            )
        named = range(first, last + 1, step)
        if len(named) + len(frames) > MAX_LISTED_FRAMES:
            raise InvalidRequest(
                f"The frames {text[:40]!r} are more than {MAX_LISTED_FRAMES}.",
                hint="Name fewer frames.",
            )
        frames.update(named)
    return tuple(sorted(frames))
