"""How much of each frame is real, patched or invented: what the recipe tells of the whole job.

Kept in the job's scratch folder as well, so that a resumed job tells of all of its frames and
not of those alone that were left to make.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LOG = logging.getLogger(__name__)

_MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class Counted:
    """The pixels of one frame's hole. ``is_black``: nothing was known of the frame."""

    filled_px: int
    invented_px: int = 0
    patched_px: int = 0
    is_black: bool = False


class Tally:
    """The counts of a job's frames, one line a frame in ``folder``; empty: in memory alone."""

    def __init__(self, folder: str = "", name: str = "cleanplate") -> None:
        self._path = Path(folder) / f"{name}_counts.txt" if folder else None
        self._is_cut_short = False
        self._frames = self._found()

    def note(self, frame: int, counted: Counted) -> None:
        """Count a frame. Where that cannot be kept, a resumed job tells of fewer frames."""
        if self._frames.get(frame) == counted:
            return
        self._frames[frame] = counted
        if self._path is None:
            return
        facts = (frame, counted.filled_px, counted.invented_px, counted.patched_px)
        try:
            with self._path.open("a", encoding="ascii") as file:
                begun = "\n" if self._is_cut_short else ""
                file.write(f"{begun}{' '.join(map(str, facts))} {counted.is_black:d}\n")
            self._is_cut_short = False
        except OSError as error:
            _LOG.warning("the counts of a frame could not be kept: %s", error)

    def black(self) -> list[int]:
        """Return the frames of which nothing was known, in order."""
        return sorted(frame for frame, counted in self._frames.items() if counted.is_black)

    def facts(self, asked_for: Iterable[int]) -> dict[str, float | int]:
        """Return the sums over those frames of ``asked_for`` that were counted.

        Percentages are of the hole's pixels, and left out where there are none.
        """
        counts = [self._frames[frame] for frame in asked_for if frame in self._frames]
        filled_px = sum(one.filled_px for one in counts)
        facts: dict[str, float | int] = {"frames": len(counts), "filled_px": filled_px}
        if filled_px:
            invented = 100.0 * sum(one.invented_px for one in counts) / filled_px
            patched = 100.0 * sum(one.patched_px for one in counts) / filled_px
            facts["real_percent"] = round(100.0 - invented - patched, 2)
            facts["patched_percent"] = round(patched, 2)
            facts["invented_percent"] = round(invented, 2)
        return facts

    def _found(self) -> dict[int, Counted]:
        """Return what an earlier run of the job kept; lines that a crash cut short are left out."""
        if self._path is None:
            return {}
        try:
            if not self._path.is_file() or self._path.stat().st_size > _MOST_BYTES:
                return {}
            lines = self._path.read_text(encoding="ascii", errors="replace").split("\n")
        except OSError as error:
            _LOG.warning("the counts of an earlier run cannot be read: %s", error)
            return {}
        # What follows the last line end was not written to its end.
        self._is_cut_short = lines[-1] != ""
        return dict(found for line in lines[:-1] if (found := _read(line)) is not None)


def _read(line: str) -> tuple[int, Counted] | None:
    words = line.split()
    if len(words) != 5 or not all(word.lstrip("-").isdigit() for word in words):
        return None
    frame, filled, invented, patched, black = (int(word) for word in words)
    if min(filled, invented, patched) < 0 or invented + patched > filled:
        return None
    return frame, Counted(filled, invented, patched, bool(black))
