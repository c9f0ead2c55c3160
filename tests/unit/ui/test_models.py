"""The window of models, against the stand-in's models."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton, QToolButton

from examples.models_picture import models_picture
from genai_fill.ui.model_phrases import facts_text, size_text, task_text
from genai_fill.ui.palette import Tone
from genai_fill.ui.phrases import COMMERCIAL_WORDS
from genai_fill_contract.errors import DiskFull, ErrorReport
from genai_fill_contract.job import JobState, Progress
from genai_fill_contract.models import ModelInfo, ModelState, ModelTask, ModelVerb
from genai_fill_server.engines.diffusers.cards import read_catalogue
from tests.fakes.panel_actions import MODELS, FakeActions, ready_state

KLEIN, TUNE, WAN, SDXL, FLUX = (model.id for model in MODELS)


@pytest.fixture
def window(app, show, actions):
    panel = show(actions)
    panel.settings.chooser.models.click()
    app.processEvents()
    return panel.models


def pressable(row) -> list[str]:
    buttons = (row.pull, row.verify, row.remove, row.cancel)
    return [button.text() for button in buttons if not button.isHidden() and button.isEnabled()]


def test_the_button_opens_a_window_that_blocks_nothing_and_asks_for_the_models(window, actions):
    assert window.isVisible()
    assert not window.isModal()
    assert actions.named("refresh_models") == [None]
    assert list(window.rows) == [model.id for model in MODELS]
    assert window.folders.text == "In /studio/models, /local/models"


def test_the_button_brings_the_one_window_back(show, actions):
    panel = show(actions)
    panel.settings.chooser.models.click()
    first = panel.models
    first.close()
    panel.settings.chooser.models.click()
    assert panel.models is first
    assert first.isVisible()


@pytest.mark.parametrize(
    ("model_id", "state", "tone", "buttons"),
    [
        (KLEIN, "Installed", Tone.GOOD, ["Verify", "Remove…"]),
        (TUNE, "Unsafe", Tone.BAD, ["Remove…"]),
        (WAN, "Broken off", Tone.WARNING, ["Pull", "Remove…"]),
        (SDXL, "Not installed", Tone.QUIET, ["Pull…"]),
        (FLUX, "Not installed", Tone.QUIET, []),
    ],
)
def test_a_model_shows_its_state_and_what_can_be_done(window, model_id, state, tone, buttons):
    row = window.rows[model_id]
    assert (row.state.text, row.state.tone) == (state, tone)
    assert pressable(row) == buttons


def test_a_model_shows_what_its_licence_allows_and_what_it_needs(window):
    row = window.rows[FLUX]
    assert (row.commercial.text, row.commercial.tone) == ("Not for commercial use", Tone.BAD)
    assert row.licence.text == "FLUX.1 dev non-commercial"
    assert "models.allow_non_commercial" in row.advice.text()
    facts = window.rows[KLEIN].facts.text()
    assert facts.startswith("For stills · 15 GB on disk · 15.5 GB VRAM (8 GB offloaded)")


def test_a_licence_is_pulled_under_only_after_it_was_agreed_to(window, actions):
    row = window.rows[SDXL]
    row.pull.click()
    assert actions.named("pull_model") == []
    assert "use restrictions pass to whoever receives" in row.question.words.text()
    assert "Not checked against the model card: size on disk, VRAM." in row.question.words.text()
    assert "https://huggingface.co/" in row.question.words.text()
    assert not row.question.yes.isEnabled()
    assert pressable(row) == []

    row.question.check.setChecked(True)
    row.question.yes.click()

    assert actions.named("pull_model") == [(SDXL, True)]
    assert not row.question.is_asked


def test_not_agreeing_leaves_everything_and_the_next_time_it_is_asked_anew(window, actions):
    row = window.rows[SDXL]
    row.pull.click()
    row.question.check.setChecked(True)
    row.question.no.click()
    assert pressable(row) == ["Pull…"]
    row.pull.click()
    assert not row.question.check.isChecked()
    assert not row.question.yes.isEnabled()
    assert actions.named("pull_model") == []


def test_a_permissive_model_is_pulled_at_once(window, actions):
    window.rows[WAN].pull.click()
    assert actions.named("pull_model") == [(WAN, False)]


def test_a_pull_shows_how_far_it_is_and_can_be_cancelled(window, actions):
    row = window.rows[WAN]
    row.pull.click()
    actions.work_moves(progress=Progress("Fetching: 7.9 of 19.0 GB", 0.37, 340.0))
    assert row.bar.isVisible()
    assert row.bar.fraction == 0.37
    assert row.words.text() == "Fetching: 7.9 of 19.0 GB · about 6 min left"
    assert row.state.text == "Pulling"
    assert pressable(row) == ["Cancel"]

    row.cancel.click()

    assert actions.named("cancel_model_task") == ["t0"]
    assert pressable(row) == []
    actions.work_moves(state=JobState.CANCELLED)
    assert pressable(row) == ["Pull", "Remove…"]
    assert not row.bar.isVisible()


def test_removing_is_confirmed_first(window, actions):
    row = window.rows[KLEIN]
    row.remove.click()
    assert "It frees 15 GB." in row.question.words.text()
    assert row.question.yes.isEnabled()
    assert actions.named("remove_model") == []
    row.question.yes.click()
    assert actions.named("remove_model") == [KLEIN]
    assert KLEIN not in window.rows


def test_verifying_tells_what_came_of_it(window, actions):
    row = window.rows[KLEIN]
    row.verify.click()
    actions.work_moves(state=JobState.DONE, message="Every file is as it came.")
    assert row.words.text() == "Every file is as it came."
    assert pressable(row) == ["Verify", "Remove…"]


def test_what_failed_is_said_with_what_to_do(window, actions):
    window.rows[WAN].pull.click()
    full = ErrorReport.of(DiskFull("The store's disk is full.", hint="Free some room."))
    actions.work_moves(state=JobState.FAILED, error=full)
    assert window.rows[WAN].words.text() == "The store's disk is full. Free some room."
    assert "Pull" in pressable(window.rows[WAN])


def test_an_error_of_the_models_shows_in_their_window_and_goes(window, actions):
    actions.tell_models(error=ErrorReport.of(DiskFull("Full.", hint="Free room.")))
    assert window.error.isVisible()
    window.error.close_button.click()
    assert actions.named("dismiss_model_error") == [None]
    assert not window.error.isVisible()


def test_a_folder_is_chosen_without_blocking_and_its_way_in_shows(window, actions, app):
    window.add.click()
    chooser = window.findChild(QFileDialog)
    assert chooser.fileMode() is QFileDialog.FileMode.Directory
    chooser.fileSelected.emit("/show/in/our-tune")
    chooser.close()
    assert actions.named("add_model") == ["/show/in/our-tune"]
    assert window.added.text() == "our-tune: Copying"
    window.stop_adding.click()
    assert actions.named("cancel_model_task") == ["t0"]


def test_a_question_stays_when_other_models_come_and_go(window, actions):
    row = window.rows[SDXL]
    row.pull.click()
    actions.tell_models(models=MODELS[2:])
    assert window.rows[SDXL] is row
    assert row.question.is_asked


def test_a_hidden_window_does_not_listen(window, actions):
    listening = actions.listeners
    window.close()
    assert actions.listeners == listening - 1
    actions.tell_models(models=())
    assert len(window.rows) == len(MODELS)
    window.show()
    assert window.rows == {}
    assert "No models are known" in window.hint.text()


def test_a_window_whose_panel_is_gone_is_not_woken(app, show):
    actions = FakeActions(ready_state())
    panel = show(actions)
    panel.settings.chooser.models.click()
    panel.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    actions.tell_models(models=MODELS[:1])
    assert actions.listeners == 0


def test_everything_to_press_has_a_tool_tip_and_a_name(window):
    buttons = window.findChildren(QPushButton) + window.findChildren(QToolButton)
    ours = [button for button in buttons if not button.objectName().startswith("qt_")]
    assert ours
    for button in ours:
        assert button.toolTip(), button.text()
        assert button.accessibleName() or button.text()


def test_a_hostile_name_is_never_read_as_markup(window, actions):
    evil = ModelInfo("evil", "<b>evil</b><img src='file:///x'>", ModelState.MISSING)
    actions.tell_models(models=(evil,))
    row = window.rows["evil"]
    assert row.name.text == evil.label
    assert "<b>" not in row.name.toolTip()


def test_the_narrowest_window_cuts_no_button(window, app):
    window.resize(340, 500)
    app.processEvents()
    for row in window.rows.values():
        assert row.width() <= window.area.viewport().width()
        for button in (row.pull, row.verify, row.remove):
            if button.isVisible():
                assert row.rect().contains(button.geometry())


def test_the_models_shown_are_the_catalogues(window):
    """What a picture of this window says of a licence is read as a fact."""
    cards = {card.id: card for card in read_catalogue()}
    for model in MODELS:
        if model.id != TUNE:
            row = window.rows[model.id]
            assert row.name.text == cards[model.id].label
            assert row.licence.text == cards[model.id].licence
            assert row.commercial.text == COMMERCIAL_WORDS[cards[model.id].commercial_use]


def test_the_picture_of_the_documentation_can_be_made(app, tmp_path):
    path = models_picture(tmp_path / "models.png", ratio=1.0)
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("size", "text"), [(0, ""), (50_000, "0.1 MB"), (400_000_000, "400.0 MB"), (15e9, "15 GB")]
)
def test_sizes_are_said_as_one_says_them(size, text):
    assert size_text(int(size)) == text


def test_what_is_not_known_is_left_out():
    assert facts_text(ModelInfo("x", "X", ModelState.MISSING)) == ""


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("verb", ModelVerb)
def test_every_task_has_words(state, verb):
    assert task_text(ModelTask("t", "x", verb, state, 1.0))
