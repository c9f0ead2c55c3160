"""One control for one engine option, made from its description alone."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from genai_fill.ui.buttons import CheckField
from genai_fill.ui.fields import ChoiceField, FileField, NumberField, TextField
from genai_fill.ui.phrases import one_line, plain_tooltip
from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_contract.errors import InvalidOption
from genai_fill_contract.fill import OptionValue


class OptionField(QWidget):
    """The control of an option. Emits ``changed(name, value)`` with the option's own type."""

    changed = Signal(str, object)

    def __init__(self, option: EngineOption, parent: QWidget) -> None:
        super().__init__(parent)
        self.option = option
        self.control = self._make_control()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.control)
        self.setFocusProxy(self.control)
        self.show_value(option.default, force=True)

    @property
    def tooltip(self) -> str:
        """What the option does, and its default."""
        default = self.option.default
        if self.option.type is OptionType.CHOICE:
            default = dict(self.option.choices).get(str(default), str(default))
        elif isinstance(default, bool):
            default = "on" if default else "off"
        return f"{self.option.help}\nDefault: {default}" if default != "" else self.option.help

    def show_value(self, value: OptionValue, *, force: bool = False) -> None:
        """Show a value; one that the option does not allow shows as the default."""
        try:
            value = self.option.check(value)
        except InvalidOption:
            value = self.option.default
        control = self.control
        if isinstance(control, CheckField):
            with QSignalBlocker(control):
                control.setChecked(bool(value))
        elif isinstance(control, NumberField):
            control.show_number(float(value), force=force)
        elif isinstance(control, ChoiceField):
            control.show_value(str(value))
        elif isinstance(control, TextField):
            control.show_text(str(value), force=force)
        elif isinstance(control, FileField):
            control.edit.show_text(str(value), force=force)

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        control = self.control
        if isinstance(control, NumberField):
            control.box.commit_pending()
        elif isinstance(control, TextField):
            control.commit_pending()
        elif isinstance(control, FileField):
            control.edit.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        control = self.control
        if isinstance(control, NumberField):
            return control.box.is_being_edited()
        if isinstance(control, TextField):
            return control.is_being_edited()
        return isinstance(control, FileField) and control.edit.is_being_edited()

    def _make_control(self) -> QWidget:
        option = self.option
        name, tip = one_line(option.label), plain_tooltip(self.tooltip)
        if option.type is OptionType.BOOL:
            box = CheckField(self)
            box.clicked.connect(self._commit_bool)
            return self._named(box, name, tip)
        if option.type in (OptionType.INT, OptionType.FLOAT):
            number = NumberField(
                self,
                whole=option.type is OptionType.INT,
                minimum=option.minimum,
                maximum=option.maximum,
                step=option.step,
                unit=option.unit,
            )
            number.describe(name, tip)
            number.committed.connect(self._commit)
            return number
        if option.type is OptionType.CHOICE:
            choice = ChoiceField(self, option.choices)
            choice.committed.connect(self._commit)
            return self._named(choice, name, tip)
        if option.type is OptionType.FILE:
            file = FileField(self, name)
            file.committed.connect(self._commit)
            self._named(file.edit, name, tip)
            return self._named(file, name, tip)
        text = TextField(self)
        text.committed.connect(self._commit)
        return self._named(text, name, tip)

    @staticmethod
    def _named(widget: QWidget, name: str, tip: str) -> QWidget:
        widget.setAccessibleName(name)
        widget.setToolTip(tip)
        return widget

    def _commit_bool(self, checked: bool) -> None:
        self.changed.emit(self.option.name, checked)

    def _commit(self, value: object) -> None:
        self.changed.emit(self.option.name, value)
