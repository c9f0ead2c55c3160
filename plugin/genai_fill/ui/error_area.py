"""What went wrong, in words, and what to do about it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.form import Fold, PlainLabel
from genai_fill.ui.glyphs import Glyph
from genai_fill.ui.palette import Tone, mix, tone_colour
from genai_fill.ui.phrases import error_details, shorten
from genai_fill_contract.errors import ErrorReport


class ErrorArea(QWidget):
    """Message and hint, details to copy, a way to dismiss it, and one to try again."""

    dismissed = Signal()
    again_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._report: ErrorReport | None = None
        self.message = PlainLabel("", self)
        self.message.setAccessibleName("Error")
        font = self.message.font()
        font.setBold(True)
        self.message.setFont(font)
        self.hint = PlainLabel("", self)
        self.hint.setAccessibleName("What to do")
        for label in (self.message, self.hint):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.close_button = GlyphButton(Glyph.CROSS, "Dismiss error", "Dismiss.", self)
        self.details = Fold("Details", self, tooltip="Code and context.", opened=False, quiet=True)
        self.text = QPlainTextEdit(self.details)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setFixedHeight(96)
        self.text.setAccessibleName("Error details")
        self.text.setToolTip("Everything known about the error.")
        self.copy = QPushButton("Copy details", self)
        self.copy.setAccessibleName("Copy error details")
        self.copy.setToolTip("Copy everything known about the error to the clipboard.")
        self.copy.setMinimumWidth(self.copy.sizeHint().width() + 16)
        self.again = QPushButton("Try again", self)
        self.again.setAccessibleName("Try again")
        self.again.setToolTip("Generate once more with the settings as they are now.")
        self.again.setAutoDefault(False)
        self.again.setVisible(False)
        self.details.body.addWidget(self.text)
        self.details.body.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignRight)
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.message, 1)
        head.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 6, 8)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.hint)
        layout.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.details)
        self.again.clicked.connect(self.again_asked)
        self.close_button.clicked.connect(self.dismissed)
        self.copy.clicked.connect(self._copy)
        self.setVisible(False)

    def show_error(self, report: ErrorReport | None) -> None:
        """Show an error; None hides the area."""
        if report == self._report:
            return
        self._report = report
        self.setVisible(report is not None)
        if report is not None:
            self.message.setText(shorten(report.message))
            self.hint.setText(shorten(report.hint))
            self.hint.setVisible(bool(report.hint))
            self.text.setPlainText(error_details(report))
            self.details.set_open(False)

    def offer_again(self, offered: bool) -> None:
        """Show the button that tries again, or hide it."""
        self.again.setVisible(offered)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw a tinted box with a bar at its left."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        window = self.palette().window().color()
        bad = tone_colour(self.palette(), Tone.BAD)
        box = QRectF(self.rect())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(mix(window, bad, 0.14))
        painter.drawRoundedRect(box, 4, 4)
        painter.fillRect(QRectF(0, 3, 3, box.height() - 6), bad)
        painter.end()

    def _copy(self) -> None:
        if self._report is not None:
            QGuiApplication.clipboard().setText(error_details(self._report))
