"""Buttons drawn in the host's colours: primary, glyph, section title, check box."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QPushButton,
    QStyle,
    QStyleOptionToolButton,
    QToolButton,
    QWidget,
)

from genai_fill.ui.glyphs import Glyph, draw_glyph
from genai_fill.ui.palette import dim_text, mix, readable_on


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
        return QSize(hint.width() + 32, max(30, hint.height()))

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
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
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


class GlyphButton(QToolButton):
    """A flat button with a glyph, with a tool tip and an accessible name from the start."""

    def __init__(self, glyph: Glyph, name: str, tooltip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self.setAccessibleName(name)
        self.setToolTip(tooltip)
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedSize(QSize(24, 24))

    @property
    def glyph(self) -> Glyph:
        """The picture on the button."""
        return self._glyph

    def set_glyph(self, glyph: Glyph) -> None:
        """Change the picture."""
        if glyph is not self._glyph:
            self._glyph = glyph
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the host's tool button, then the glyph over it."""
        option = QStyleOptionToolButton()
        self.initStyleOption(option)
        painter = QPainter(self)
        style = self.style()
        style.drawComplexControl(QStyle.ComplexControl.CC_ToolButton, option, painter, self)
        palette = self.palette()
        colour = palette.color(QPalette.ColorRole.WindowText)
        if self.isCheckable() and self.isChecked():
            colour = palette.color(QPalette.ColorRole.Highlight)
        elif not self.isEnabled():
            colour = palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.WindowText)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Highlight), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5), 3, 3)
        box = QRectF(0, 0, 14, 14)
        box.moveCenter(QRectF(self.rect()).center())
        draw_glyph(painter, self._glyph, box, colour)
        painter.end()


class FoldButton(QToolButton):
    """The title of a section that folds: a chevron and bold words; quiet ones are dim."""

    def __init__(self, title: str, parent: QWidget, *, quiet: bool) -> None:
        super().__init__(parent)
        self._quiet = quiet
        self.setCheckable(True)
        self.setAutoRaise(True)
        font = self.font()
        font.setBold(not quiet)
        self.setFont(font)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Change the words."""
        self.setText(title)
        self.setAccessibleName(f"{title} section")
        self.updateGeometry()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the room for chevron and words."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 22, metrics.height() + 6)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw chevron and words, brighter under the pointer."""
        palette = self.palette()
        painter = QPainter(self)
        colour = palette.color(QPalette.ColorRole.WindowText)
        quiet = dim_text(palette)
        words = quiet if self._quiet and not self.underMouse() else colour
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Highlight), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        box = QRectF(1, (self.height() - 12) / 2, 12, 12)
        glyph = Glyph.OPENED if self.isChecked() else Glyph.FOLDED
        draw_glyph(painter, glyph, box, colour if self.underMouse() else quiet, 1.6)
        painter.setPen(words)
        area = self.rect().adjusted(17, 0, 0, 0)
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, int(flags), self.text())
        painter.end()


class CheckField(QCheckBox):
    """A check box that can be told from the background in any dark palette."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size of the box alone; its words stand in the label column."""
        return QSize(22, 22)

    def hitButton(self, pos: QPoint) -> bool:  # noqa: N802 - Qt's name
        """Return whether a click at ``pos`` is meant for the box."""
        return self._box().adjusted(-4, -4, 4, 4).contains(QPointF(pos))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the outlined box and, when checked, the check."""
        palette = self.palette()
        base = palette.color(QPalette.ColorRole.Base)
        text = palette.color(QPalette.ColorRole.Text)
        accent = palette.color(QPalette.ColorRole.Highlight)
        outline = accent if self.hasFocus() else mix(base, text, 0.5 if self.underMouse() else 0.34)
        fill, check = base, text
        if self.isChecked() and self.isEnabled():
            fill, check = accent, readable_on(accent)
            outline = text if self.hasFocus() else accent
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(outline, 1.0))
        painter.setBrush(fill)
        box = self._box()
        painter.drawRoundedRect(box, 3, 3)
        if self.isChecked():
            draw_glyph(painter, Glyph.CHECK, box.adjusted(1.5, 1.5, -1.5, -1.5), check, 1.9)
        painter.end()

    def _box(self) -> QRectF:
        return QRectF(0.5, (self.height() - 15) / 2, 15, 15)
