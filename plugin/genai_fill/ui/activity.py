"""Generate, Cancel, and what is going on."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from genai_fill.app.panel_state import PanelState
from genai_fill.ui.buttons import PrimaryButton
from genai_fill.ui.form import PlainLabel
from genai_fill.ui.palette import Tone, line_colour
from genai_fill.ui.phrases import activity_text, generate_label, is_busy, why_not_generate
from genai_fill_contract.job import JobState

_TONES = {
    JobState.DONE: Tone.GOOD,
    JobState.FAILED: Tone.BAD,
    JobState.LOST: Tone.BAD,
}


class ThinBar(QWidget):
    """A thin progress bar. Without a known fraction it is a quiet, still, half-tone bar:
    no animation runs, and so no timer does either.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._fraction: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Progress")
        self.setToolTip("How far the fill is.")

    @property
    def fraction(self) -> float | None:
        """What is shown, 0 to 1, or None when unknown."""
        return self._fraction

    def show_fraction(self, fraction: float | None) -> None:
        """Show a fraction, limited to 0 to 1; None or NaN when it cannot be known."""
        if fraction is not None:
            fraction = min(max(fraction, 0.0), 1.0) if fraction == fraction else None
        self._fraction = fraction
        percent = "unknown" if fraction is None else f"{fraction:.0%}"
        self.setAccessibleDescription(percent)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the bar's height."""
        return QSize(120, 6)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw groove and bar."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        box = QRectF(self.rect())
        painter.setBrush(line_colour(self.palette()))
        painter.drawRoundedRect(box, 3, 3)
        colour = self.palette().color(QPalette.ColorRole.Highlight)
        if self._fraction is None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            colour.setAlphaF(0.45)
        painter.setBrush(colour)
        share = 1.0 if self._fraction is None else self._fraction
        if share > 0:
            box.setWidth(max(6.0, box.width() * share))
            painter.drawRoundedRect(box, 3, 3)
        painter.end()


class ActivityArea(QWidget):
    """The panel's one primary button, its counterpart, the progress and the reason why not."""

    generate_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.generate = PrimaryButton("Generate", "Generate takes (Ctrl+Enter).", self)
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setToolTip("Cancel what is going on; frames already done are kept.")
        self.cancel.setAccessibleName("Cancel")
        self.cancel.setMinimumHeight(30)
        self.bar = ThinBar(self)
        self.words = PlainLabel("", self)
        self.words.setAccessibleName("Progress in words")
        self.words.setToolTip("What is going on for this node.")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.generate, 1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.words)
        self.generate.clicked.connect(self.generate_asked)
        self.cancel.clicked.connect(self.cancel_asked)

    def show_state(self, state: PanelState, prompt: str) -> None:
        """Show what is going on; ``prompt`` is the text as typed, committed or not."""
        busy = is_busy(state.activity)
        why_not = why_not_generate(state, prompt)
        self.generate.setEnabled(not why_not)
        label = generate_label(state.form.takes)
        self.generate.setText(label)
        self.generate.setAccessibleName(label)
        tip = why_not or "Generate takes (Ctrl+Enter)."
        self.generate.setToolTip(f"<qt>{tip}</qt>" if not why_not else tip)
        self.cancel.setVisible(busy)
        cancelling = state.activity.state is JobState.CANCELLING
        self.cancel.setEnabled(state.activity.can_cancel and not cancelling)
        self.bar.setVisible(busy)
        self.bar.show_fraction(state.activity.fraction)
        words = activity_text(state.activity)
        tone = Tone.QUIET
        if not busy:
            if state.error is not None:
                words = ""  # the error says it better
            elif state.activity.state is not None:
                tone = _TONES.get(state.activity.state, Tone.QUIET)
            if why_not and state.node_name is not None:
                words, tone = why_not, Tone.WARNING
        self.words.setText(words)
        self.words.set_tone(tone)
        self.words.setVisible(bool(words))
