"""Reach the backend, starting it when none answers and that is allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from genai_fill.app.ports import Backend, BackendFinder, BackendProcess, Clock, SettingsSource
from genai_fill_contract.errors import (
    BackendStartFailed,
    BackendTimeout,
    BackendUnreachable,
)
from genai_fill_contract.hello import Hello

POLL_S = 0.2


@dataclass(frozen=True)
class Reached:
    """A backend that answered, and what it said."""

    backend: Backend
    hello: Hello


class BackendConnection:
    """The way to the backend. Any thread; only one of them starts a process."""

    def __init__(
        self,
        finder: BackendFinder,
        process: BackendProcess,
        settings: SettingsSource,
        clock: Clock,
    ) -> None:
        """Ask nothing yet."""
        self._finder = finder
        self._process = process
        self._settings = settings
        self._clock = clock
        self._starting = threading.Lock()

    def connect(self, *, start: bool, on_start: Callable[[], None] = lambda: None) -> Reached:
        """Return a backend that answers.

        ``start`` allows to start one, if the settings do too and name no address;
        ``on_start`` is called when that happens. Raises `BackendUnreachable`,
        `BackendStartFailed` and whatever a backend answers to a greeting.
        """
        try:
            return self._greet()
        except (BackendUnreachable, BackendTimeout):
            told = self._settings.load().backend
            if not start or not told.autostart or told.url:
                raise
        with self._starting:
            try:
                return self._greet()  # another thread may have started it meanwhile
            except (BackendUnreachable, BackendTimeout):
                on_start()
            return self._start(told.start_timeout_s)

    def _greet(self) -> Reached:
        backend = self._finder.find()
        return Reached(backend, backend.hello())

    def _start(self, timeout_s: float) -> Reached:
        self._process.start()
        deadline = self._clock.now() + timeout_s
        while True:
            self._clock.sleep(POLL_S)
            try:
                return self._greet()
            except (BackendUnreachable, BackendTimeout) as error:
                last = error  # or the address of an older backend whose port others use now
            if reason := self._process.failure():
                raise BackendStartFailed(
                    f"The backend did not start: {reason}.",
                    hint="Start 'genai-fill serve' in a shell to see everything it says.",
                )
            if self._clock.now() > deadline:
                raise BackendStartFailed(
                    f"The backend did not answer within {timeout_s:g} s of its start: "
                    f"{last.message}",
                    hint="Look into its log in the state folder, or raise backend.start_timeout_s.",
                )
