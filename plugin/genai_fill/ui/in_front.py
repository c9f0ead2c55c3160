"""Bringing the panel to the front when it is open behind another tab."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QStackedWidget, QTabBar, QWidget

from genai_fill.ui.panel import FillPanel


def bring_to_front() -> bool:
    """Turn the tabs to a panel that there is; return whether one shows now.

    Works from the panel upwards, whatever panes are made of: Qt's tab widgets, stacks with a
    tab bar beside them, dock widgets, windows of their own.
    """
    panels = [one for one in QApplication.allWidgets() if isinstance(one, FillPanel)]
    if not panels:
        return False
    panel = next((one for one in panels if one.isVisible()), panels[-1])
    page: QWidget = panel
    while (parent := page.parentWidget()) is not None:
        if isinstance(parent, QStackedWidget) and parent.indexOf(page) >= 0:
            _turn_to(parent, page)
        elif isinstance(page, QDockWidget):
            page.raise_()
        page = parent
    page.raise_()
    page.activateWindow()
    return panel.isVisible()


def _turn_to(stack: QStackedWidget, page: QWidget) -> None:
    """Show a page of a stack, by the tab bar beside it if there is one: it would not follow."""
    beside = stack.parentWidget()
    if beside is not None:
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        for bar in beside.findChildren(QTabBar, options=direct):
            if bar.count() == stack.count():
                bar.setCurrentIndex(stack.indexOf(page))
    stack.setCurrentWidget(page)
