"""Which engines there are, asked of a child process and remembered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import GenAIFillError

_LOG = logging.getLogger(__name__)
_CHECK_INTERVAL_S = 10.0
EngineTuple = tuple[EngineDescription, ...]


class EngineMemory(Protocol):
    """Where descriptions are kept between two runs of the server."""

    def load(self, fingerprint: str) -> EngineTuple | None:
        """Return what was saved under this fingerprint, if that was the last one."""

    def save(self, fingerprint: str, engines: EngineTuple) -> None:
        """Keep the descriptions."""


class RememberedEngines:
    """`EngineCatalogue` that answers from memory and asks again when something changed.

    ``fingerprint`` names everything that the descriptions depend on and that is cheap to
    see: installed engines, settings, the model folders. At the start it is not trusted:
    what was remembered is given at once, and asked again in the background.
    """

    def __init__(
        self,
        ask: Callable[[], EngineTuple],
        apply_policy: Callable[[EngineTuple], EngineTuple],
        fingerprint: Callable[[], str],
        memory: EngineMemory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask with ``ask``; what it says passes through ``apply_policy``."""
        self._ask = ask
        self._apply_policy = apply_policy
        self._fingerprint = fingerprint
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._engines: EngineTuple | None = None
        self._seen = ""
        self._checked_s = float("-inf")
        self._answers = 0
        # How often it was said that something changed, and how often when the answer that is
        # known was asked for: one that was under way at the time knows nothing of the change.
        self._changes = 0
        self._changes_known = 0

    def start(self) -> None:
        """Begin to ask in the background."""
        threading.Thread(target=self._refresh_quietly, name="engines", daemon=True).start()

    def engines(self) -> EngineTuple:
        """Return every engine, the unavailable included. Raises `EngineError`."""
        known = self._known()
        return self._apply_policy(known if known is not None else self._refresh())

    def ask_again(self) -> None:
        """Ask anew at the next question: other models may be there than a moment ago."""
        with self._lock:
            self._changes += 1

    def _known(self) -> EngineTuple | None:
        with self._lock:
            if self._changes_known < self._changes:
                return None
            now = self._clock()
            if self._engines is not None and now - self._checked_s < _CHECK_INTERVAL_S:
                return self._engines
            fingerprint = self._fingerprint()
            if self._engines is None:
                self._engines = self._memory.load(fingerprint)
                self._seen = fingerprint
            elif fingerprint != self._seen:
                return None
            self._checked_s = now
            return self._engines

    def _refresh(self) -> EngineTuple:
        answers_before, changes = self._answers, self._changes
        with self._asking:
            is_news = self._answers != answers_before and self._changes_known >= changes
            if self._engines is not None and is_news:
                return self._engines  # somebody else asked while this one waited its turn
            fingerprint, changes = self._fingerprint(), self._changes
            engines = self._ask()
            with self._lock:
                self._engines, self._seen = engines, fingerprint
                self._checked_s = self._clock()
                self._answers += 1
                self._changes_known = changes
            self._memory.save(fingerprint, engines)
            return engines

    def _refresh_quietly(self) -> None:
        try:
            self._refresh()
        except GenAIFillError as error:
            _LOG.error("the engines cannot be listed: %s", error)
