"""Listening to the actions for as long as a widget shows, and never after it is gone."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import SignalInstance
from shiboken6 import isValid

from genai_fill.app.panel_state import PanelActions, PanelState


class Drawn(Protocol):
    """A widget that draws a state when its signal brings one."""

    @property
    def state_came(self) -> SignalInstance:
        """The signal."""


class Subscription:
    """Listening to the actions, begun and ended as often as a widget shows and hides."""

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self._end: Callable[[], None] | None = None

    def begin(self, actions: PanelActions, listener: Callable[[PanelState], None]) -> None:
        """Listen, unless it does already."""
        if self._end is None:
            self._end = actions.subscribe(listener)

    def end(self) -> None:
        """Listen no more."""
        if self._end is not None:
            end, self._end = self._end, None
            end()


def ending(subscription: Subscription) -> Callable[[], None]:
    """Return what ends a subscription and does not know the widget."""

    def end() -> None:
        subscription.end()

    return end


def listener_of(widget: Drawn) -> Callable[[PanelState], None]:
    """Return a listener that does not keep the widget alive, and never wakes a dead one."""
    alive = weakref.ref(widget)

    def listen(state: PanelState) -> None:
        widget = alive()
        if widget is not None and isValid(widget):
            # A signal, so that a state told on another thread is drawn on this one.
            widget.state_came.emit(state)

    return listen
