"""Open panel turns the tabs to the panel, whatever holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from genai_fill.ui.in_front import bring_to_front
from genai_fill.ui.panel import FillPanel
from tests.fakes.panel_actions import FakeActions


@pytest.fixture
def window(app: QApplication) -> Iterator[QMainWindow]:
    window = QMainWindow()
    window.resize(500, 900)
    yield window
    window.close()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def behind(page: QWidget) -> QWidget:
    """Wrap a panel as Nuke wraps a custom knob: some layers of plain widgets."""
    outer = QWidget()
    QVBoxLayout(outer).addWidget(page)
    return outer


def in_tab_widget(window: QMainWindow, panel: FillPanel) -> None:
    tabs = QTabWidget()
    tabs.addTab(QLabel("Properties"), "Properties")
    tabs.addTab(behind(panel), "GenAI Fill")
    window.setCentralWidget(tabs)


def in_stack_with_tab_bar(window: QMainWindow, panel: FillPanel) -> None:
    pane = QWidget()
    column, bar, stack = QVBoxLayout(pane), QTabBar(), QStackedWidget()
    for word, page in (("Properties", QLabel("Properties")), ("GenAI Fill", behind(panel))):
        bar.addTab(word)
        stack.addWidget(page)
    bar.currentChanged.connect(stack.setCurrentIndex)
    column.addWidget(bar)
    column.addWidget(stack)
    window.setCentralWidget(pane)


def in_bare_stack(window: QMainWindow, panel: FillPanel) -> None:
    stack = QStackedWidget()
    stack.addWidget(QLabel("Properties"))
    stack.addWidget(behind(panel))
    window.setCentralWidget(stack)


def in_docks(window: QMainWindow, panel: FillPanel) -> None:
    docks = []
    for word, page in (("Properties", QLabel("Properties")), ("GenAI Fill", behind(panel))):
        dock = QDockWidget(word)
        dock.setWidget(page)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        docks.append(dock)
    window.tabifyDockWidget(docks[0], docks[1])
    docks[0].raise_()


@pytest.mark.parametrize("hold", [in_tab_widget, in_stack_with_tab_bar, in_bare_stack, in_docks])
def test_a_panel_behind_another_tab_comes_to_the_front(
    app: QApplication,
    actions: FakeActions,
    window: QMainWindow,
    hold: Callable[[QMainWindow, FillPanel], None],
) -> None:
    panel = FillPanel(actions)
    hold(window, panel)
    window.show()
    app.processEvents()
    assert panel.visibleRegion().isEmpty()
    assert bring_to_front()
    app.processEvents()
    assert not panel.visibleRegion().isEmpty()
    for bar in window.findChildren(QTabBar):
        assert bar.tabText(bar.currentIndex()) == "GenAI Fill"


def test_tabs_inside_tabs_are_all_turned(
    app: QApplication, actions: FakeActions, window: QMainWindow
) -> None:
    panel, inner, outer = FillPanel(actions), QTabWidget(), QTabWidget()
    inner.addTab(QLabel("Properties"), "Properties")
    inner.addTab(panel, "GenAI Fill")
    outer.addTab(QLabel("Graph"), "Graph")
    outer.addTab(behind(inner), "Compositing")
    window.setCentralWidget(outer)
    window.show()
    assert bring_to_front()
    assert panel.isVisible()
    assert (outer.currentIndex(), inner.currentIndex()) == (1, 1)


def test_without_a_panel_there_is_nothing_to_bring(app: QApplication) -> None:
    assert not bring_to_front()


def test_a_panel_whose_tab_was_closed_does_not_count(
    app: QApplication, actions: FakeActions
) -> None:
    holder = QWidget()
    panel = FillPanel(actions)
    panel.setParent(holder)
    assert not bring_to_front()
    holder.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
