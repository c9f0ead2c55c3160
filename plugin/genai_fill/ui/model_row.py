"""One model in the list: what it is, what it may be used for, and what can be done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from genai_fill.ui.activity import ThinBar
from genai_fill.ui.buttons import CheckField
from genai_fill.ui.engine_chooser import COMMERCIAL_TONES, Badge
from genai_fill.ui.form import ElidedLabel, PlainLabel
from genai_fill.ui.model_phrases import (
    DOING_WORDS,
    STATE_WORDS,
    agreement_text,
    facts_text,
    removal_text,
    task_text,
)
from genai_fill.ui.palette import Tone, raised_colour
from genai_fill.ui.phrases import COMMERCIAL_WORDS, one_line, shorten
from genai_fill_contract.job import JobState
from genai_fill_contract.models import ModelInfo, ModelState, ModelTask, ModelVerb

_STATE_TONES = {ModelState.INSTALLED: Tone.GOOD, ModelState.MISSING: Tone.QUIET}
_WARNINGS = (ModelState.PARTIAL, ModelState.INCOMPLETE)
_TASK_TONES = {
    JobState.DONE: Tone.GOOD,
    JobState.FAILED: Tone.BAD,
    JobState.LOST: Tone.BAD,
}


def push_button(text: str, tooltip: str, parent: QWidget) -> QPushButton:
    """Return a plain button with a tool tip that Tab stops at."""
    button = QPushButton(text, parent)
    button.setToolTip(tooltip)
    button.setAutoDefault(False)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


class Question(QWidget):
    """A question below a model: what it is about, a box to check where one is needed."""

    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._then: Callable[[], None] = lambda: None
        self.words = PlainLabel("", self)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.check = CheckField(self)
        self.check.setAccessibleName("I agree to this licence")
        self.check.setToolTip("Check it when you have read the licence and agree to it.")
        self.agree = PlainLabel("I have read the licence and agree to it.", self)
        self.yes = push_button("Yes", "Do it.", self)
        self.no = push_button("Not now", "Leave everything as it is.", self)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.check)
        row.addWidget(self.agree, 1)
        row.addStretch(0)
        row.addWidget(self.no)
        row.addWidget(self.yes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.words)
        layout.addLayout(row)
        self.check.toggled.connect(self.yes.setEnabled)
        self.yes.clicked.connect(self._answer)
        self.no.clicked.connect(self.close_question)
        self.hide()

    def ask(self, words: str, yes: str, *, wants_check: bool, then: Callable[[], None]) -> None:
        """Ask; ``then`` is called when the answer is yes."""
        self.words.setText(words)
        self.yes.setText(yes)
        self.yes.setAccessibleName(yes)
        self.check.setChecked(False)
        self.check.setVisible(wants_check)
        self.agree.setText("I have read the licence and agree to it." if wants_check else "")
        self.yes.setEnabled(not wants_check)
        self._then = then
        self.show()
        (self.check if wants_check else self.no).setFocus()

    @property
    def is_asked(self) -> bool:
        """Whether it waits for an answer."""
        return not self.isHidden()

    def close_question(self) -> None:
        """Ask no more."""
        self.hide()
        self.closed.emit()

    def _answer(self) -> None:
        self.close_question()
        self._then()


class ModelRow(QWidget):
    """A model with its badges, its buttons and the work on it."""

    pull_asked = Signal(str, bool)
    verify_asked = Signal(str)
    remove_asked = Signal(str)
    cancel_asked = Signal(str)

    def __init__(self, model: ModelInfo, parent: QWidget) -> None:
        super().__init__(parent)
        self.model = model
        self.task: ModelTask | None = None
        self.name = ElidedLabel(self, bold=True)
        self.state = Badge(self, gives_way=False)
        self.commercial = Badge(self, gives_way=False)
        self.licence = Badge(self, gives_way=True)
        self.facts = PlainLabel("", self, tone=Tone.QUIET)
        self.advice = PlainLabel("", self, tone=Tone.WARNING)
        self.question = Question(self)
        self.bar = ThinBar(self)
        self.bar.setToolTip("How far the work on this model is.")
        self.words = PlainLabel("", self)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.pull = push_button("Pull…", "Fetch it from the network.", self)
        self.verify = push_button("Verify", "Compare its files with what came.", self)
        self.remove = push_button("Remove…", "Delete it from the backend's disk.", self)
        self.cancel = push_button("Cancel", "Stop. What has come so far is kept.", self)
        self._lay_out()
        self.pull.clicked.connect(self._ask_pull)
        self.verify.clicked.connect(lambda: self.verify_asked.emit(self.model.id))
        self.remove.clicked.connect(self._ask_remove)
        self.cancel.clicked.connect(self._cancel)
        self.question.closed.connect(self._show_buttons)

    def show_model(self, model: ModelInfo, task: ModelTask | None) -> None:
        """Show the model as it is now, and the latest work on it."""
        self.model, self.task = model, task
        self.name.set_text(one_line(model.label))
        tone = _STATE_TONES.get(model.state, Tone.WARNING if model.state in _WARNINGS else Tone.BAD)
        where = f"\n{model.folder}" if model.folder else ""
        self.state.show_text(STATE_WORDS[model.state], tone, f"{model.id}{where}")
        words = COMMERCIAL_WORDS[model.commercial_use]
        about = "Whether a studio may ship what it makes."
        self.commercial.show_text(words, COMMERCIAL_TONES[model.commercial_use], about)
        note = f"Licence: {model.licence}\n{model.licence_note}\n{model.licence_url}".strip()
        self.licence.show_text(model.licence, Tone.QUIET, note)
        facts = (facts_text(model), one_line(model.good_for))
        self.facts.setText("\n".join(fact for fact in facts if fact))
        self.facts.setVisible(any(facts))
        self.advice.setText(shorten(model.what_to_do))
        self.pull.setText("Pull…" if model.needs_agreement else "Pull")
        self._show_task(task)
        for button, name in (
            (self.pull, "Pull"),
            (self.verify, "Verify"),
            (self.remove, "Remove"),
            (self.cancel, "Cancel the work on"),
        ):
            button.setAccessibleName(f"{name} {one_line(model.label)}")

    def _show_task(self, task: ModelTask | None) -> None:
        is_running = task is not None and not task.state.is_final
        if task is not None and is_running:
            self.question.close_question()
            self.state.show_text(DOING_WORDS[task.verb], Tone.WARNING, self.model.id)
        self.advice.setVisible(bool(self.model.what_to_do) and not is_running)
        self.bar.setVisible(is_running)
        self.words.setVisible(task is not None)
        if task is not None:
            self.bar.show_fraction(task.progress.fraction if task.progress.phase else None)
            self.words.setText(task_text(task))
            self.words.set_tone(_TASK_TONES.get(task.state, Tone.QUIET))
        self._show_buttons()

    def _show_buttons(self) -> None:
        """Show what can be pressed now: nothing beside a question, only Cancel beside work."""
        model, task = self.model, self.task
        is_running = task is not None and not task.state.is_final
        is_free = not is_running and not self.question.is_asked
        self.pull.setVisible(model.can_pull and is_free)
        self.verify.setVisible(model.can_verify and is_free)
        self.remove.setVisible(model.can_remove and is_free)
        can_cancel = task is not None and is_running and task.verb is not ModelVerb.REMOVE
        self.cancel.setVisible(can_cancel)
        self.cancel.setEnabled(task is not None and task.state is not JobState.CANCELLING)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.name, 1)
        head.addWidget(self.state)
        badges = QHBoxLayout()
        badges.setSpacing(4)
        badges.addWidget(self.commercial)
        badges.addWidget(self.licence)
        badges.addStretch(1)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addStretch(1)
        for button in (self.remove, self.verify, self.pull, self.cancel):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addLayout(badges)
        for widget in (self.facts, self.advice, self.bar, self.words, self.question):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw the box that the model stands in."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(raised_colour(self.palette()))
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        painter.end()

    def _ask_pull(self) -> None:
        model = self.model
        if not model.needs_agreement:
            self.pull_asked.emit(model.id, False)
            return
        self.question.ask(
            agreement_text(model),
            "Agree and pull",
            wants_check=True,
            then=lambda: self.pull_asked.emit(model.id, True),
        )
        self._show_buttons()

    def _ask_remove(self) -> None:
        model = self.model
        self.question.ask(
            removal_text(model),
            "Remove",
            wants_check=False,
            then=lambda: self.remove_asked.emit(model.id),
        )
        self._show_buttons()

    def _cancel(self) -> None:
        if self.task is not None:
            self.cancel_asked.emit(self.task.id)
