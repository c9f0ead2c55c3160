"""Layout parts: rows of label and field, sections that fold, text that fits."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from genai_fill.ui.buttons import FoldButton
from genai_fill.ui.palette import Tone, line_colour, tone_colour
from genai_fill.ui.phrases import plain_tooltip

MARGIN_PX = 10
GAP_PX = 6
LABEL_WIDTH_PX = 86


class PlainLabel(QLabel):
    """A label that never reads its text as markup; wraps unless told otherwise."""

    def __init__(self, text: str, parent: QWidget, *, tone: Tone | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.setMinimumWidth(1)
        self.setText(text)
        if tone is not None:
            self.set_tone(tone)

    def set_tone(self, tone: Tone) -> None:
        """Colour the text after what it says."""
        palette = QPalette(self.parentWidget().palette())
        palette.setColor(QPalette.ColorRole.WindowText, tone_colour(palette, tone))
        self.setPalette(palette)


class ElidedLabel(QWidget):
    """One line of text, cut with an ellipsis where the room ends; the whole as tool tip."""

    def __init__(self, parent: QWidget, *, bold: bool = False) -> None:
        super().__init__(parent)
        self._text = ""
        font = self.font()
        font.setBold(bold)
        self.setFont(font)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    @property
    def text(self) -> str:
        """The whole text."""
        return self._text

    def set_text(self, text: str) -> None:
        """Show ``text``."""
        if text != self._text:
            self._text = text
            self.setToolTip(plain_tooltip(text))
            self.setAccessibleName(text)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the room that the whole text would like."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._text) + 2, metrics.height() + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return almost no width: the text gives way."""
        return QSize(24, self.fontMetrics().height() + 2)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the text, elided at its end."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        shown = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeading
        painter.drawText(self.rect(), int(flags), shown)
        painter.end()


class Line(QWidget):
    """A hairline separator in the palette's colours."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedHeight(1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Fill the line."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), line_colour(self.palette()))
        painter.end()


class Form(QWidget):
    """Rows of a right-aligned label and a field; every form has the same label column."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(GAP_PX)
        self._grid.setColumnMinimumWidth(0, LABEL_WIDTH_PX)
        self._grid.setColumnStretch(1, 1)

    def add_row(self, label: str, field: QWidget, tooltip: str = "") -> QLabel | None:
        """Add a field under the last; returns its label, None if ``label`` is empty."""
        row = self._grid.rowCount()
        tag: PlainLabel | None = None
        if label:
            # A label with a buddy takes "&" for a shortcut unless it is doubled.
            tag = PlainLabel(label.replace("&", "&&"), self)
            tag.setFixedWidth(LABEL_WIDTH_PX)
            tag.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            tag.setBuddy(field)
            tag.setToolTip(plain_tooltip(tooltip))
            self._grid.addWidget(tag, row, 0)
        self._grid.addWidget(field, row, 1)
        return tag

    def add_wide(self, widget: QWidget) -> None:
        """Add a widget over both columns."""
        self._grid.addWidget(widget, self._grid.rowCount(), 0, 1, 2)


class Fold(QWidget):
    """A titled section that folds away."""

    def __init__(
        self,
        title: str,
        parent: QWidget,
        *,
        tooltip: str,
        opened: bool = True,
        quiet: bool = False,
    ) -> None:
        super().__init__(parent)
        self._button = FoldButton(title, self, quiet=quiet)
        self._button.setToolTip(tooltip)
        self._body = QWidget(self)
        self.body = QVBoxLayout(self._body)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(GAP_PX)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._button)
        head.addWidget(Line(self), 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._body)
        self._button.toggled.connect(self._show_body)
        self._button.setChecked(opened)
        self._show_body(opened)

    @property
    def is_open(self) -> bool:
        """Whether the section's body shows."""
        return self._button.isChecked()

    def set_open(self, opened: bool) -> None:
        """Fold or unfold."""
        self._button.setChecked(opened)

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._button.set_title(title)

    def _show_body(self, opened: bool) -> None:
        self._body.setVisible(opened)


def row_of(*widgets: QWidget, parent: QWidget, stretch: tuple[int, ...] = (0,)) -> QWidget:
    """Return a widget with ``widgets`` side by side; those at ``stretch`` share the room."""
    holder = QWidget(parent)
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for position, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if position in stretch else 0)
    return holder
