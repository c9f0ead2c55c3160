"""Tab goes through the panel as it reads, whenever its parts were made."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLayout, QScrollArea, QSplitter, QStackedWidget, QWidget


def tab_in_reading_order(root: QWidget) -> None:
    """Let Tab follow the layouts under ``root``, from top to bottom."""
    before: QWidget | None = None
    for widget in tab_stops(root):
        if before is not None:
            QWidget.setTabOrder(before, widget)
        before = widget


def tab_stops(widget: QWidget) -> Iterator[QWidget]:
    """Yield the widgets under ``widget`` that Tab stops at, in the order of the layouts."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None:
        yield widget
    if isinstance(widget, QSplitter | QStackedWidget):
        for position in range(widget.count()):
            yield from tab_stops(widget.widget(position))
    elif isinstance(widget, QScrollArea):
        yield from tab_stops(widget.widget())
    else:
        yield from _stops_of_layout(widget.layout())


def _stops_of_layout(layout: QLayout | None) -> Iterator[QWidget]:
    if layout is None:
        return
    for position in range(layout.count()):
        item = layout.itemAt(position)
        widget = item.widget()
        if widget is not None:
            yield from tab_stops(widget)
        else:
            yield from _stops_of_layout(item.layout())
