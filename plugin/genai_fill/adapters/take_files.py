"""Frames and recipes of takes on the shared disk, read with care: anybody may have written them."""

from __future__ import annotations

import json
import math
from pathlib import Path

MAX_RECIPE_BYTES = 16 * 1024 * 1024
MAX_SUMMARY = 300


class DiskTakeFiles:
    """`genai_fill.app.ports.TakeFiles`."""

    def has(self, path: str) -> bool:
        """Whether a frame is on disk."""
        try:
            return Path(path).is_file()
        except (OSError, ValueError):  # a folder of somebody else's, or a null character
            return False

    def summary(self, recipe_path: str) -> str:
        """Return what the engine noted of the take; empty when there is no such note.

        That is the note ``summary``, or the shares of real and invented pixels.
        """
        try:
            path = Path(recipe_path)
            if not path.is_file() or path.stat().st_size > MAX_RECIPE_BYTES:
                return ""
            recipe = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return ""
        notes = recipe.get("notes") if isinstance(recipe, dict) else None
        return _summary_in(notes) if isinstance(notes, dict) else ""


def _summary_in(notes: dict[str, object]) -> str:
    told = notes.get("summary")
    if isinstance(told, str):
        words = " ".join(told.split())
        return words if len(words) <= MAX_SUMMARY else words[: MAX_SUMMARY - 1].rstrip() + "…"
    for note in notes.values():
        real = note.get("real_percent") if isinstance(note, dict) else None
        if isinstance(real, int | float) and math.isfinite(real) and 0 <= real <= 100:
            share = _percent(float(real))
            return f"{share} % real pixels, {100 - share} % synthesized"
    return ""


def _percent(real: float) -> int:
    """Return a whole percentage that is 0 or 100 only when that is the truth."""
    return round(real) if real in (0, 100) else min(99, max(1, round(real)))
