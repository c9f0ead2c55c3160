"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from genai_fill.adapters.http_errors import transport_error
from genai_fill_contract import codec
from genai_fill_contract.errors import MalformedMessage
from genai_fill_contract.job import JobEvent

MAX_LINE_BYTES = 1024 * 1024


class _Lines(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...


def events_of(lines: Iterable[bytes]) -> Iterator[JobEvent | None]:
    """Yield the events in a stream's lines, and None for each comment (a sign of life).

    Lines come without their end. Fields other than ``data`` are not needed: the event has
    its id inside. Raises `MalformedMessage` for an event that is not a `JobEvent`.
    """
    data: list[bytes] = []
    size = 0
    for line in lines:
        if not line:
            if data:
                yield codec.loads(JobEvent, b"\n".join(data), unknown="ignore")
            data, size = [], 0
        elif line.startswith(b":"):
            yield None
        elif line.startswith(b"data"):
            value = line[4:].removeprefix(b":").removeprefix(b" ")
            size += len(value)
            if size > codec.MAX_MESSAGE_BYTES:
                raise _too_large()
            data.append(value)


def lines_of(stream: _Lines) -> Iterator[bytes]:
    """Yield the lines of a stream, ends removed; raises `MalformedMessage` for a giant one."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise _too_large()
        yield line.rstrip(b"\r\n")


def _too_large() -> MalformedMessage:
    return MalformedMessage(
        "The backend sent an event without end.",
        hint="See whether the address belongs to a GenAI Fill backend.",
    )


class SseFeed:
    """The events of one job, over one connection."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        sock: socket.socket,
        response: http.client.HTTPResponse,
        url: str,
    ) -> None:
        """Take over ``connection``, its socket, and its answer ``response``."""
        self._connection = connection
        self._sock = sock
        self._response = response
        self._url = url
        self._closed = False

    def __iter__(self) -> Iterator[JobEvent | None]:
        """Yield events until the stream ends or `close` is called."""
        try:
            yield from events_of(lines_of(self._response))
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # A stream closed under the reader fails in any of these ways.
            if self._closed:
                return
            if isinstance(error, OSError | http.client.HTTPException):
                raise transport_error(error, self._url) from error
            raise
        finally:
            self._response.close()
            self._connection.close()

    def close(self) -> None:
        """End the feed, from any thread: a reader that waits comes back at once."""
        self._closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
