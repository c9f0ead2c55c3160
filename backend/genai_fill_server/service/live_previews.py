"""What running jobs have made so far: the newest small picture of each take, in memory."""

from __future__ import annotations

import threading

MAX_KEPT = 64
MAX_BYTES = 2**18


class LivePreviews:
    """A bounded store of PNG files by job and take. Safe to call from several threads."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], bytes] = {}

    def keep(self, job_id: str, take_index: int, png: bytes) -> None:
        """Keep the newest picture of a take; one that is too large is not taken."""
        if len(png) > MAX_BYTES:
            return
        with self._lock:
            self._kept.pop((job_id, take_index), None)
            self._kept[job_id, take_index] = png
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]

    def newest(self, job_id: str, take_index: int) -> bytes | None:
        """Return the newest picture of a take, None when there is none."""
        with self._lock:
            return self._kept.get((job_id, take_index))

    def drop(self, job_id: str) -> None:
        """Forget a job's pictures: it has ended."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == job_id]:
                del self._kept[key]
