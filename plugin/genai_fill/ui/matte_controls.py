"""How the matte is shaped, and which region of the plate goes to the engine."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from genai_fill.app.panel_state import FillForm
from genai_fill.ui.fields import ChoiceField, NumberField
from genai_fill.ui.form import Form
from genai_fill_contract.fill import CropMode

_CROP_MODES = (
    (CropMode.FIXED.value, "Fixed over the range"),
    (CropMode.FOLLOW.value, "Follow the matte"),
    (CropMode.FULL.value, "Whole frame"),
)


class MatteControls(Form):
    """Grow, feather and blend: three separate controls, in pixels of the plate."""

    edited = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        # The sliders cover what is usual; the boxes take all that the contract allows.
        self.grow = self._add(
            "Grow",
            "Grow the matte by this many pixels; negative values shrink it.",
            (-256, 256),
            (-32, 64),
        )
        self.feather = self._add(
            "Feather",
            "Width of the soft edge that the engine sees, outside the grown matte.",
            (0, 512),
            (0, 64),
        )
        self.blend = self._add(
            "Blend",
            "Width of the soft edge of the composite, outside the grown matte. "
            "Beyond it the plate is untouched.",
            (0, 512),
            (0, 64),
        )
        self.grow.committed.connect(self._grow_set)
        self.feather.committed.connect(self._feather_set)
        self.blend.committed.connect(self._blend_set)

    def show_form(self, form: FillForm, *, force: bool = False) -> None:
        """Show the node's matte shaping."""
        self.grow.show_number(form.grow_px, force=force)
        self.feather.show_number(form.feather_px, force=force)
        self.blend.show_number(form.blend_px, force=force)

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        for field in (self.grow, self.feather, self.blend):
            field.box.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return any(f.box.is_being_edited() for f in (self.grow, self.feather, self.blend))

    def _add(
        self, label: str, tooltip: str, bounds: tuple[float, float], slider: tuple[float, float]
    ) -> NumberField:
        field = NumberField(
            self,
            whole=False,
            minimum=bounds[0],
            maximum=bounds[1],
            step=1.0,
            unit="px",
            slider=slider,
        )
        field.describe(f"Matte {label.lower()}", tooltip)
        self.add_row(label, field, tooltip)
        return field

    def _grow_set(self, value: float) -> None:
        self.edited.emit({"grow_px": float(value)})

    def _feather_set(self, value: float) -> None:
        self.edited.emit({"feather_px": float(value)})

    def _blend_set(self, value: float) -> None:
        self.edited.emit({"blend_px": float(value)})


class CropControls(Form):
    """The crop's mode and its context."""

    edited = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.mode = ChoiceField(self, _CROP_MODES)
        self.mode.setAccessibleName("Crop mode")
        tip = (
            "Which part of the plate goes to the engine: one fixed window round the matte, "
            "one that follows it, or the whole frame."
        )
        self.mode.setToolTip(f"<qt>{tip}</qt>")
        self.context = NumberField(
            self, whole=True, minimum=-1, maximum=4096, step=8, unit="px", slider=(-1, 511)
        )
        self.context.box.setSpecialValueText("Auto")
        about = "Pixels of plate round the matte on each side. Auto leaves it to the engine."
        self.context.describe("Crop context", about)
        self.add_row("Window", self.mode, tip)
        self.add_row("Context", self.context, about)
        self.mode.committed.connect(self._mode_chosen)
        self.context.committed.connect(self._context_set)

    def show_form(self, form: FillForm, *, force: bool = False) -> None:
        """Show the node's crop policy."""
        self.mode.show_value(form.crop_mode)
        self.context.show_number(form.context_px, force=force)
        self.context.setEnabled(form.crop_mode != CropMode.FULL.value)

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        self.context.box.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self.context.box.is_being_edited()

    def _mode_chosen(self, mode: object) -> None:
        self.edited.emit({"crop_mode": mode})

    def _context_set(self, value: int) -> None:
        self.edited.emit({"context_px": int(value)})
