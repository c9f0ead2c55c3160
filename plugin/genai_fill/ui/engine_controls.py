"""The controls of the chosen engine, built from its description."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from genai_fill.ui.form import GAP_PX, Fold, Form
from genai_fill.ui.option_field import OptionField
from genai_fill.ui.phrases import one_line
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.fill import OptionValue


class EngineControls(QWidget):
    """One field an option, advanced ones folded away, and a way back to the defaults."""

    changed = Signal(str, object)
    reset_asked = Signal()
    rebuilt = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._engine: EngineDescription | None = None
        self._form: QWidget | None = None
        self.fields: dict[str, OptionField] = {}
        self.advanced: Fold | None = None
        self.reset = QPushButton("Reset to defaults", self)
        self.reset.setAccessibleName("Reset engine options to defaults")
        self.reset.setToolTip("Set every option of this engine to its default.")
        self.reset.setMinimumWidth(self.reset.sizeHint().width() + 16)
        self.reset.clicked.connect(self.reset_asked)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(GAP_PX)
        self._layout.addWidget(self.reset, 0, Qt.AlignmentFlag.AlignRight)
        self.setVisible(False)

    def show_engine(
        self,
        engine: EngineDescription | None,
        values: Mapping[str, OptionValue],
        *,
        force: bool = False,
    ) -> None:
        """Show an engine's options; they are built anew only when the options differ."""
        same = (engine.id, engine.options) if engine is not None else None
        old = (self._engine.id, self._engine.options) if self._engine is not None else None
        if same != old:
            self._rebuild(engine)
            self.rebuilt.emit()
        self._engine = engine
        changed = False
        for name, field in self.fields.items():
            value = values.get(name, field.option.default)
            field.show_value(value, force=force)
            changed = changed or value != field.option.default
        self.reset.setEnabled(changed)

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        for field in self.fields.values():
            field.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return any(field.is_being_edited() for field in self.fields.values())

    def _rebuild(self, engine: EngineDescription | None) -> None:
        was_open = self.advanced.is_open if self.advanced is not None else False
        if self._form is not None:
            self._layout.removeWidget(self._form)
            # Hidden, not unparented: a widget without a parent is a window of its own.
            self._form.hide()
            self._form.deleteLater()
        self._form, self.fields, self.advanced = None, {}, None
        options = engine.options if engine is not None else ()
        self.setVisible(bool(options))
        if not options:
            return
        holder = QWidget(self)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP_PX)
        plain = Form(holder)
        column.addWidget(plain)
        folded = Form(holder)
        for option in options:
            self._add(
                option.name, OptionField(option, holder), folded if option.advanced else plain
            )
        plain.setVisible(any(not option.advanced for option in options))
        if any(option.advanced for option in options):
            tip = "Options that rarely need changing."
            self.advanced = Fold("Advanced", holder, tooltip=tip, opened=was_open, quiet=True)
            self.advanced.body.addWidget(folded)
            column.addWidget(self.advanced)
        else:
            folded.deleteLater()
        self._form = holder
        self._layout.insertWidget(0, holder)

    def _add(self, name: str, field: OptionField, form: Form) -> None:
        self.fields[name] = field
        form.add_row(one_line(field.option.label), field, field.tooltip)
        field.changed.connect(self.changed)
