"""The window of models: `genai-fill models` for artists. It never blocks the host."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from genai_fill.app.panel_state import ModelsView, PanelActions, PanelState
from genai_fill.ui.buttons import GlyphButton
from genai_fill.ui.error_area import ErrorArea
from genai_fill.ui.form import MARGIN_PX, ElidedLabel, Line, PlainLabel, row_of
from genai_fill.ui.glyphs import Glyph
from genai_fill.ui.model_phrases import task_text
from genai_fill.ui.model_row import ModelRow, push_button
from genai_fill.ui.palette import Tone
from genai_fill.ui.phrases import one_line
from genai_fill.ui.subscription import Subscription, ending, listener_of
from genai_fill_contract.job import JobState
from genai_fill_contract.models import ModelInfo, ModelTask


class _Page(QWidget):
    """What scrolls. It is as high as its texts are at its width, not at the least width."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the least width; the height comes from the layout."""
        return QSize(super().minimumSizeHint().width(), 0)


class ModelsDialog(QDialog):
    """A window over the panel, which it outlives hidden. Draws a state's `ModelsView`."""

    state_came = Signal(object)

    def __init__(self, actions: PanelActions, parent: QWidget) -> None:
        super().__init__(parent)
        self._actions = actions
        self._subscription = Subscription()
        self.setWindowTitle("GenAI Fill models")
        self.setAccessibleName("GenAI Fill models")
        self.setModal(False)
        self.rows: dict[str, ModelRow] = {}
        self._shown: ModelsView | None = None
        self.title = ElidedLabel(self, bold=True)
        self.title.set_text("Models")
        self.refresh = GlyphButton(
            Glyph.REFRESH, "Refresh models", "Look at the model folders again.", self
        )
        self.error = ErrorArea(self)
        self.hint = PlainLabel("", self, tone=Tone.QUIET)
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        page = _Page(self.area)
        self._column = QVBoxLayout(page)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self._column.addStretch(1)
        self.area.setWidget(page)
        self.added = PlainLabel("", self, tone=Tone.QUIET)
        self.stop_adding = push_button("Cancel", "Stop. What has come so far is kept.", self)
        self.stop_adding.setAccessibleName("Cancel adding the folder")
        self._added_row = row_of(self.added, self.stop_adding, parent=self)
        self._adding = ""
        self.folders = ElidedLabel(self)
        self.add = push_button(
            "Add folder…",
            "Take a model folder in diffusers layout, on the backend's disk, into the store.",
            self,
        )
        self.close_button = push_button("Close", "Work on models goes on.", self)
        self._lay_out()
        self.refresh.clicked.connect(actions.refresh_models)
        self.error.dismissed.connect(actions.dismiss_model_error)
        self.add.clicked.connect(self._choose_folder)
        self.stop_adding.clicked.connect(self._stop_adding)
        self.close_button.clicked.connect(self.close)
        self.state_came.connect(self._receive)
        # Of a function that does not know the window: by then there is none.
        self.destroyed.connect(ending(self._subscription))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Listen while shown."""
        super().showEvent(event)
        self._subscription.begin(self._actions, listener_of(self))
        self._receive(self._actions.state)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """A hidden window does nothing."""
        self._subscription.end()
        super().hideEvent(event)

    def _receive(self, state: PanelState) -> None:
        self.show_view(state.models)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size it looks best at."""
        return QSize(560, 720)

    def show_view(self, view: ModelsView) -> None:
        """Show the models and the work on them."""
        if view == self._shown:
            return
        self._shown = view
        self.error.show_error(view.error)
        self.refresh.setEnabled(not view.is_asking)
        if view.models:
            words = ""
        elif view.is_asking:
            words = "Looking at the models…"
        else:
            words = "No models are known. Press the arrow to ask the backend."
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.folders.set_text("In " + ", ".join(view.folders) if view.folders else "")
        if [model.id for model in view.models] != list(self.rows):
            self._rebuild(view)
        for model in view.models:
            self.rows[model.id].show_model(model, view.task_of(model.id))
        self._show_added(view)

    def _show_added(self, view: ModelsView) -> None:
        """Tell of work on what is not in the list: a folder that is on its way, a removal."""
        strange: ModelTask | None = next(iter(view.tasks), None)
        if strange is not None and strange.model_id in self.rows:
            strange = None
        self._added_row.setVisible(strange is not None)
        if strange is not None:
            self._adding = strange.id
            self.added.setText(f"{one_line(strange.model_id)}: {task_text(strange)}")
            self.stop_adding.setVisible(not strange.state.is_final)
            self.stop_adding.setEnabled(strange.state is not JobState.CANCELLING)

    def _stop_adding(self) -> None:
        self._actions.cancel_model_task(self._adding)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.refresh)
        foot = QHBoxLayout()
        foot.setSpacing(6)
        foot.addWidget(self.folders, 1)
        foot.addWidget(self.add)
        foot.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(Line(self))
        layout.addWidget(self.error)
        layout.addWidget(self.hint)
        layout.addWidget(self.area, 1)
        layout.addWidget(self._added_row)
        layout.addWidget(Line(self))
        layout.addLayout(foot)

    def _rebuild(self, view: ModelsView) -> None:
        """Keep the rows of models that stay: a question asked there stays too."""
        kept = self.rows
        self.rows = {}
        for row in kept.values():
            self._column.removeWidget(row)
        for position, model in enumerate(view.models):
            row = kept.pop(model.id) if model.id in kept else self._new_row(model)
            self.rows[model.id] = row
            self._column.insertWidget(position, row)
            row.show()
        for row in kept.values():
            row.hide()
            row.deleteLater()  # later: it may be its own button that was pressed

    def _new_row(self, model: ModelInfo) -> ModelRow:
        row = ModelRow(model, self.area.widget())
        row.pull_asked.connect(self._actions.pull_model)
        row.verify_asked.connect(self._actions.verify_model)
        row.remove_asked.connect(self._actions.remove_model)
        row.cancel_asked.connect(self._actions.cancel_model_task)
        return row

    def _choose_folder(self) -> None:
        chooser = QFileDialog(self, "Add a model folder")
        chooser.setFileMode(QFileDialog.FileMode.Directory)
        chooser.setOption(QFileDialog.Option.ShowDirsOnly, True)
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(self._actions.add_model)
        chooser.open()
