"""Small pictures of takes, fetched from the backend when it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from genai_fill.app.panel_view import TakeKey, take_key
from genai_fill.app.ports import Host, TaskRunner
from genai_fill.app.start_backend import BackendConnection
from genai_fill.domain.takes import KnownTake
from genai_fill_contract.errors import GenAIFillError, JobNotFound

WIDTH_PX = 240
MAX_PICTURES = 256
PREVIEW_PAUSE_S = 1.0


class FetchPictures:
    """A bounded store of pictures. Main thread only; the fetching happens behind it."""

    def __init__(
        self,
        host: Host,
        connection: BackendConnection,
        tasks: TaskRunner,
        changed: Callable[[], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``changed`` is called on the main thread when pictures have come."""
        self._now_s = now_s
        self._preview: tuple[TakeKey, bytes] | None = None
        self._previewing = False
        self._previewed_s = float("-inf")
        self._host = host
        self._connection = connection
        self._tasks = tasks
        self._changed = changed
        self._pictures: dict[TakeKey, bytes] = {}
        self._asked: set[TakeKey] = set()

    @property
    def pictures(self) -> Mapping[TakeKey, bytes]:
        """The pictures that are there, and what is being made where there is none yet."""
        if self._preview is None:
            return self._pictures
        key, png = self._preview
        return {key: png, **self._pictures}

    def want(self, takes: Iterable[KnownTake]) -> None:
        """Fetch the pictures of takes that have a frame and none yet; asks once for each."""
        missing = [
            known
            for known in takes
            if known.take.frames_done
            and take_key(known) not in self._pictures
            and take_key(known) not in self._asked
        ]
        if missing:
            self._asked.update(map(take_key, missing))
            self._tasks.start("pictures", lambda: self._fetch(missing))

    def want_preview(self, takes: Iterable[KnownTake]) -> None:
        """Fetch what the first of a running job's takes without a frame looks like so far.

        To be called with every news of the job; asks no more than once a second. Takes are
        made one after the other, so the others look like nothing yet.
        """
        made_now = next((known for known in takes if not known.take.frames_done), None)
        too_soon = self._now_s() - self._previewed_s < PREVIEW_PAUSE_S
        if made_now is None or too_soon or self._previewing:
            return
        known = made_now
        self._previewing = True
        self._previewed_s = self._now_s()
        self._tasks.start("preview", lambda: self._fetch_preview(known))

    def ask_again(self) -> None:
        """Let pictures that could not be had be asked for again."""
        self._asked.clear()

    def forget_job(self, job_id: str) -> None:
        """Drop the pictures of a job: it has better frames now."""
        for key in [key for key in self._pictures if key[0] == job_id]:
            del self._pictures[key]
        self._asked = {key for key in self._asked if key[0] != job_id}
        if self._preview is not None and self._preview[0][0] == job_id:
            self._preview = None

    def _fetch(self, takes: list[KnownTake]) -> None:
        fetched: dict[TakeKey, bytes] = {}
        try:
            backend = self._connection.connect(start=False).backend
            for known in takes:
                frames = known.take.frames_done
                try:
                    fetched[take_key(known)] = backend.thumbnail(
                        known.take.job_id,
                        known.take.index,
                        frame=frames[len(frames) // 2],
                        width=WIDTH_PX,
                    )
                except JobNotFound:
                    continue  # made by a backend that has forgotten it
        except GenAIFillError:
            pass  # a list without pictures is still a list; the panel says what is wrong
        if fetched:
            self._host.post_to_main(lambda: self._keep(fetched))

    def _fetch_preview(self, known: KnownTake) -> None:
        take, png = known.take, b""
        try:
            backend = self._connection.connect(start=False).backend
            png = backend.thumbnail(
                take.job_id, take.index, frame=take.frame_range.first, width=WIDTH_PX
            )
        except GenAIFillError:
            pass  # nothing to be seen yet; what is wrong otherwise, the panel says
        self._host.post_to_main(lambda: self._keep_preview(take_key(known), png))

    def _keep_preview(self, key: TakeKey, png: bytes) -> None:
        self._previewing = False
        if png and self._preview != (key, png):
            self._preview = (key, png)
            self._changed()

    def _keep(self, fetched: Mapping[TakeKey, bytes]) -> None:
        self._pictures.update(fetched)
        while len(self._pictures) > MAX_PICTURES:
            oldest = next(iter(self._pictures))
            del self._pictures[oldest]
            self._asked.discard(oldest)
        self._changed()
