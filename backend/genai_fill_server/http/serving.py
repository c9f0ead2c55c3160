"""Listen on a socket and serve the application until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from genai_fill_contract.errors import BackendStartFailed

_LOG = logging.getLogger(__name__)
_BACKLOG = 128
_SHUTDOWN_GRACE_S = 3


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises `BackendStartFailed` when the port is in use or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left open, asyncio would not send small answers at once: 40 ms for each
    # request on a connection after its first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # Elsewhere this option would let two programs have the same port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    listener.setblocking(False)
    return listener


def listen_on_any(host: str, port: int) -> socket.socket:
    """Return a socket listening on ``port`` or, if another program has that one, on a free one.

    Raises `BackendStartFailed` when the address is not ours.
    """
    try:
        return listen(host, port)
    except BackendStartFailed as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
            raise
        _LOG.info("port %s is in use by another program, a free one is taken", port)
        return listen(host, 0)


def url_of(listener: socket.socket) -> str:
    """Return the address by which a client on this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class HttpServer:
    """The event loop of the server process."""

    def __init__(
        self, app: ASGIApp, on_listening: Callable[[], None], on_stopping: Callable[[], None]
    ) -> None:
        """Serve ``app``. ``on_stopping`` is called on the loop before connections close."""
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # A client says where it comes from by its connection, and never by a header: what
            # is asked from this machine only would be open to any other.
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
        )
        self._server = _Server(config, on_listening, on_stopping)

    def run(self, listener: socket.socket) -> None:
        """Serve until `stop`."""
        asyncio.run(self._server.serve(sockets=[listener]))

    def stop(self) -> None:
        """Begin to stop; may be called from a signal handler or another thread."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the composition root, which has more than HTTP to stop."""
        yield


def _cannot_listen(host: str, port: int, error: Exception) -> BackendStartFailed:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return BackendStartFailed(
            f"Port {port} of {host} is in use by another program.",
            hint="Choose another one with --port or server.port; 0 takes a free one.",
            port=port,
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return BackendStartFailed(
        f"Cannot listen on {host}, port {port}: {reason}.",
        hint="Check server.host and server.port.",
        port=port,
    )
