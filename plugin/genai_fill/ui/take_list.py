"""The takes of the node: look, choose, go back to one's settings, take off the list."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QAbstractItemView, QListView, QMenu, QVBoxLayout, QWidget

from genai_fill.app.panel_state import TakeRow
from genai_fill.ui.form import ElidedLabel
from genai_fill.ui.take_delegate import TakeDelegate
from genai_fill.ui.take_model import TakeModel

_CHOOSE_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class TakeView(QListView):
    """The list itself: arrows move, Enter or Space chooses, Delete takes off the list."""

    choose_asked = Signal(QModelIndex)
    forget_asked = Signal(QModelIndex)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for the plate and two takes."""
        return QSize(300, 180)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for the plate and one take."""
        return QSize(160, 104)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the list, and what to do about it when it has no takes."""
        super().paintEvent(event)
        if self.model().rowCount() > 1:
            return
        painter = QPainter(self.viewport())
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        area = self.viewport().rect().adjusted(12, self.sizeHintForRow(0), -12, 0)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(area, int(flags), "No takes yet. Generate makes the first.")
        painter.end()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Choose or forget the current row."""
        key, index = event.key(), self.currentIndex()
        if key in _CHOOSE_KEYS and index.isValid():
            self.choose_asked.emit(index)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and index.isValid():
            self.forget_asked.emit(index)
        else:
            super().keyPressEvent(event)


class TakeList(QWidget):
    """Heading and list."""

    chosen = Signal(object)
    forget_asked = Signal(int)
    restore_asked = Signal(int)
    reveal_asked = Signal(int)
    hero_asked = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.heading = ElidedLabel(self, bold=True)
        self.heading.set_text("Takes")
        self.model = TakeModel(self)
        self.view = TakeView(self)
        self.view.setModel(self.model)
        self.view.setItemDelegate(TakeDelegate(self.view))
        self.view.setAccessibleName("Takes")
        self.view.setToolTip("Click a take to use it; right-click for more.")
        self.view.setMouseTracking(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.heading)
        layout.addWidget(self.view, 1)
        self.view.clicked.connect(self._choose)
        self.view.choose_asked.connect(self._choose)
        self.view.forget_asked.connect(self._forget)
        self.view.customContextMenuRequested.connect(self._open_menu)

    def show_takes(self, takes: Sequence[TakeRow]) -> None:
        """Show the takes of a state."""
        self.model.show_takes(takes)
        self.heading.set_text(f"Takes ({len(takes)})" if takes else "Takes")

    def menu_for(self, take: TakeRow) -> QMenu:
        """Return the menu of a take; the caller shows it, it deletes itself once closed."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        self._entry(menu, "Use this take", "Show it in the node's output.", self._menu_choose, take)
        self._entry(
            menu,
            "Use these settings again",
            "Put its prompt, seed, engine and options back onto the node.",
            self._menu_restore,
            take,
        )
        hero = self._entry(
            menu,
            "Use this frame as a hero frame",
            "Approve the frame that Nuke shows, to be carried through the shot.",
            self._menu_hero,
            take,
        )
        hero.setEnabled(take.frames_done > 0)
        menu.addSeparator()
        self._entry(
            menu, "Reveal in file browser", "Open the take's folder.", self._menu_reveal, take
        )
        forget = self._entry(
            menu,
            "Remove from list",
            "Take it off the node's list. Its files stay on disk.",
            self._menu_forget,
            take,
        )
        forget.setShortcut(QKeySequence(Qt.Key.Key_Delete))
        return menu

    def _entry(self, menu: QMenu, text: str, tooltip: str, slot: object, take: TakeRow) -> QAction:
        action = QAction(text, menu)
        action.setToolTip(tooltip)
        action.setData(take.version)
        action.triggered.connect(slot)
        menu.addAction(action)
        return action

    def _open_menu(self, place: QPoint) -> None:
        take = self.model.take_at(self.view.indexAt(place))
        if take is not None:
            # popup(), not exec(): no nested event loop in the host.
            self.menu_for(take).popup(self.view.viewport().mapToGlobal(place))

    def _version_of_entry(self) -> int:
        action = self.sender()
        return int(action.data()) if isinstance(action, QAction) else 0

    def _menu_choose(self) -> None:
        self.chosen.emit(self._version_of_entry())

    def _menu_restore(self) -> None:
        self.restore_asked.emit(self._version_of_entry())

    def _menu_hero(self) -> None:
        self.hero_asked.emit(self._version_of_entry())

    def _menu_reveal(self) -> None:
        self.reveal_asked.emit(self._version_of_entry())

    def _menu_forget(self) -> None:
        self.forget_asked.emit(self._version_of_entry())

    def _choose(self, index: QModelIndex) -> None:
        take = self.model.take_at(index)
        self.chosen.emit(take.version if take is not None else None)

    def _forget(self, index: QModelIndex) -> None:
        take = self.model.take_at(index)
        if take is not None:
            self.forget_asked.emit(take.version)
