"""Shares of a job's progress."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """From ``start`` to ``start + length`` of ``total`` units."""

    start: float
    length: float
    total: float

    def at(self, share: float) -> float:
        """Return the units done when ``share`` (0 to 1) of the span is."""
        return min(self.total, self.start + self.length * min(1.0, max(0.0, share)))

    def split(self, count: int) -> list[Span]:
        """Return ``count`` spans of equal length, one after the other."""
        part = self.length / count
        return [Span(self.start + i * part, part, self.total) for i in range(count)]
