"""The panel's one primary button."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QPushButton, QWidget

from genai_fill.ui.palette import mix, readable_on


class PrimaryButton(QPushButton):
    """A button filled with the host's highlight colour: there is one thing to press."""

    def __init__(self, text: str, tooltip: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setToolTip(tooltip)
        self.setAccessibleName(text)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the host's size, at least 30 px high."""
        hint = super().sizeHint()
        return QSize(hint.width() + 16, max(30, hint.height()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw a filled, rounded button in the palette's colours."""
        palette = self.palette()
        fill = palette.color(QPalette.ColorRole.Highlight)
        text = readable_on(fill)
        if not self.isEnabled():
            fill = palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Button)
            text = palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText)
        elif self.isDown():
            fill = mix(fill, palette.color(QPalette.ColorRole.Window), 0.25)
        elif self.underMouse():
            fill = fill.lighter(110)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(box, 4, 4)
        if self.hasFocus():
            painter.setPen(QPen(palette.color(QPalette.ColorRole.WindowText), 1.2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, 4, 4)
        font = self.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(text)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
        painter.end()
