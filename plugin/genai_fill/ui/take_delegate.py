"""Draws one row of the take list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QPainter,
    QPainterPath,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from genai_fill.app.panel_state import TakeRow
from genai_fill.ui.glyphs import Glyph, draw_glyph
from genai_fill.ui.palette import dim_text, line_colour, mix
from genai_fill.ui.phrases import one_line, take_frames
from genai_fill.ui.take_model import CHOSEN_ROLE, PLATE_LABEL, TakeModel

Index = QModelIndex | QPersistentModelIndex

THUMBNAIL_WIDTH_PX = 84
THUMBNAIL_HEIGHT_PX = 48
_PAD_PX = 6


@dataclass(frozen=True)
class _Look:
    """What Qt says about the row to draw."""

    rect: QRect
    palette: QPalette
    font: QFont
    metrics: QFontMetrics
    state: QStyle.StateFlag

    @classmethod
    def of(cls, option: QStyleOptionViewItem) -> _Look:
        # PySide6 6.5 leaves the option's public members out of its type stubs.
        given: Any = option
        return cls(given.rect, given.palette, given.font, given.fontMetrics, given.state)


class TakeDelegate(QStyledItemDelegate):
    """Thumbnail, label, seed and frames; a bar of highlight colour marks the chosen one."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        """Return the height of a take's row, and a lower one for the plate's."""
        line = _Look.of(option).metrics.height()
        if index.row() == 0:
            return QSize(180, line + 2 * _PAD_PX + 6)
        return QSize(180, max(THUMBNAIL_HEIGHT_PX, 2 * line + 10) + 2 * _PAD_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the row."""
        model = index.model()
        if not isinstance(model, TakeModel):
            return
        look = _Look.of(option)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        chosen = bool(index.data(CHOSEN_ROLE))
        self._background(painter, look, chosen)
        take = model.take_at(index)
        inner = look.rect.adjusted(_PAD_PX + 4, _PAD_PX, -_PAD_PX - 2, -_PAD_PX)
        if take is None:
            self._plate(painter, look, inner, chosen)
        else:
            picture = QRect(
                inner.left(),
                inner.center().y() - THUMBNAIL_HEIGHT_PX // 2,
                THUMBNAIL_WIDTH_PX,
                THUMBNAIL_HEIGHT_PX,
            )
            self._picture(painter, look.palette, picture, model.thumbnail(take))
            text = inner.adjusted(THUMBNAIL_WIDTH_PX + 10, 0, 0, 0)
            self._words(painter, look, text, take)
        painter.restore()

    def _background(self, painter: QPainter, look: _Look, chosen: bool) -> None:
        palette = look.palette
        base = palette.color(QPalette.ColorRole.Base)
        text = palette.color(QPalette.ColorRole.Text)
        if look.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(look.rect, mix(base, text, 0.14))
        elif look.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(look.rect, mix(base, text, 0.06))
        rect = QRectF(look.rect)
        painter.fillRect(
            QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), mix(base, text, 0.07)
        )
        accent = palette.color(QPalette.ColorRole.Highlight)
        if chosen:
            painter.fillRect(QRectF(rect.left(), rect.top(), 3, rect.height() - 1), accent)
        if look.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(mix(accent, base, 0.35), 1.0))
            painter.drawRect(rect.adjusted(0.5, 0.5, -0.5, -1.5))

    def _plate(self, painter: QPainter, look: _Look, inner: QRect, chosen: bool) -> None:
        palette = look.palette
        text = palette.color(QPalette.ColorRole.Text)
        box = QRectF(0, 0, 16, 16)
        box.moveCenter(QRectF(inner).center())
        box.moveLeft(inner.left() + (THUMBNAIL_WIDTH_PX - 16) / 2)
        draw_glyph(painter, Glyph.PLATE, box, dim_text(palette))
        words = inner.adjusted(THUMBNAIL_WIDTH_PX + 10, 0, 0, 0)
        words = self._in_use(painter, look, words, chosen)
        painter.setFont(look.font)
        _draw(painter, words, PLATE_LABEL, text)

    def _words(self, painter: QPainter, look: _Look, area: QRect, take: TakeRow) -> None:
        palette = look.palette
        text = palette.color(QPalette.ColorRole.Text)
        line = look.metrics.height()
        top = area.center().y() - line - 2
        first = QRect(area.left(), top, area.width(), line + 2)
        first = self._in_use(painter, look, first, take.chosen)
        bold = QFont(look.font)
        bold.setBold(True)
        painter.setFont(bold)
        label = one_line(take.label)
        _draw(painter, first, label, text)
        used = painter.fontMetrics().horizontalAdvance(label) + 8
        painter.setFont(look.font)
        quiet = dim_text(palette)
        _draw(painter, first.adjusted(used, 0, 0, 0), f"seed {take.seed}", quiet)
        second = QRect(area.left(), top + line + 4, area.width(), line + 2)
        if take.frames_done < take.frames_total:
            self._progress(painter, look, second, take)
            return
        frames = take_frames(take)
        prompt = one_line(take.prompt)
        _draw(painter, second, f"{frames}  ·  {prompt}" if prompt else frames, quiet)

    def _progress(self, painter: QPainter, look: _Look, area: QRect, take: TakeRow) -> None:
        palette = look.palette
        words = take_frames(take)
        _draw(painter, area, words, dim_text(palette))
        left = area.left() + look.metrics.horizontalAdvance(words) + 10
        if area.right() - left < 24:
            return
        bar = QRectF(left, area.center().y() - 1, area.right() - left, 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(line_colour(palette))
        painter.drawRoundedRect(bar, 2, 2)
        share = take.frames_done / take.frames_total
        bar.setWidth(bar.width() * min(max(share, 0.0), 1.0))
        painter.setBrush(palette.color(QPalette.ColorRole.Highlight))
        painter.drawRoundedRect(bar, 2, 2)

    def _in_use(self, painter: QPainter, look: _Look, area: QRect, chosen: bool) -> QRect:
        """Write "In use" at the right of a chosen row; return what is left of the area."""
        if not chosen:
            return area
        accent = look.palette.color(QPalette.ColorRole.Highlight)
        width = look.metrics.horizontalAdvance("In use") + 2
        painter.setFont(look.font)
        place = QRect(area.right() - width, area.top(), width, area.height())
        _draw(painter, place, "In use", accent)
        check = QRectF(0, 0, 12, 12)
        check.moveCenter(QRectF(place).center())
        check.moveRight(place.left() - 4)
        draw_glyph(painter, Glyph.CHECK, check, accent, 1.8)
        return area.adjusted(0, 0, -(width + 22), 0)

    def _picture(
        self, painter: QPainter, palette: QPalette, box: QRect, pixmap: QPixmap | None
    ) -> None:
        clip = QPainterPath()
        clip.addRoundedRect(QRectF(box), 3, 3)
        painter.fillPath(clip, QColor("#161616"))
        if pixmap is None:
            glyph = QRectF(0, 0, 18, 18)
            glyph.moveCenter(QRectF(box).center())
            draw_glyph(painter, Glyph.PLATE, glyph, QColor("#6a6a6a"))
        else:
            size = pixmap.size().scaled(box.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(box.topLeft(), size)
            place.moveCenter(box.center())
            painter.save()
            painter.setClipPath(clip)
            painter.drawPixmap(place, pixmap)
            painter.restore()
        painter.setPen(QPen(line_colour(palette), 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(clip)


def _draw(painter: QPainter, area: QRect, text: str, colour: QColor) -> None:
    """Draw one line, elided at the end of the area."""
    if area.width() <= 0:
        return
    painter.setPen(colour)
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    # Left whatever the script of the text: rows line up, as version labels do.
    flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
    painter.drawText(area, int(flags | Qt.AlignmentFlag.AlignAbsolute), shown)
