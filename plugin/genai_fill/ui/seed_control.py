"""Seed, its lock and dice, and how many takes to make."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QWidget

from genai_fill.app.panel_state import FillForm
from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.fields import NumberBox, NumberField
from genai_fill.ui.form import Form, row_of
from genai_fill.ui.glyphs import Glyph
from genai_fill_contract.fill import MAX_SEED, MAX_TAKES

_SEED_TIP = "Same seed, same settings, same result. Take 2 uses the seed plus one, and so on."


class SeedControl(Form):
    """The seed and the number of takes."""

    edited = Signal(object)
    roll_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.seed = NumberBox(self, whole=True, minimum=0, maximum=MAX_SEED - MAX_TAKES, step=1)
        self.seed.setAccessibleName("Seed")
        self.dice = GlyphButton(Glyph.DICE, "Random seed", "Take a new random seed.", self)
        self.lock = GlyphButton(Glyph.UNLOCKED, "Lock seed", "", self)
        self.lock.setCheckable(True)
        self.takes = NumberField(self, whole=True, minimum=1, maximum=MAX_TAKES, step=1)
        takes_tip = "How many takes to make at once, each with a seed of its own."
        self.takes.describe("Number of takes", takes_tip)
        self.add_row("Seed", row_of(self.seed, self.dice, self.lock, parent=self), _SEED_TIP)
        self.add_row("Takes", self.takes, takes_tip)
        self.seed.committed.connect(self._seed_set)
        self.takes.committed.connect(self._takes_set)
        self.lock.clicked.connect(self._lock_set)
        self.dice.clicked.connect(self.roll_asked)

    def show_form(self, form: FillForm, *, uses_seed: bool, force: bool = False) -> None:
        """Show the node's seed; greyed for an engine that uses none."""
        self.seed.show_number(form.seed, force=force)
        self.takes.show_number(form.takes, force=force)
        with QSignalBlocker(self.lock):
            self.lock.setChecked(form.seed_locked)
        self.lock.set_glyph(Glyph.LOCKED if form.seed_locked else Glyph.UNLOCKED)
        self.lock.setToolTip(
            "The seed is locked: every Generate uses it. Click to unlock."
            if form.seed_locked
            else "Lock the seed, so that every Generate uses this one."
        )
        self.seed.setEnabled(uses_seed)
        self.lock.setEnabled(uses_seed)
        self.dice.setEnabled(uses_seed and not form.seed_locked)
        self.seed.setToolTip(
            _SEED_TIP if uses_seed else "This engine uses no seed: its result is always the same."
        )

    def commit_pending(self) -> None:
        """Commit what was typed, as Enter would."""
        self.seed.commit_pending()
        self.takes.box.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether something was typed here that is not committed yet."""
        return self.seed.is_being_edited() or self.takes.box.is_being_edited()

    def _seed_set(self, value: object) -> None:
        self.edited.emit({"seed": value})

    def _takes_set(self, value: object) -> None:
        self.edited.emit({"takes": value})

    def _lock_set(self, locked: bool) -> None:
        self.edited.emit({"seed_locked": locked})
