"""Qt off screen, one application for all tests, and panels that are put away after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from examples.panel_picture import qt_application

# Before any test module imports PySide6: off screen, and without numpy.
_APPLICATION = qt_application()

from PySide6.QtCore import QEvent, QObject  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402
from shiboken6 import isValid  # noqa: E402

from genai_fill.ui.panel import FillPanel  # noqa: E402
from tests.fakes.panel_actions import FakeActions, ready_state  # noqa: E402


@pytest.fixture(scope="session")
def app() -> QApplication:
    return _APPLICATION


@pytest.fixture
def actions() -> FakeActions:
    return FakeActions(ready_state())


@pytest.fixture
def show(app: QApplication) -> Iterator[Callable[[FakeActions], FillPanel]]:
    """Return what shows a panel with the keyboard focus, as docked and clicked into."""
    panels: list[FillPanel] = []

    def open_panel(actions: FakeActions, width: int = 400, height: int = 900) -> FillPanel:
        panel = FillPanel(actions)
        panel.resize(width, height)
        panel.show()
        panel.activateWindow()
        app.processEvents()
        panels.append(panel)
        return panel

    yield open_panel
    for panel in panels:
        if isValid(panel):
            panel.close()
            panel.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    app.processEvents()


@pytest.fixture
def panel(show: Callable[[FakeActions], FillPanel], actions: FakeActions) -> FillPanel:
    return show(actions)


@pytest.fixture
def owner(app: QApplication) -> Iterator[QObject]:
    """Return a parent for loose objects, which takes them with it."""
    parent = QObject()
    yield parent
    parent.deleteLater()
