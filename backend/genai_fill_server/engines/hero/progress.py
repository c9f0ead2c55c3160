"""A part of the job's progress, in its own words."""

from __future__ import annotations

from genai_fill_server.service.ports import FloatImage, Watch


class PartWatch:
    """A `Watch` for work that is ``share`` of the job, starting at ``begin``: both 0 to 1.

    Whatever the work calls its phases, the artist reads ``phase``; the parts add up to the
    whole bar. Its pictures are of ``take_index``: the work knows of one take only.
    """

    def __init__(
        self, watch: Watch, phase: str, begin: float, share: float, take_index: int = 0
    ) -> None:
        self._watch = watch
        self._take_index = take_index
        self._phase = phase
        self._begin = begin
        self._share = share

    def check(self) -> None:
        """Raise `FillCancelled` if the job was cancelled."""
        self._watch.check()

    def progress(self, phase: str, done: float, total: float) -> None:
        """Tell how far this part is."""
        del phase
        within = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        self._watch.progress(self._phase, min(1.0, self._begin + self._share * within), 1.0)

    def log(self, message: str) -> None:
        """Put a line into the job's log."""
        self._watch.log(message)

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Show what is being made."""
        del take_index
        self._watch.preview(self._take_index, frame, rgb)

    def note(self, key: str, value: object) -> None:
        """Put a fact into the recipes."""
        self._watch.note(key, value)
