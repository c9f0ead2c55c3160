"""Everything that says what to generate, one section under the other."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from genai_fill.app.panel_state import PanelState
from genai_fill.ui.engine_chooser import EngineChooser
from genai_fill.ui.engine_controls import EngineControls
from genai_fill.ui.form import MARGIN_PX, Fold, PlainLabel
from genai_fill.ui.hero_list import HeroList
from genai_fill.ui.matte_controls import CropControls, MatteControls
from genai_fill.ui.prompt_editor import PromptEditor
from genai_fill.ui.range_controls import RangeControls
from genai_fill.ui.seed_control import SeedControl


class _Typed(Protocol):
    """A part that can hold typed text that is not committed yet."""

    def is_being_edited(self) -> bool: ...

    def commit_pending(self) -> None: ...


class SettingsArea(QScrollArea):
    """The form of the node. Emits what the artist changed as fields of `FillForm`."""

    edited = Signal(object)
    prompt_typed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        page = QWidget(self)
        self._node: str | None = None
        self.prompt = PromptEditor(page, lines=(3, 9))
        self.negative = PromptEditor(page, lines=(1, 5))
        self.chooser = EngineChooser(page)
        self.options = EngineControls(page)
        self.heroes = HeroList(page)
        self.seed = SeedControl(page)
        self.range = RangeControls(page)
        self.matte = MatteControls(page)
        self.crop = CropControls(page)
        self._typed: tuple[_Typed, ...] = (
            self.prompt,
            self.negative,
            self.options,
            self.seed,
            self.range,
            self.matte,
            self.crop,
        )
        self._lay_out(page)
        self.setWidget(page)
        self._connect()

    @property
    def prompt_now(self) -> str:
        """The prompt as typed, committed or not."""
        return self.prompt.toPlainText()

    def show_state(self, state: PanelState) -> None:
        """Show the node's settings; another node's replace whatever stood here."""
        form, engine = state.form, state.engine
        force = state.node_name != self._node
        self._node = state.node_name
        self.prompt.show_text(state.node_name, form.prompt)
        self.negative.show_text(state.node_name, form.negative_prompt)
        needed = engine is None or engine.needs_prompt
        self.prompt.setPlaceholderText(
            "What should be there instead"
            if needed
            else f"{engine.label if engine else 'This engine'} needs no prompt"
        )
        self.chooser.show_state(state)
        self.heroes.show_state(state)
        self.options.show_engine(engine, form.engine_options, force=force)
        self.seed.show_form(form, uses_seed=engine is None or engine.uses_seed, force=force)
        self.range.show_form(form, force=force)
        self.matte.show_form(form, force=force)
        self.crop.show_form(form, force=force)

    def commit_pending(self) -> None:
        """Hand over everything typed and not committed yet."""
        for part in self._typed:
            part.commit_pending()

    def is_being_edited(self) -> bool:
        """Whether anything typed is not committed yet."""
        return any(part.is_being_edited() for part in self._typed)

    def stop(self) -> None:
        """Commit, and leave no timer running."""
        self.commit_pending()
        self.prompt.stop()
        self.negative.stop()

    def _lay_out(self, page: QWidget) -> None:
        column = self._column = QVBoxLayout(page)
        column.setContentsMargins(MARGIN_PX, 8, MARGIN_PX, 10)
        column.setSpacing(10)
        self.verticalScrollBar().rangeChanged.connect(self._make_way_for_bar)
        column.addLayout(self._titled(page, "Prompt", self.prompt, "What should be there."))
        tip = "What should not be there. Not every engine reads it."
        column.addLayout(self._titled(page, "Negative prompt", self.negative, tip))
        sections: tuple[tuple[str, str, tuple[QWidget, ...]], ...] = (
            ("Engine", "Which engine fills, and its options.", (self.chooser, self.options)),
            ("Takes and seed", "How many results, and from which seed.", (self.seed,)),
            ("Frames", "Which frames are generated.", (self.range,)),
            ("Matte", "How the matte is shaped, in pixels of the plate.", (self.matte,)),
            ("Crop", "Which part of the plate the engine sees.", (self.crop,)),
        )
        for title, tip, widgets in sections:
            fold = Fold(title, page, tooltip=tip)
            for widget in widgets:
                fold.body.addWidget(widget)
            column.addWidget(fold)
            if self.options in widgets:
                column.addWidget(self.heroes)
        column.addStretch(1)

    def _make_way_for_bar(self, _least: int, most: int) -> None:
        """Let the fields end where the rest of the panel does, with a scroll bar or without."""
        right = MARGIN_PX if most == 0 else max(2, MARGIN_PX - self.verticalScrollBar().width())
        margins = self._column.contentsMargins()
        if margins.right() != right:
            margins.setRight(right)
            self._column.setContentsMargins(margins)

    def _titled(self, page: QWidget, title: str, field: PromptEditor, tip: str) -> QVBoxLayout:
        label = PlainLabel(title, page)
        label.setBuddy(field)
        font = label.font()
        font.setBold(True)
        label.setFont(font)
        label.setToolTip(tip)
        field.setAccessibleName(title)
        field.setToolTip(f"{tip} Ctrl+Enter generates.")
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(label)
        column.addWidget(field)
        return column

    def _connect(self) -> None:
        self.prompt.committed.connect(self._prompt_set)
        self.negative.committed.connect(self._negative_set)
        self.prompt.textChanged.connect(self.prompt_typed)
        self.chooser.chosen.connect(self._engine_chosen)
        for part in (self.seed, self.range, self.matte, self.crop):
            part.edited.connect(self.edited)

    def _prompt_set(self, text: str) -> None:
        self.edited.emit({"prompt": text})

    def _negative_set(self, text: str) -> None:
        self.edited.emit({"negative_prompt": text})

    def _engine_chosen(self, engine_id: str) -> None:
        self.edited.emit({"engine_id": engine_id})
