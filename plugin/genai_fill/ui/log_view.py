"""The log of this node's fills, folded away."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from genai_fill.ui.form import Fold

_MAX_LINES = 2000


class LogView(Fold):
    """Lines as they come; follows the end unless the artist scrolled up."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Log", parent, tooltip="What the backend tells.", opened=False)
        self._lines: tuple[str, ...] = ()
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setMaximumBlockCount(_MAX_LINES)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setFixedHeight(120)
        self.text.setAccessibleName("Log")
        self.text.setToolTip("What the backend tells.")
        self.body.addWidget(self.text)

    def show_lines(self, lines: Sequence[str]) -> None:
        """Show the lines, adding only new ones when the old ones are still the start."""
        new = tuple(lines)
        if new == self._lines:
            return
        bar = self.text.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        known = len(self._lines)
        if known and new[:known] == self._lines:
            self.text.appendPlainText("\n".join(new[known:]))
        else:
            self.text.setPlainText("\n".join(new[-_MAX_LINES:]))
        self._lines = new
        if at_end:
            bar.setValue(bar.maximum())
