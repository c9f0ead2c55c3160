"""Frames in words."""

from __future__ import annotations

from collections.abc import Iterable

from genai_fill_contract.plate import FrameRange


def spell_frames(frames: Iterable[int]) -> str:
    """Return frames in ranges, as an artist writes them: "1003-1005, 1010"."""
    parts: list[FrameRange] = []
    for frame in sorted(set(frames)):
        if parts and parts[-1].last == frame - 1:
            parts[-1] = FrameRange(parts[-1].first, frame)
        else:
            parts.append(FrameRange(frame, frame))
    return ", ".join(str(part) for part in parts)
