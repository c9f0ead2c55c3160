"""The panel's head: which node, and how the backend is."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from genai_fill.app.panel_state import PanelState
from genai_fill.ui.form import ElidedLabel, Line, PlainLabel
from genai_fill.ui.glyphs import StateDot
from genai_fill.ui.palette import Tone
from genai_fill.ui.phrases import one_line, plain_tooltip

_TONES = {"connected": Tone.GOOD, "starting": Tone.WARNING, "connecting": Tone.WARNING}


class Header(QWidget):
    """Node name at the left, backend state at the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.node = ElidedLabel(self, bold=True)
        font = self.node.font()
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self.node.setFont(font)
        self.dot = StateDot(self)
        self.backend = PlainLabel("", self, tone=Tone.QUIET)
        self.backend.setWordWrap(False)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        row.addWidget(self.node, 1)
        row.addWidget(self.dot)
        row.addWidget(self.backend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(row)
        layout.addWidget(Line(self))

    def show_state(self, state: PanelState) -> None:
        """Show node and backend."""
        self.node.set_text(state.node_name or "GenAI Fill")
        words = one_line(state.backend)
        bad = Tone.QUIET if not words else Tone.BAD
        self.dot.setVisible(bool(words))
        self.dot.set_tone(_TONES.get(words.lower(), bad))
        self.backend.setText(words)
        about = f"Backend: {words}" if words else "Backend: not asked yet"
        for widget in (self.dot, self.backend):
            widget.setToolTip(plain_tooltip(about))
            widget.setAccessibleName(about)
