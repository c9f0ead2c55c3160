"""What the panel shows when no GenAI Fill node is selected."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from genai_fill.ui.buttons import PrimaryButton
from genai_fill.ui.form import PlainLabel
from genai_fill.ui.glyphs import Glyph, GlyphPicture
from genai_fill.ui.palette import Tone


class EmptyPage(QWidget):
    """Says what to do, and does it."""

    create_asked = Signal()
    models_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        title = PlainLabel("Select a GenAI Fill node", self)
        font = title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.15)
        title.setFont(font)
        words = PlainLabel("Its prompt, its takes and its progress show here.", self)
        words.set_tone(Tone.QUIET)
        self.create_button = PrimaryButton(
            "Create node", "Create a GenAI Fill node at the selected one.", self
        )
        self.models_button = QPushButton("Models…", self)
        self.models_button.setAccessibleName("Models")
        self.models_button.setToolTip(
            "See, fetch, add, check and remove the models of the backend."
        )
        self.models_button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addStretch(2)
        layout.addWidget(GlyphPicture(Glyph.NODE, 44, self), 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(4)
        for label in (title, words):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(label)
        layout.addSpacing(6)
        layout.addWidget(self.create_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(self.models_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self.create_button.clicked.connect(self.create_asked)
        self.models_button.clicked.connect(self.models_asked)
