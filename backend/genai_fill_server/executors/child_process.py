"""One child process as the server sees it: start it, talk with it, end it."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genai_fill_contract.errors import MalformedMessage
from genai_fill_server.executors.protocol import (
    FromChild,
    Ready,
    Start,
    ToChild,
    read_from_child,
    to_line,
)

_LOG = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
END_GRACE_S = 6.0
_MAX_LOG_BYTES = 8 * 1024 * 1024


class ChildGone(Exception):
    """The child process ended, or was ended for breaking the protocol."""


@dataclass(frozen=True)
class ChildCommand:
    """How to start a child: its arguments, its environment, where its stderr goes."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path


class ChildProcess:
    """A started child. One thread talks with it; `poke` and `kill` may come from any."""

    def __init__(self, command: ChildCommand, start: Start) -> None:
        """Start the child and wait until it listens. Raises `ChildGone` if it does not."""
        self._log_path = command.log_path
        self._inbox: queue.Queue[FromChild | None] = queue.Queue()
        self._ended = threading.Event()
        with _open_log(command.log_path) as log:
            try:
                self._process = subprocess.Popen(
                    command.arguments,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=dict(command.environment),
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as error:
                raise ChildGone(f"it cannot be started: {error.strerror}") from error
        self._reader = threading.Thread(target=self._read, name="child-reader", daemon=True)
        self._reader.start()
        self._await_ready(start)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and listens."""
        return self._process.poll() is None and not self._ended.is_set()

    def send(self, message: ToChild) -> None:
        """Send a message. Raises `ChildGone`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_line(message))
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ChildGone(self.epitaph()) from error

    def receive(self, timeout_s: float) -> FromChild | None:
        """Return the next message; None after ``timeout_s`` or a `poke`.

        Raises `ChildGone` once the child has ended and all its messages are read.
        """
        try:
            message = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            message = None
        if message is None and self._ended.is_set() and self._inbox.empty():
            raise ChildGone(self.epitaph())
        return message

    def poke(self) -> None:
        """Make a waiting `receive` return."""
        self._inbox.put(None)

    def end(self, grace_s: float = END_GRACE_S) -> None:
        """Ask the child to exit, and kill it when it does not within ``grace_s``."""
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            _LOG.warning("process %s did not exit in time: killed", self.pid)
        self.kill()

    def kill(self) -> None:
        """End the child now."""
        self._process.kill()
        self._process.wait()
        self._reader.join(END_GRACE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()

    def epitaph(self) -> str:
        """Return in words how the child ended."""
        try:
            code = self._process.wait(END_GRACE_S)
        except subprocess.TimeoutExpired:
            return f"process {self.pid} stopped listening (log: {self._log_path})"
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"process {self.pid} ended {how} (log: {self._log_path})"

    def _await_ready(self, start: Start) -> None:
        try:
            self.send(start)
            first = self.receive(START_TIMEOUT_S)
        except ChildGone:
            self.kill()
            raise
        if not isinstance(first, Ready):
            self.kill()
            raise ChildGone(f"process {self.pid} did not get ready (log: {self._log_path})")

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._inbox.put(read_from_child(line))
        except MalformedMessage as error:
            _LOG.error("process %s broke the protocol: %s", self.pid, error.message)
            self._process.kill()
        except (OSError, ValueError):
            _LOG.debug("process %s: its pipe was closed", self.pid)
        self._ended.set()
        self._inbox.put(None)


def _open_log(path: Path) -> IO[bytes]:
    """Open a log to append to; one that grew too large is kept as ``.1`` and started anew.

    Makes its folder when somebody tidied it away. Raises `ChildGone` where it cannot be opened.
    """
    try:
        if path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    except OSError:
        _LOG.debug("%s: not rotated", path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise ChildGone(f"its log {path} cannot be opened: {error.strerror}") from error
