"""The hero frames of the node: which there are, whether the engine uses them, take one away."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from genai_fill.app.panel_state import HeroRow, PanelState
from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.form import ElidedLabel, Fold, PlainLabel
from genai_fill.ui.glyphs import Glyph
from genai_fill.ui.palette import Tone
from genai_fill.ui.phrases import hero_hint, one_line


class HeroLine(QWidget):
    """One hero frame with its button."""

    remove_asked = Signal(int)

    def __init__(self, hero: HeroRow, parent: QWidget) -> None:
        super().__init__(parent)
        self.hero = hero
        words = f"{hero.frame}  ·  {one_line(hero.label)}"
        label = ElidedLabel(self)
        label.set_text(words)
        self.remove = GlyphButton(
            Glyph.CROSS,
            f"Remove hero frame {hero.frame}",
            "Take it off the hero frames. The take and its files stay.",
            self,
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(label, 1)
        layout.addWidget(self.remove)
        self.remove.clicked.connect(self._remove)

    def _remove(self) -> None:
        self.remove_asked.emit(self.hero.frame)


class HeroList(Fold):
    """The section of hero frames; there only while there are any."""

    remove_asked = Signal(int)
    rebuilt = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            "Hero frames",
            parent,
            tooltip="Approved frames that an engine carries through the shot.",
        )
        self._shown: tuple[HeroRow, ...] = ()
        self.lines: list[HeroLine] = []
        self._rows = QVBoxLayout()
        self._rows.setSpacing(0)
        self.hint = PlainLabel("", self, tone=Tone.QUIET)
        self.body.addLayout(self._rows)
        self.body.addWidget(self.hint)
        self.hide()

    def show_state(self, state: PanelState) -> None:
        """Show the heroes of a state, and whether its engine uses them."""
        words, is_used = hero_hint(state)
        self.hint.setText(words)
        self.hint.set_tone(Tone.QUIET if is_used else Tone.WARNING)
        self.hint.setVisible(bool(words))
        if state.heroes == self._shown:
            return
        self._shown = state.heroes
        count = len(state.heroes)
        self.set_title(f"Hero frames ({count})" if count else "Hero frames")
        self._rebuild()
        self.setVisible(bool(count))
        self.rebuilt.emit()

    def _rebuild(self) -> None:
        for line in self.lines:
            self._rows.removeWidget(line)
            line.hide()
            line.deleteLater()  # later: it may be its own button that was pressed
        self.lines = [HeroLine(hero, self) for hero in self._shown]
        for line in self.lines:
            self._rows.addWidget(line)
            line.remove_asked.connect(self.remove_asked)
