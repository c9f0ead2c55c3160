"""How a job running in a worker talks to the server: the job's watch, over the protocol."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace

from genai_fill_contract.job import FrameDone, Progress
from genai_fill_contract.plate import Window
from genai_fill_server.domain.png import png_file
from genai_fill_server.executors.protocol import (
    CropKnown,
    FrameWritten,
    FromChild,
    Logged,
    Previewed,
    Reported,
)
from genai_fill_server.service.ports import (
    MAX_PREVIEW_PX,
    FillCancelled,
    FillInterrupted,
    FloatImage,
)

REPORT_INTERVAL_S = 0.15
PREVIEW_INTERVAL_S = 0.4
_MAX_LOG_CHARACTERS = 2000


class WorkerWatch:
    """`JobWatch`: cheap to call often; the server hears of progress a few times a second."""

    def __init__(
        self,
        job_id: str,
        send: Callable[[FromChild], None],
        is_cancelled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        is_orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        """Watch the job for the server that ``send`` reaches."""
        self._job_id = job_id
        self._send = send
        self._is_cancelled = is_cancelled
        self._is_orphaned = is_orphaned
        self._clock = clock
        self._reported_s = float("-inf")
        self._phase = ""
        self._previewed_s = float("-inf")

    def check(self) -> None:
        """Raise `FillCancelled` on a cancel, `FillInterrupted` when the server is gone."""
        if self._is_cancelled():
            raise FillCancelled
        if self._is_orphaned():
            raise FillInterrupted

    def report(self, progress: Progress) -> None:
        """Tell how far the whole job is; a new phase is told at once."""
        now = self._clock()
        if progress.phase == self._phase and now - self._reported_s < REPORT_INTERVAL_S:
            return
        self._phase = progress.phase
        self._reported_s = now
        self._send(Reported(self._job_id, replace(progress, phase=_sayable(progress.phase))))

    def log(self, message: str) -> None:
        """Put a line into the job's log that the artist can read."""
        self._send(Logged(self._job_id, _sayable(message)[:_MAX_LOG_CHARACTERS]))

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Show what is being made; what comes too often or is too large is not sent on."""
        now = self._clock()
        if now - self._previewed_s < PREVIEW_INTERVAL_S or max(rgb.shape[:2]) > MAX_PREVIEW_PX:
            return
        self._previewed_s = now
        png = base64.b64encode(png_file(rgb)).decode("ascii")
        self._send(Previewed(self._job_id, take_index, frame, png))

    def crop_known(self, window: Window) -> None:
        """Tell the crop at the first frame."""
        self._send(CropKnown(self._job_id, window))

    def frame_done(self, frame: FrameDone) -> None:
        """Tell that a frame is complete on disk."""
        self._send(FrameWritten(self._job_id, frame))


def _sayable(text: str) -> str:
    """Return ``text`` as it can be stored and sent: half a surrogate pair becomes a mark.

    Names of files that are no UTF-8 have them, and a library may put one into its words.
    """
    return text.encode("utf-8", errors="replace").decode("utf-8")
