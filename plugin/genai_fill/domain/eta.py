"""How long it will still take, without a number that jumps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SmoothedEta:
    """Exponential smoothing of the finishing time, not of the rest.

    Estimates of the rest shrink as time goes by; the moment of finishing does not, so
    smoothing that keeps the display counting down between two estimates.
    ``weight`` is how much a new estimate counts, 0 to 1.
    """

    weight: float = 0.3
    _finish_s: float | None = None

    def update(self, now_s: float, eta_s: float | None) -> float | None:
        """Take a new estimate (None: no estimate) and return the smoothed rest in seconds."""
        if eta_s is not None:
            finish = now_s + max(0.0, eta_s)
            if self._finish_s is None:
                self._finish_s = finish
            else:
                self._finish_s += self.weight * (finish - self._finish_s)
        return self.rest(now_s)

    def rest(self, now_s: float) -> float | None:
        """Return the seconds left at ``now_s``, or None when nothing is known."""
        return None if self._finish_s is None else max(0.0, self._finish_s - now_s)

    def reset(self) -> None:
        """Forget everything: a new phase begins."""
        self._finish_s = None


def duration_in_words(seconds: float) -> str:
    """Return a rest as people say it: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
