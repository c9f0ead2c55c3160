"""The list of takes as Qt sees it: the plate first, then the takes, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QBuffer,
    QByteArray,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)
from PySide6.QtGui import QImageReader, QPixmap

from genai_fill.app.panel_state import TakeRow
from genai_fill.ui.phrases import one_line, plain_tooltip, take_frames

TAKE_ROLE = int(Qt.ItemDataRole.UserRole) + 1
CHOSEN_ROLE = TAKE_ROLE + 1

PLATE_LABEL = "Plate (no take)"

_MAX_THUMBNAIL_BYTES = 8 * 1024 * 1024
_MAX_THUMBNAIL_SIDE_PX = 4096

Index = QModelIndex | QPersistentModelIndex


def decode_thumbnail(png: bytes) -> QPixmap | None:
    """Decode a PNG, None when it is not one, is broken, or is far too large for a thumbnail."""
    if not png or len(png) > _MAX_THUMBNAIL_BYTES:
        return None
    buffer = QBuffer()
    buffer.setData(QByteArray(png))
    buffer.open(QBuffer.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(b"png"))
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > _MAX_THUMBNAIL_SIDE_PX:
        return None
    image = reader.read()
    return None if image.isNull() else QPixmap.fromImage(image)


class TakeModel(QAbstractListModel):
    """Rows: None for the plate, then `TakeRow` values.

    A new state changes only the rows that differ, so that the current row, the scroll
    position and the decoded thumbnails stay.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._takes: list[TakeRow] = []
        self._pixmaps: dict[int, tuple[bytes, QPixmap | None]] = {}

    def show_takes(self, takes: Sequence[TakeRow]) -> None:
        """Take over the takes of a state."""
        wanted = {take.version: take for take in takes}
        plate_was_chosen = self.plate_is_chosen
        for row in reversed(range(len(self._takes))):
            if self._takes[row].version not in wanted:
                self.beginRemoveRows(QModelIndex(), row + 1, row + 1)
                gone = self._takes.pop(row)
                self._pixmaps.pop(gone.version, None)
                self.endRemoveRows()
        for row, take in enumerate(sorted(wanted.values(), key=lambda t: -t.version)):
            if row < len(self._takes) and self._takes[row].version == take.version:
                if self._takes[row] != take:
                    self._takes[row] = take
                    index = self.index(row + 1)
                    self.dataChanged.emit(index, index)
            else:
                self.beginInsertRows(QModelIndex(), row + 1, row + 1)
                self._takes.insert(row, take)
                self.endInsertRows()
        if plate_was_chosen != self.plate_is_chosen:
            self.dataChanged.emit(self.index(0), self.index(0))

    @property
    def plate_is_chosen(self) -> bool:
        """Whether no take is chosen, so that the node shows the plate."""
        return not any(take.chosen for take in self._takes)

    def row_of(self, version: int | None) -> int:
        """Return the row of a version, 0 for the plate, -1 when there is none."""
        if version is None:
            return 0
        rows = (row for row, take in enumerate(self._takes, 1) if take.version == version)
        return next(rows, -1)

    def take_at(self, index: Index) -> TakeRow | None:
        """Return the take of a row, None for the plate or no row."""
        row = index.row()
        return self._takes[row - 1] if index.isValid() and 1 <= row <= len(self._takes) else None

    def thumbnail(self, take: TakeRow) -> QPixmap | None:
        """Return a take's thumbnail, decoded once when first drawn."""
        kept = self._pixmaps.get(take.version)
        if kept is None or kept[0] != take.thumbnail_png:
            kept = (take.thumbnail_png, decode_thumbnail(take.thumbnail_png))
            self._pixmaps[take.version] = kept
        return kept[1]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's signature
        """Return the number of takes and one for the plate."""
        return 0 if parent.isValid() else len(self._takes) + 1

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return a row's label, its sentence for screen readers, its tool tip or its take."""
        if not index.isValid():
            return None
        take = self.take_at(index)
        if role == TAKE_ROLE:
            return take
        if role == CHOSEN_ROLE:
            return self.plate_is_chosen if take is None else take.chosen
        if role == Qt.ItemDataRole.DisplayRole:
            return PLATE_LABEL if take is None else one_line(take.label)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(take)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(_about(take))
        return None

    def _sentence(self, take: TakeRow | None) -> str:
        chosen = self.plate_is_chosen if take is None else take.chosen
        words = (
            PLATE_LABEL
            if take is None
            else f"{take.label}, seed {take.seed}, " + (take_frames(take))
        )
        return f"{words}, in use" if chosen else words


def _about(take: TakeRow | None) -> str:
    if take is None:
        return "The node shows the plate as it is."
    lines = [
        f"{take.label} · seed {take.seed} · {take_frames(take)}",
        f"Engine: {take.engine_id}",
    ]
    if take.prompt:
        lines.append(f"Prompt: {take.prompt}")
    if take.summary:
        lines.append(one_line(take.summary))
    return "\n".join(lines)
