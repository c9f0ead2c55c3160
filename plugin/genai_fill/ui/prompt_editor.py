"""A text area for prompts that never loses what the artist typed."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QResizeEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QWidget

COMMIT_AFTER_MS = 700


class PromptEditor(QPlainTextEdit):
    """A prompt, committed on leaving the field, on Ctrl+Enter and after a pause in typing.

    A state from outside replaces the text only when it *changed* outside and nothing typed
    is waiting here. When another node comes while typed text waits, the text is kept as a
    draft for the node it was typed for, and put back when that node returns.
    """

    committed = Signal(str)

    def __init__(self, parent: QWidget, *, lines: tuple[int, int]) -> None:
        super().__init__(parent)
        self._lines = lines
        self._asked_height = 0
        self._node: str | None = None
        self._outside = ""  # the text the node has, as far as this field knows
        self._clean = ""  # the same as Qt gives it back, which is without no-break spaces
        self._superseded: str | None = None  # what the node had before the last commit
        self._drafts: dict[str, str] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COMMIT_AFTER_MS)
        self._timer.timeout.connect(self.commit_pending)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.textChanged.connect(self._typed)

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self._node is not None and self.toPlainText() != self._clean

    def show_text(self, node: str | None, text: str) -> None:
        """Show the text that ``node`` has, as far as that loses nothing typed."""
        if node != self._node:
            self._change_node(node, text)
        elif text == self._outside:
            self._superseded = None
        elif text != self._superseded:
            # A state made before the last commit still has the text from then: that is no
            # change, and must not undo what was typed. Anything else is one.
            self._superseded = None
            typing = self.is_being_edited()
            self._outside = text
            if not typing:
                self._replace(text)
                self._settle()

    def commit_pending(self) -> None:
        """Hand over what was typed, if anything was."""
        self._timer.stop()
        if self.is_being_edited():
            self._superseded = self._outside
            self._outside = self._clean = self.toPlainText()
            self.committed.emit(self._outside)

    def stop(self) -> None:
        """Commit and leave no timer running."""
        self.commit_pending()
        self._timer.stop()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Commit on leaving the field."""
        super().focusOutEvent(event)
        # A context menu only borrows the focus.
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.commit_pending()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Ask for the height that the text's new wrapping needs."""
        super().resizeEvent(event)
        self._ask_for_height()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a modest width, and the height of the text between least and most lines."""
        return QSize(240, self._wanted_height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width that fits a narrow dock."""
        return QSize(120, self._wanted_height())

    def _change_node(self, node: str | None, text: str) -> None:
        if self._node is not None and self.is_being_edited():
            self._drafts[self._node] = self.toPlainText()
        self._timer.stop()
        self._node = node
        self._outside = text
        self._superseded = None
        # Another node's text has another undo history, so this one starts afresh.
        self.setPlainText(text)
        self._settle()
        draft = self._drafts.pop(node, None) if node is not None else None
        if draft is not None and draft != text:
            self._replace(draft)
            self._timer.start()

    def _settle(self) -> None:
        """Take the text there is as the node's own."""
        self._clean = self.toPlainText()
        self._timer.stop()

    def _replace(self, text: str) -> None:
        """Replace the text as one undoable step."""
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)
        cursor.endEditBlock()

    def _typed(self) -> None:
        self._ask_for_height()
        if self.is_being_edited():
            self._timer.start()
        else:
            self._timer.stop()

    def _ask_for_height(self) -> None:
        # Through the layout, never by resizing from here: within resizeEvent() that leaves
        # the text wrapped for the width without its scroll bar.
        if self._asked_height != self._wanted_height():
            self._asked_height = self._wanted_height()
            self.updateGeometry()

    def _wanted_height(self) -> int:
        least, most = self._lines
        lines = min(max(round(self.document().size().height()), least), most)
        inner = round(2 * self.document().documentMargin()) + 2 * self.frameWidth()
        # Two pixels more, for Qt shows a scroll bar when the last line fits exactly.
        return lines * self.fontMetrics().lineSpacing() + inner + 2
