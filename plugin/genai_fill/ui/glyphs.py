"""Small pictures drawn with the painter: they take the host's colours and any pixel ratio."""

from __future__ import annotations

import enum
from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from genai_fill.ui.palette import Tone, dim_text, tone_colour


class Glyph(enum.Enum):
    """The pictures there are."""

    DICE = "dice"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    REFRESH = "refresh"
    FOLDER = "folder"
    CROSS = "cross"
    CHECK = "check"
    NODE = "node"
    PLATE = "plate"
    OPENED = "opened"
    FOLDED = "folded"


def _dice(painter: QPainter, box: QRectF) -> None:
    painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 2.5, 2.5)
    step = box.width() / 4
    colour = painter.pen().color()
    for x, y in ((-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1)):
        centre = box.center() + QPointF(x * step * 0.9, y * step * 0.9)
        path = QPainterPath()
        path.addEllipse(centre, 1.15, 1.15)
        painter.fillPath(path, colour)


def _padlock(painter: QPainter, box: QRectF, *, locked: bool) -> None:
    w, h = box.width(), box.height()
    body = QRectF(box.left() + w * 0.16, box.top() + h * 0.46, w * 0.68, h * 0.46)
    bow = QRectF(box.left() + w * 0.29, box.top() + h * 0.08, w * 0.42, h * 0.56)
    path = QPainterPath()
    path.moveTo(bow.left(), body.top())
    path.lineTo(bow.left(), bow.center().y())
    path.arcTo(QRectF(bow.left(), bow.top(), bow.width(), bow.width()), 180, -180)
    if locked:
        path.lineTo(bow.right(), body.top())
        fill = QPainterPath()
        fill.addRoundedRect(body, 1.5, 1.5)
        painter.fillPath(fill, painter.pen().color())
    painter.drawPath(path)
    painter.drawRoundedRect(body, 1.5, 1.5)


def _refresh(painter: QPainter, box: QRectF) -> None:
    ring = box.adjusted(1.5, 1.5, -1.5, -1.5)
    painter.drawArc(ring, 60 * 16, 290 * 16)
    tip = QPointF(ring.center().x() + ring.width() * 0.26, ring.top() + ring.height() * 0.07)
    painter.drawLine(tip, tip + QPointF(0.6, -3.4))
    painter.drawLine(tip, tip + QPointF(-3.4, 0.6))


def _folder(painter: QPainter, box: QRectF) -> None:
    b = box.adjusted(1, 2, -1, -2)
    path = QPainterPath(b.topLeft())
    path.lineTo(b.left() + b.width() * 0.38, b.top())
    path.lineTo(b.left() + b.width() * 0.50, b.top() + b.height() * 0.2)
    path.lineTo(b.right(), b.top() + b.height() * 0.2)
    path.lineTo(b.bottomRight())
    path.lineTo(b.bottomLeft())
    path.closeSubpath()
    painter.drawPath(path)


def _cross(painter: QPainter, box: QRectF) -> None:
    b = box.adjusted(2.5, 2.5, -2.5, -2.5)
    painter.drawLine(b.topLeft(), b.bottomRight())
    painter.drawLine(b.topRight(), b.bottomLeft())


def _check(painter: QPainter, box: QRectF) -> None:
    w, h = box.width(), box.height()
    path = QPainterPath(box.topLeft() + QPointF(w * 0.16, h * 0.54))
    path.lineTo(box.topLeft() + QPointF(w * 0.40, h * 0.78))
    path.lineTo(box.topLeft() + QPointF(w * 0.86, h * 0.24))
    painter.drawPath(path)


def _node(painter: QPainter, box: QRectF) -> None:
    w, h = box.width(), box.height()
    body = QRectF(box.left(), box.top() + h * 0.33, w, h * 0.34)
    painter.drawRoundedRect(body, 2.5, 2.5)
    for x in (0.32, 0.68):
        painter.drawLine(
            QPointF(box.left() + w * x, box.top()), QPointF(box.left() + w * x, body.top())
        )
    painter.drawLine(
        QPointF(box.center().x(), body.bottom()), QPointF(box.center().x(), box.bottom())
    )


def _plate(painter: QPainter, box: QRectF) -> None:
    b = box.adjusted(0.5, 2, -0.5, -2)
    painter.drawRoundedRect(b, 1.5, 1.5)
    path = QPainterPath(QPointF(b.left() + 1, b.bottom() - b.height() * 0.18))
    path.lineTo(b.left() + b.width() * 0.36, b.top() + b.height() * 0.45)
    path.lineTo(b.left() + b.width() * 0.58, b.top() + b.height() * 0.72)
    path.lineTo(b.left() + b.width() * 0.74, b.top() + b.height() * 0.55)
    path.lineTo(b.right() - 1, b.bottom() - b.height() * 0.18)
    painter.drawPath(path)


def _chevron(painter: QPainter, box: QRectF, *, opened: bool) -> None:
    middle, long, short = box.center(), box.width() * 0.30, box.width() * 0.16
    if opened:
        points = (QPointF(-long, -short), QPointF(0, short), QPointF(long, -short))
    else:
        points = (QPointF(-short, -long), QPointF(short, 0), QPointF(-short, long))
    path = QPainterPath(middle + points[0])
    path.lineTo(middle + points[1])
    path.lineTo(middle + points[2])
    painter.drawPath(path)


_DRAWERS: dict[Glyph, Callable[[QPainter, QRectF], None]] = {
    Glyph.DICE: _dice,
    Glyph.LOCKED: lambda painter, box: _padlock(painter, box, locked=True),
    Glyph.UNLOCKED: lambda painter, box: _padlock(painter, box, locked=False),
    Glyph.REFRESH: _refresh,
    Glyph.FOLDER: _folder,
    Glyph.CROSS: _cross,
    Glyph.CHECK: _check,
    Glyph.NODE: _node,
    Glyph.PLATE: _plate,
    Glyph.OPENED: lambda painter, box: _chevron(painter, box, opened=True),
    Glyph.FOLDED: lambda painter, box: _chevron(painter, box, opened=False),
}


def draw_glyph(
    painter: QPainter, glyph: Glyph, box: QRectF, colour: QColor, width_px: float = 1.4
) -> None:
    """Draw ``glyph`` into ``box`` (logical pixels) in one colour."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(colour, width_px)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _DRAWERS[glyph](painter, box)
    painter.restore()


class StateDot(QWidget):
    """A round dot in the colour of a tone."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._tone = Tone.QUIET
        self.setFixedSize(QSize(12, 12))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def tone(self) -> Tone:
        """What the dot says now."""
        return self._tone

    def set_tone(self, tone: Tone) -> None:
        """Change what the dot says."""
        if tone is not self._tone:
            self._tone = tone
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the dot; an unfilled ring when there is nothing to say."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        if self._tone is Tone.QUIET:
            painter.setPen(QPen(dim_text(self.palette()), 1.4))
            painter.drawEllipse(box.adjusted(0.5, 0.5, -0.5, -0.5))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tone_colour(self.palette(), self._tone))
            painter.drawEllipse(box)
        painter.end()


class GlyphPicture(QWidget):
    """A glyph on its own, for empty places."""

    def __init__(self, glyph: Glyph, size_px: int, parent: QWidget) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self.setFixedSize(QSize(size_px, size_px))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the glyph in the colour of secondary text."""
        painter = QPainter(self)
        box = QRectF(self.rect()).adjusted(3, 3, -3, -3)
        draw_glyph(painter, self._glyph, box, dim_text(self.palette()), 1.8)
        painter.end()
