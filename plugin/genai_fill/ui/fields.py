"""Fields for one value each.

All of them: commit once the artist is done (never a keystroke at a time), leave the wheel to
the scroll area unless they have the focus, and are not overwritten while being typed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSlider,
    QWidget,
)

from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.glyphs import Glyph

# Doubles hold every whole number up to here, so one box serves int and float alike,
# beyond the 32 bits of QSpinBox that a seed does not fit into.
_WHOLE_LIMIT = 2.0**53
_FLOAT_LIMIT = 1e12
_SLIDER_STEPS = 1000


class NumberBox(QDoubleSpinBox):
    """A spin box for whole or real numbers, written with a point in every locale."""

    committed = Signal(object)

    def __init__(
        self,
        parent: QWidget,
        *,
        whole: bool,
        minimum: float | None = None,
        maximum: float | None = None,
        step: float | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(parent)
        self._whole = whole
        limit = _WHOLE_LIMIT if whole else _FLOAT_LIMIT
        self.setLocale(QLocale.c())
        self.setDecimals(0 if whole else decimals_for(step))
        self.setRange(
            max(-limit, minimum) if minimum is not None else -limit,
            min(limit, maximum) if maximum is not None else limit,
        )
        self.setSingleStep(step or (1.0 if whole else 0.1))
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft)
        if unit:
            self.setSuffix(f" {unit}")
        self.valueChanged.connect(self._commit)

    def number(self) -> int | float:
        """The value, an int in a box for whole numbers."""
        return round(self.value()) if self._whole else self.value()

    def show_number(self, value: float, *, force: bool = False) -> None:
        """Show a value from outside, unless the artist is typing here."""
        if (force or not self.is_being_edited()) and math.isfinite(value):
            with QSignalBlocker(self):
                self.setValue(value)

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self.hasFocus() and self.lineEdit().isModified()

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        if self.is_being_edited():
            self.interpretText()

    def textFromValue(self, val: float) -> str:  # noqa: N802 - Qt's name
        """Write the number without needless zeros."""
        text = f"{val:.{self.decimals()}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width for usual numbers, not for the longest that is allowed."""
        return QSize(92, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the narrowest useful width."""
        return QSize(60, super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Step only with the focus; else the panel scrolls."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def _commit(self, _value: float) -> None:
        self.committed.emit(self.number())


class _Slider(QSlider):
    """A slider that leaves the wheel to the panel."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Let the panel scroll."""
        event.ignore()


class NumberField(QWidget):
    """A number box and, where the range is bounded, a slider; one commit a drag."""

    committed = Signal(object)

    def __init__(
        self,
        parent: QWidget,
        *,
        whole: bool,
        minimum: float | None,
        maximum: float | None,
        step: float | None = None,
        unit: str = "",
        slider: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(parent)
        self.box = NumberBox(
            self, whole=whole, minimum=minimum, maximum=maximum, step=step, unit=unit
        )
        self.box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self.box)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.box)
        self.slider: QSlider | None = None
        if slider is None and minimum is not None and maximum is not None and minimum < maximum:
            slider = (minimum, maximum)
        if slider is not None:
            self._low, self._high = slider
            self._step = self._slider_step(whole, step)
            self.slider = _Slider(Qt.Orientation.Horizontal, self)
            self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self.slider.setRange(0, max(1, round((self._high - self._low) / self._step)))
            self.slider.valueChanged.connect(self._slider_moved)
            self.slider.sliderReleased.connect(self._slider_released)
            layout.addWidget(self.slider, 1)
        else:
            layout.addStretch(1)
        self.box.committed.connect(self._box_committed)

    def describe(self, name: str, tooltip: str) -> None:
        """Name the parts for people and for screen readers."""
        for part in (self.box, self.slider):
            if part is not None:
                part.setAccessibleName(name)
                part.setToolTip(tooltip)

    def show_number(self, value: float, *, force: bool = False) -> None:
        """Show a value from outside, unless the artist is working here."""
        if self.slider is not None and self.slider.isSliderDown() and not force:
            return
        self.box.show_number(value, force=force)
        self._follow_box()

    def _slider_step(self, whole: bool, step: float | None) -> float:
        finest = (self._high - self._low) / _SLIDER_STEPS
        wanted = step or (1.0 if whole else finest)
        return max(wanted, math.ceil(finest) if whole else finest)

    def _follow_box(self) -> None:
        if self.slider is not None:
            with QSignalBlocker(self.slider):
                place = (self.box.value() - self._low) / self._step
                place = min(max(place, 0.0), float(self.slider.maximum()))
                self.slider.setValue(round(place))

    def _slider_moved(self, place: int) -> None:
        if self.slider is None:
            return
        self.box.show_number(min(self._high, self._low + place * self._step), force=True)
        if not self.slider.isSliderDown():
            self.committed.emit(self.box.number())

    def _slider_released(self) -> None:
        self.committed.emit(self.box.number())

    def _box_committed(self, value: object) -> None:
        self._follow_box()
        self.committed.emit(value)


class ChoiceField(QComboBox):
    """A choice; each item carries its value. Only the artist's own choosing commits."""

    committed = Signal(object)

    def __init__(self, parent: QWidget, choices: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for value, label in choices:
            self.addItem(label, value)
        self.activated.connect(self._commit)

    def show_value(self, value: str) -> None:
        """Show a value from outside; nothing is chosen when it is unknown."""
        self.setCurrentIndex(self.findData(value))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Step only with the focus; else the panel scrolls."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def _commit(self, index: int) -> None:
        self.committed.emit(self.itemData(index))


class TextField(QLineEdit):
    """One line of text, committed with Enter or on leaving it."""

    committed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = ""
        self.setMinimumWidth(60)
        self.editingFinished.connect(self.commit_pending)

    def show_text(self, text: str, *, force: bool = False) -> None:
        """Show a text from outside, unless the artist is typing here."""
        if force or not self.is_being_edited():
            self._shown = text
            if text != self.text():
                self.setText(text)
                self.setCursorPosition(0)

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self.text() != self._shown and self.isModified()

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        if self.text() != self._shown:
            self._shown = self.text()
            self.setModified(False)
            self.committed.emit(self._shown)


class FileField(QWidget):
    """A path, typed or browsed for."""

    committed = Signal(object)

    def __init__(self, parent: QWidget, title: str) -> None:
        super().__init__(parent)
        self._title = title
        self.edit = TextField(self)
        self.edit.setPlaceholderText("No file")
        self.browse = GlyphButton(Glyph.FOLDER, f"Browse for {title}", "Browse for a file.", self)
        self.setFocusProxy(self.edit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.browse)
        self.edit.committed.connect(self.committed)
        self.browse.clicked.connect(self._open_dialog)

    def take_file(self, path: str) -> None:
        """Show and commit a path, with forward slashes."""
        self.edit.setText(path.replace("\\", "/"))
        self.edit.commit_pending()

    def _open_dialog(self) -> None:
        # open(), not exec(): no nested event loop, and the dialog dies with the panel.
        dialog = QFileDialog(self, self._title, self.edit.text())
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.take_file)
        dialog.open()


def decimals_for(step: float | None) -> int:
    """Return how many decimals a step needs to be seen, 2 to 6."""
    if step is None or step <= 0:
        return 3
    return min(6, max(2, math.ceil(-math.log10(step) - 1e-9)))
