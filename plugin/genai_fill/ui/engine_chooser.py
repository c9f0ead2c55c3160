"""Which engine: the choice, its licence, and why some cannot be chosen."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from genai_fill.app.panel_state import PanelState
from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.fields import ChoiceField
from genai_fill.ui.form import Fold, PlainLabel, row_of
from genai_fill.ui.glyphs import Glyph
from genai_fill.ui.palette import Tone, mix, tone_colour
from genai_fill.ui.phrases import COMMERCIAL_WORDS, one_line, plain_tooltip, shorten
from genai_fill_contract.engine import CommercialUse, EngineDescription

COMMERCIAL_TONES = {
    CommercialUse.YES: Tone.GOOD,
    CommercialUse.NO: Tone.BAD,
    CommercialUse.WITH_LICENCE: Tone.WARNING,
}


class Badge(QWidget):
    """A few words in a rounded outline, in the colour of a tone.

    One that ``gives_way`` is elided where there is not the room for all of it.
    """

    def __init__(self, parent: QWidget, *, gives_way: bool) -> None:
        super().__init__(parent)
        self._gives_way = gives_way
        self._text = ""
        self._tone = Tone.QUIET
        font = self.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.88))
        self.setFont(font)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """The words."""
        return self._text

    @property
    def tone(self) -> Tone:
        """What the colour says."""
        return self._tone

    def show_text(self, text: str, tone: Tone, tooltip: str) -> None:
        """Show the words; hidden when there are none."""
        self._text = one_line(text)
        self._tone = tone
        self.setToolTip(plain_tooltip(tooltip))
        self.setAccessibleName(self._text)
        self.setVisible(bool(self._text))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the room for the words and the outline."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._text) + 16, metrics.height() + 5)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width at which the words are elided, if they may be."""
        if not self._gives_way:
            return self.sizeHint()
        return QSize(28, self.fontMetrics().height() + 5)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's signature
        """Draw outline, tint and words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = tone_colour(self.palette(), self._tone)
        window = self.palette().color(QPalette.ColorRole.Window)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(mix(colour, window, 0.45), 1.0))
        painter.setBrush(mix(window, colour, 0.10))
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setPen(colour)
        room = self.width() - 14
        shown = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, shown)
        painter.end()


class EngineChooser(QWidget):
    """The engine of the node, with what a studio needs to know before choosing it."""

    chosen = Signal(str)
    refresh_asked = Signal()
    models_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown: tuple[tuple[EngineDescription, ...], str] | None = None
        self.choice = ChoiceField(self)
        self.choice.setAccessibleName("Engine")
        self.refresh = GlyphButton(
            Glyph.REFRESH,
            "Refresh engines",
            "Ask the backend again which engines it has; starts the backend if needed.",
            self,
        )
        self.models = QPushButton("Models…", self)
        self.models.setAccessibleName("Models")
        self.models.setToolTip("See, fetch, add, check and remove the models of the backend.")
        self.models.setAutoDefault(False)
        self.licence = Badge(self, gives_way=True)
        self.commercial = Badge(self, gives_way=False)
        self.reason = PlainLabel("", self, tone=Tone.WARNING)
        self.others = Fold(
            "Not available",
            self,
            tooltip="Engines that cannot be used now.",
            opened=False,
            quiet=True,
        )
        self.others_text = PlainLabel("", self.others, tone=Tone.QUIET)
        self.others_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.others_text.setAccessibleName("Engines that are not available")
        self.others.body.addWidget(self.others_text)
        badges = QHBoxLayout()
        badges.setSpacing(4)
        badges.addWidget(self.commercial)
        badges.addWidget(self.licence)
        badges.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(row_of(self.choice, self.refresh, self.models, parent=self))
        layout.addLayout(badges)
        layout.addWidget(self.reason)
        layout.addWidget(self.others)
        self.choice.committed.connect(self._choose)
        self.refresh.clicked.connect(self.refresh_asked)
        self.models.clicked.connect(self.models_asked)

    def show_state(self, state: PanelState) -> None:
        """Show the engines there are and which one the node has."""
        now = (state.engines, state.form.engine_id)
        if now == self._shown:
            return
        self._shown = now
        with QSignalBlocker(self.choice):
            self._fill_choice(state)
        engine = state.engine
        self._show_licence(engine)
        self._show_reasons(state, engine)
        about = engine.help if engine is not None else "Which engine fills the matte."
        self.choice.setToolTip(plain_tooltip(about))

    def _fill_choice(self, state: PanelState) -> None:
        self.choice.clear()
        for engine in state.engines:
            label = engine.label if engine.available else f"{engine.label}  (not available)"
            tip = engine.help if engine.available else engine.unavailable_reason
            self._add(one_line(label), engine.id, tip, enabled=engine.available)
        wanted = state.form.engine_id
        if state.engine is None:
            if wanted:
                tip = "The backend has not told about this engine."
                self._add(f"{one_line(wanted)}  (unknown)", wanted, tip, enabled=False)
            elif not state.engines:
                self._add("No engines yet", "", "The backend has not answered.", enabled=False)
        self.choice.show_value(wanted)

    def _add(self, label: str, value: str, tip: str, *, enabled: bool) -> None:
        self.choice.addItem(label, value)
        index = self.choice.count() - 1
        self.choice.setItemData(index, plain_tooltip(tip), Qt.ItemDataRole.ToolTipRole)
        model = self.choice.model()
        if isinstance(model, QStandardItemModel):
            model.item(index).setEnabled(enabled)

    def _show_licence(self, engine: EngineDescription | None) -> None:
        if engine is None:
            self.licence.show_text("", Tone.QUIET, "")
            self.commercial.show_text("", Tone.QUIET, "")
            return
        model = f"Model: {engine.model}" if engine.model else "No model: an algorithm."
        self.licence.show_text(engine.licence, Tone.QUIET, f"{model}\nLicence: {engine.licence}")
        words = COMMERCIAL_WORDS[engine.commercial_use]
        tone = COMMERCIAL_TONES[engine.commercial_use]
        self.commercial.show_text(words, tone, "Whether a studio may ship what it makes.")

    def _show_reasons(self, state: PanelState, engine: EngineDescription | None) -> None:
        reason = ""
        if engine is not None and not engine.available:
            reason = engine.unavailable_reason or f"{engine.label} is not available."
        elif engine is None and state.engines and state.form.engine_id:
            reason = f"This backend has no engine {one_line(state.form.engine_id)!r}."
        elif not state.engines:
            reason = "The engines are not known yet. Press the arrow to ask the backend."
        self.reason.setText(shorten(reason))
        self.reason.setVisible(bool(reason))
        missing = [e for e in state.engines if not e.available and e is not engine]
        self.others.set_title(f"{len(missing)} not available")
        self.others_text.setText("\n\n".join(_why(engine) for engine in missing))
        self.others.setVisible(bool(missing))

    def _choose(self, engine_id: object) -> None:
        if isinstance(engine_id, str) and engine_id:
            self.chosen.emit(engine_id)


def _why(engine: EngineDescription) -> str:
    reason = shorten(one_line(engine.unavailable_reason) or "No reason given.", 280)
    return f"{shorten(one_line(engine.label), 60)}\n{reason}"
