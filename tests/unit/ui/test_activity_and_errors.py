"""Generate, Cancel, progress in words, errors, log, and the empty panel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from genai_fill.app.panel_state import ActivityView, PanelState
from genai_fill.ui.palette import Tone
from genai_fill_contract.errors import ErrorCode, ErrorReport
from genai_fill_contract.job import JobState
from tests.fakes.panel_actions import FakeActions, ready_state

REPORT = ErrorReport(
    ErrorCode.EMPTY_MATTE,
    "The matte is empty on frames 1012–1015 of GenAIFill3.",
    "Paint it, or shorten the frame range.",
    context={"node": "GenAIFill3", "frames": "1012-1015"},
)


def press(button) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_generate_shows_progress_and_can_be_cancelled(panel, actions):
    press(panel.activity.generate)
    assert len(actions.named("generate")) == 1
    actions.frame_done(12, 48, 61.0)
    assert panel.activity.words.text() == "Filling frame 12 of 48 · about 1 min left"
    assert panel.activity.bar.isVisible()
    assert panel.activity.bar.fraction == 0.25
    press(panel.activity.cancel)
    assert actions.named("cancel") == [None]
    assert panel.activity.words.text() == "Cancelling"
    assert not panel.activity.cancel.isEnabled()


def test_generate_is_not_offered_twice(panel, actions):
    press(panel.activity.generate)
    assert not panel.activity.generate.isEnabled()
    QTest.keyClick(panel, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert len(actions.named("generate")) == 1


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_ctrl_enter_generates_from_a_number_and_commits_it_first(panel, actions, key):
    box = panel.settings.seed.seed
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "99")
    QTest.keyClick(box, key, Qt.KeyboardModifier.ControlModifier)
    assert actions.named("generate")[0].seed == 99


def test_spooling_without_a_job_state_counts_as_busy(panel, actions):
    view = ActivityView(None, "Rendering the plate, frame 3 of 48", 0.05, None, can_cancel=True)
    actions.tell(activity=view)
    assert panel.activity.cancel.isEnabled()
    assert not panel.activity.generate.isEnabled()
    assert panel.activity.words.text() == "Rendering the plate, frame 3 of 48"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState.DONE, "Done"),
        (JobState.CANCELLED, "Cancelled"),
        (JobState.LOST, "Lost: the backend went away before it was done"),
    ],
)
def test_how_a_fill_ended_is_said_and_generate_is_offered_again(panel, actions, state, words):
    actions.tell(activity=ActivityView(state, "phase of before", 1.0, 5.0, can_cancel=False))
    assert panel.activity.words.text() == words
    assert not panel.activity.bar.isVisible()
    assert not panel.activity.cancel.isVisible()
    assert panel.activity.generate.isEnabled()


@pytest.mark.parametrize(
    ("given", "shown"),
    [(None, None), (float("nan"), None), (-1.0, 0.0), (7.0, 1.0), (float("inf"), 1.0)],
)
def test_any_fraction_can_be_shown(panel, actions, given, shown, app):
    actions.tell(activity=ActivityView(JobState.RUNNING, "Working", given, None, can_cancel=True))
    panel.activity.bar.repaint()
    assert panel.activity.bar.fraction == shown


def test_an_error_is_said_with_its_hint_and_dismissed(panel, actions):
    assert not panel.error.isVisible()
    actions.fail(REPORT)
    assert panel.error.isVisible()
    assert panel.error.message.text() == REPORT.message
    assert panel.error.hint.text() == REPORT.hint
    press(panel.error.close_button)
    assert actions.named("dismiss_error") == [None]
    assert not panel.error.isVisible()


def test_details_are_folded_and_can_be_copied(panel, actions):
    actions.fail(REPORT)
    assert not panel.error.text.isVisible()
    panel.error.details.set_open(True)
    press(panel.error.copy)
    copied = QApplication.clipboard().text()
    for part in (REPORT.message, REPORT.hint, "empty_matte", "frames: 1012-1015"):
        assert part in copied


def test_a_new_error_folds_the_details_of_the_last(panel, actions):
    actions.fail(REPORT)
    panel.error.details.set_open(True)
    actions.fail(replace(REPORT, message="Another."))
    assert not panel.error.details.is_open
    assert panel.error.message.text() == "Another."


def test_an_endless_error_message_leaves_room_for_the_panel(panel, actions, app):
    actions.fail(replace(REPORT, message="far too long " * 5000))
    app.processEvents()
    assert panel.error.height() < 260
    assert "far too long " * 100 in panel.error.text.toPlainText()


def test_errors_also_show_without_a_node(show):
    panel = show(FakeActions(PanelState(error=REPORT)))
    assert panel.error.isVisible()
    assert panel.empty.isVisible()


def test_error_text_is_never_read_as_markup(panel, actions):
    actions.fail(replace(REPORT, message="<b>bold</b>", hint="<img src='file:///x'>"))
    assert panel.error.message.textFormat() is Qt.TextFormat.PlainText
    assert panel.error.hint.textFormat() is Qt.TextFormat.PlainText


def test_without_a_node_the_panel_says_what_to_do_and_creates_one(show):
    actions = FakeActions()
    panel = show(actions)
    assert panel.empty.isVisible()
    assert not panel.settings.isVisible()
    press(panel.empty.create_button)
    assert actions.named("create_node") == [None]
    assert panel.settings.isVisible()
    assert panel.header.node.text == "GenAIFill1"


def test_ctrl_enter_without_a_node_does_nothing(show):
    actions = FakeActions()
    panel = show(actions)
    QTest.keyClick(panel, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert actions.named("generate") == []


def test_deselecting_the_node_goes_back_to_the_empty_page(panel, actions):
    actions.selected = None
    actions.follow_selection()
    assert panel.empty.isVisible()
    assert actions.named("edit") == []


@pytest.mark.parametrize(
    ("backend", "tone"),
    [
        ("connected", Tone.GOOD),
        ("starting", Tone.WARNING),
        ("not running", Tone.BAD),
        ("", Tone.QUIET),
    ],
)
def test_the_dot_tells_the_backend_s_state(panel, actions, backend, tone):
    actions.tell(backend=backend)
    assert panel.header.dot.tone is tone
    assert panel.header.backend.text() == backend


def test_log_lines_are_added_and_the_view_follows_the_end(panel, actions, app):
    panel.log.set_open(True)
    for n in range(60):
        actions.tell(log=(*actions.state.log, f"line {n}"))
    app.processEvents()
    bar = panel.log.text.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    assert panel.log.text.toPlainText().splitlines()[-1] == "line 59"
    assert panel.log.text.blockCount() == 62


def test_reading_back_in_the_log_is_not_disturbed(panel, actions, app):
    panel.log.set_open(True)
    actions.tell(log=tuple(f"line {n}" for n in range(100)))
    app.processEvents()
    bar = panel.log.text.verticalScrollBar()
    bar.setValue(3)
    actions.tell(log=(*actions.state.log, "new"))
    app.processEvents()
    assert bar.value() == 3


def test_a_log_that_was_cut_at_its_start_is_shown_as_it_is(panel, actions):
    actions.tell(log=("b", "c"))
    actions.tell(log=("c", "d"))
    assert panel.log.text.toPlainText() == "c\nd"


def test_generating_without_known_engines_is_possible_since_it_starts_the_backend(show):
    actions = FakeActions(replace(ready_state(), engines=(), backend="not running"))
    panel = show(actions)
    press(panel.activity.generate)
    assert len(actions.named("generate")) == 1


def test_a_failed_fill_can_be_tried_again_where_the_error_stands(panel, actions):
    assert not panel.error.again.isVisible()
    actions.tell(error=REPORT, activity=ActivityView(state=JobState.FAILED))
    assert panel.error.again.isVisible()

    press(panel.error.again)

    assert len(actions.named("generate")) == 1
    assert not panel.error.again.isVisible()  # it runs


@pytest.mark.parametrize(
    ("error", "offered"),
    [(replace(REPORT, retryable=True), True), (REPORT, False), (None, False)],
)
def test_an_error_of_another_kind_offers_it_only_where_it_can_help(panel, actions, error, offered):
    actions.tell(error=error)
    assert panel.error.again.isVisible() is offered


def test_it_is_not_offered_where_generate_is_not(panel, actions):
    running = ActivityView(JobState.RUNNING, can_cancel=True)
    actions.tell(error=replace(REPORT, retryable=True), activity=running)
    assert not panel.error.again.isVisible()


def test_the_models_can_be_opened_without_a_node(show):
    panel = show(FakeActions(PanelState()))
    assert panel.empty.models_button.isVisible()
    press(panel.empty.models_button)
    assert panel.models is not None
    assert panel.models.isVisible()
    assert panel._actions.named("refresh_models")
    panel.models.close()
