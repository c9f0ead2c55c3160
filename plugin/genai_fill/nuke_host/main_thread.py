"""Getting a call onto Nuke's main thread and its outcome back, errors included."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import nuke

from genai_fill_contract.errors import NukeFailed

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """What a call returned or raised. Nuke itself gives None for both None and a failure."""

    value: Any = None
    error: BaseException | None = None


def _carry(call: Callable[[], Any]) -> _Outcome:
    try:
        return _Outcome(value=call())
    except BaseException as error:  # noqa: BLE001 - carried over and raised by `run`
        return _Outcome(error=error)


class MainThread:
    """Runs calls on the main thread. Make it there: it remembers whether there is a GUI.

    Without a GUI nobody serves the queue: then everything has to run on the main thread, and
    a call from another one raises `RuntimeError`, since Nuke must not be touched from there.
    """

    def __init__(self) -> None:
        """Remember how this session runs."""
        self.interactive = bool(nuke.GUI)

    def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` on the main thread and return or raise what it does.

        Raises `NukeFailed` when Nuke drops the call, as it does while it shuts down. Waiting
        for the main thread on the main thread would hang Nuke, so there the call is direct.
        """
        if self._is_here():
            return call()
        try:
            outcome: object = nuke.executeInMainThreadWithResult(  # type: ignore[no-untyped-call] # the stub has no types
                _carry, (call,)
            )
        except RuntimeError as error:
            raise _dropped() from error
        if not isinstance(outcome, _Outcome):
            raise _dropped()
        if outcome.error is not None:
            raise outcome.error
        value: T = outcome.value
        return value

    def post(self, call: Callable[[], None]) -> None:
        """Have ``call`` run on the main thread soon; at once when this is the main thread.

        Nothing happens while Nuke shuts down: there is nobody left to tell.
        """
        if self._is_here():
            call()
        else:
            self.queue(call)

    def queue(self, call: Callable[[], None]) -> None:
        """Have ``call`` run on the main thread after what runs there now. GUI only."""
        try:
            nuke.executeInMainThread(call)
        except RuntimeError:
            _log.debug("Nuke takes no calls any more", exc_info=True)

    def _is_here(self) -> bool:
        """Whether calls can be made at once; raises `RuntimeError` where they never can."""
        if _is_main():
            return True
        if not self.interactive:
            raise RuntimeError(
                "Without a GUI Nuke can be used on the main thread only, and this is another one."
            )
        return False


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _dropped() -> NukeFailed:
    return NukeFailed(
        "Nuke did not run what was asked of it.",
        hint="It may be shutting down. Otherwise look into its terminal.",
    )
