"""A job's events as server-sent events: resumable, alive, ended by the job's end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from genai_fill_contract import codec
from genai_fill_contract.job import JobEvent
from genai_fill_server.service.job_ports import JobStore

KEEP_ALIVE_S = 10.0
_KEEP_ALIVE = b": still here\n\n"


class EventStreams:
    """Every open stream of this server, so that they can be closed when it stops."""

    def __init__(self, store: JobStore, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        """Stream the events of ``store``."""
        self._store = store
        self._keep_alive_s = keep_alive_s
        self._open: set[asyncio.Event] = set()
        self._closing = False

    def close(self) -> None:
        """End every stream. Call from the event loop."""
        self._closing = True
        for news in self._open:
            news.set()

    async def follow(self, job_id: str, after: int) -> AsyncIterator[bytes]:
        """Yield the events after ``after`` as they come, until the job has ended."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        # Subscribed before the first look, so that nothing falls between the two.
        unsubscribe = self._store.subscribe(job_id, lambda: _wake(loop, news))
        self._open.add(news)
        try:
            while not self._closing:
                news.clear()
                # Looked at before the events: what ends in between is seen next time round.
                over = (await run_in_threadpool(self._store.get, job_id)).state.is_final
                events = await run_in_threadpool(self._store.events, job_id, after)
                for event in events:
                    after = event.id
                    yield as_sse(event)
                if over:
                    return
                if not events and not await self._wait(news):
                    yield _KEEP_ALIVE
        finally:
            self._open.discard(news)
            unsubscribe()

    async def _wait(self, news: asyncio.Event) -> bool:
        try:
            await asyncio.wait_for(news.wait(), self._keep_alive_s)
        except TimeoutError:
            return False
        return True


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody follows any more
        loop.call_soon_threadsafe(news.set)


def as_sse(event: JobEvent) -> bytes:
    """Return one event in the text/event-stream format (UTF-8, JSON on one line)."""
    return f"id: {event.id}\ndata: {codec.dumps(event)}\n\n".encode()
