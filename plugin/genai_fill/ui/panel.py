"""The dockable panel: draws `PanelState`, calls `PanelActions`, keeps nothing of its own.

Lifetime, as Nuke has it: closing a tab only takes the widget off a stack, and widgets die
with the layout. So the panel listens and follows the selection only while it shows, holds no
thread, and whatever reaches a dead widget is dropped.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from genai_fill.app.panel_state import PanelActions, PanelState
from genai_fill.ui.activity import ActivityArea
from genai_fill.ui.empty_page import EmptyPage
from genai_fill.ui.error_area import ErrorArea
from genai_fill.ui.form import MARGIN_PX, Line
from genai_fill.ui.header import Header
from genai_fill.ui.log_view import LogView
from genai_fill.ui.models_dialog import ModelsDialog
from genai_fill.ui.phrases import can_try_again
from genai_fill.ui.settings_area import SettingsArea
from genai_fill.ui.subscription import Subscription, ending, listener_of
from genai_fill.ui.tab_order import tab_in_reading_order
from genai_fill.ui.take_list import TakeList

FOLLOW_EVERY_MS = 250


class FillPanel(QWidget):
    """GenAI Fill's panel."""

    state_came = Signal(object)

    def __init__(self, actions: PanelActions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("GenAIFillPanel")
        self.setWindowTitle("GenAI Fill")
        self.setAccessibleName("GenAI Fill")
        self._actions = actions
        self._state: PanelState | None = None
        self._next: PanelState | None = None
        self._drawing = False
        self._subscription = Subscription()
        self.models: ModelsDialog | None = None
        self.header = Header(self)
        self.error = ErrorArea(self)
        self.pages = QStackedWidget(self)
        self.empty = EmptyPage(self.pages)
        self.splitter = QSplitter(Qt.Orientation.Vertical, self.pages)
        self.settings = SettingsArea(self.splitter)
        self._below = QWidget(self.splitter)
        self.activity = ActivityArea(self._below)
        self.takes = TakeList(self._below)
        self.log = LogView(self._below)
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(FOLLOW_EVERY_MS)
        self._timer.timeout.connect(self._follow_selection)
        self._connect()
        self._order_tabs()
        self._receive(actions.state)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size the panel looks best at."""
        return QSize(400, 860)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the smallest size at which nothing is cut."""
        return QSize(320, 360)

    def stop(self) -> None:
        """Commit what was typed, stop listening and following. Showing it starts it again."""
        self._timer.stop()
        self.settings.stop()
        self._subscription.end()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Listen and follow the selection while shown."""
        super().showEvent(event)
        self._subscription.begin(self._actions, listener_of(self))
        self._receive(self._actions.state)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """A hidden panel does nothing."""
        self.stop()
        super().hideEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop before going."""
        self.stop()
        super().closeEvent(event)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self._below)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(Line(self._below))
        below = QVBoxLayout()
        below.setContentsMargins(MARGIN_PX, 8, MARGIN_PX, MARGIN_PX)
        below.setSpacing(8)
        column.addLayout(below, 1)
        below.addWidget(self.activity)
        below.addWidget(self.takes, 1)
        below.addWidget(self.log)
        self.splitter.addWidget(self.settings)
        self.splitter.addWidget(self._below)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([620, 300])
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.splitter)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, 0)
        head.setSpacing(8)
        head.addWidget(self.header)
        head.addWidget(self.error)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.pages, 1)

    def _connect(self) -> None:
        actions = self._actions
        self.state_came.connect(self._receive)
        self.empty.create_asked.connect(self._create_node)
        self.empty.models_asked.connect(self._open_models)
        self.error.dismissed.connect(self._dismiss_error)
        self.error.again_asked.connect(self._generate)
        self.settings.edited.connect(self._edit)
        self.settings.prompt_typed.connect(self._show_activity)
        self.settings.options.changed.connect(self._set_option)
        self.settings.options.rebuilt.connect(self._order_tabs)
        self.settings.options.reset_asked.connect(self._reset_options)
        self.settings.chooser.refresh_asked.connect(self._refresh_engines)
        self.settings.chooser.models_asked.connect(self._open_models)
        self.settings.seed.roll_asked.connect(self._roll_seed)
        self.activity.generate_asked.connect(self._generate)
        self.activity.cancel_asked.connect(self._cancel)
        self.takes.chosen.connect(actions.choose_take)
        self.takes.forget_asked.connect(actions.forget_take)
        self.takes.restore_asked.connect(self._restore_take)
        self.takes.reveal_asked.connect(actions.reveal_take)
        self.takes.hero_asked.connect(self._add_hero)
        self.settings.heroes.remove_asked.connect(actions.remove_hero)
        self.settings.heroes.rebuilt.connect(self._order_tabs)
        # Shortcuts, not event(): PySide6 6.5 may hand an overridden event() the wrapper of an
        # event that is gone. Ambiguous means that the host has the keys too; in here they
        # are the panel's.
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(self._generate)
            shortcut.activatedAmbiguously.connect(self._generate)
        # Of a function that does not know the panel: by then there is none.
        self.destroyed.connect(ending(self._subscription))
        app = QCoreApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self.stop)

    def _receive(self, state: PanelState) -> None:
        """Draw a state; one that comes while drawing is drawn next, never inside."""
        self._next = state
        if self._drawing:
            return
        self._drawing = True
        try:
            while self._next is not None:
                state, self._next = self._next, None
                self._draw(state)
        finally:
            self._drawing = False

    def _draw(self, state: PanelState) -> None:
        if state == self._state:
            return
        self._state = state
        self.header.show_state(state)
        self.error.show_error(state.error)
        has_node = state.node_name is not None
        self.pages.setCurrentWidget(self.splitter if has_node else self.empty)
        self.settings.show_state(state)
        self.takes.show_takes(state.takes)
        self.log.show_lines(state.log)
        self._show_activity()

    def _show_activity(self) -> None:
        if self._state is not None:
            self.activity.show_state(self._state, self.settings.prompt_now)
            self.error.offer_again(
                can_try_again(self._state) and self.activity.generate.isEnabled()
            )

    def _follow_selection(self) -> None:
        # Another node's state would come on top of text typed for this one: the pause in
        # typing commits it, and the selection is followed a moment later.
        if self.isVisible() and not self.settings.is_being_edited():
            self._actions.follow_selection()

    def _order_tabs(self) -> None:
        tab_in_reading_order(self)

    def _generate(self) -> None:
        self.settings.commit_pending()
        self._show_activity()
        if self._state is not None and self.activity.generate.isEnabled():
            self._actions.generate()

    def _cancel(self) -> None:
        self._actions.cancel()

    def _create_node(self) -> None:
        self._actions.create_node()

    def _dismiss_error(self) -> None:
        self._actions.dismiss_error()

    def _edit(self, changes: dict[str, object]) -> None:
        self._actions.edit(**changes)

    def _set_option(self, name: str, value: bool | int | float | str) -> None:
        self._actions.set_option(name, value)

    def _reset_options(self) -> None:
        self._actions.reset_options()

    def _refresh_engines(self) -> None:
        self._actions.refresh_engines()

    def _open_models(self) -> None:
        """Open the window of models, or bring it to the front."""
        if self.models is None:
            self.models = ModelsDialog(self._actions, self)
        self.models.show()
        self.models.raise_()
        self.models.activateWindow()
        self._actions.refresh_models()

    def _roll_seed(self) -> None:
        self._actions.roll_seed()

    def _add_hero(self, version: int) -> None:
        self._actions.add_hero(version)

    def _restore_take(self, version: int) -> None:
        # What was typed is committed first: the host's undo then brings it back.
        self.settings.commit_pending()
        self._actions.restore_take_settings(version)
