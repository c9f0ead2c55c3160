"""Which frames are generated."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from genai_fill.app.panel_state import RANGE_MODES, FillForm
from genai_fill.ui.fields import ChoiceField, NumberBox
from genai_fill.ui.form import Form, PlainLabel, row_of

_FRAME_LIMIT = 10_000_000.0


class RangeControls(Form):
    """The range mode and, for a custom range, first and last frame, inclusive."""

    edited = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.mode = ChoiceField(self, RANGE_MODES)
        self.mode.setAccessibleName("Frames to generate")
        tip = "Which frames to generate: the current one, all of the input, or a range."
        self.mode.setToolTip(tip)
        self.first = self._frame_box("First frame", "First frame to generate.")
        self.last = self._frame_box("Last frame", "Last frame to generate, inclusive.")
        dash = PlainLabel("to", self)
        dash.setWordWrap(False)
        self.add_row("Range", self.mode, tip)
        self._custom = row_of(self.first, dash, self.last, parent=self, stretch=(0, 2))
        self._custom_label = self.add_row(
            "First to last", self._custom, "First and last, inclusive."
        )
        self.mode.committed.connect(self._mode_chosen)
        self.first.committed.connect(self._first_set)
        self.last.committed.connect(self._last_set)

    def show_form(self, form: FillForm, *, force: bool = False) -> None:
        """Show the node's range."""
        self.mode.show_value(form.range_mode)
        self.first.show_number(form.first, force=force)
        self.last.show_number(form.last, force=force)
        self._show_custom(form.range_mode == "custom")

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        self.first.commit_pending()
        self.last.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self.first.is_being_edited() or self.last.is_being_edited()

    def _frame_box(self, name: str, tooltip: str) -> NumberBox:
        box = NumberBox(self, whole=True, minimum=-_FRAME_LIMIT, maximum=_FRAME_LIMIT, step=1)
        box.setAccessibleName(name)
        box.setToolTip(tooltip)
        return box

    def _show_custom(self, shown: bool) -> None:
        self._custom.setVisible(shown)
        if self._custom_label is not None:
            self._custom_label.setVisible(shown)

    def _mode_chosen(self, mode: object) -> None:
        self._show_custom(mode == "custom")
        self.edited.emit({"range_mode": mode})

    def _first_set(self, value: object) -> None:
        # A range never runs backwards: the other end is pushed along.
        first = int(self.first.number())
        if first > self.last.number():
            self.last.show_number(first, force=True)
            self.edited.emit({"first": first, "last": first})
        else:
            self.edited.emit({"first": value})

    def _last_set(self, value: object) -> None:
        last = int(self.last.number())
        if last < self.first.number():
            self.first.show_number(last, force=True)
            self.edited.emit({"first": last, "last": last})
        else:
            self.edited.emit({"last": value})
