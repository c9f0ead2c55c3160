"""What is typed is never lost, whatever states come in meanwhile."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from genai_fill.ui.panel import FillPanel
from genai_fill.ui.prompt_editor import COMMIT_AFTER_MS
from tests.fakes.panel_actions import FakeActions

OLD = "an empty beach at dusk, wet sand, low sun"


def type_into(panel: FillPanel, text: str) -> None:
    panel.settings.prompt.setFocus()
    QTest.keyClicks(panel.settings.prompt, text)


def clear(panel: FillPanel) -> None:
    panel.settings.prompt.setFocus()
    panel.settings.prompt.selectAll()
    QTest.keyClick(panel.settings.prompt, Qt.Key.Key_Delete)


def test_typing_is_not_sent_letter_by_letter(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    assert actions.named("edit") == []
    assert panel.settings.prompt.is_being_edited()


def test_leaving_the_field_commits_what_was_typed(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    panel.settings.negative.setFocus()
    assert actions.named("edit") == [{"prompt": "rocks"}]


def test_a_pause_in_typing_commits_once(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    QTest.qWait(COMMIT_AFTER_MS + 200)
    assert actions.named("edit") == [{"prompt": "rocks"}]
    QTest.qWait(COMMIT_AFTER_MS + 200)
    assert len(actions.named("edit")) == 1


def test_progress_that_comes_while_typing_leaves_text_and_cursor_alone(panel, actions):
    clear(panel)
    type_into(panel, "wet ")
    for frame in range(1, 20):
        actions.frame_done(frame, 48, 30.0)
    type_into(panel, "rocks")
    assert panel.settings.prompt.toPlainText() == "wet rocks"


def test_a_prompt_changed_elsewhere_does_not_replace_text_being_typed(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    actions.tell_form(prompt="set by a script")
    assert panel.settings.prompt.toPlainText() == "rocks"
    panel.settings.commit_pending()
    assert actions.state.form.prompt == "rocks"


def test_a_prompt_changed_elsewhere_shows_when_nothing_is_being_typed(panel, actions):
    actions.tell_form(prompt="set by a script")
    assert panel.settings.prompt.toPlainText() == "set by a script"
    assert actions.named("edit") == []


def test_states_from_before_the_commit_do_not_undo_it(panel, actions):
    actions.holds_edits = True
    clear(panel)
    type_into(panel, "rocks")
    panel.settings.commit_pending()
    actions.frame_done(1, 48, None)
    assert actions.state.form.prompt == OLD
    assert panel.settings.prompt.toPlainText() == "rocks"
    actions.release_edits()
    assert panel.settings.prompt.toPlainText() == "rocks"
    actions.tell_form(prompt=OLD)
    assert panel.settings.prompt.toPlainText() == OLD


def test_the_host_undoing_the_edit_shows_the_old_prompt_again(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    panel.settings.commit_pending()
    actions.tell_form(prompt=OLD)
    assert panel.settings.prompt.toPlainText() == OLD


def test_undo_survives_a_prompt_put_back_from_a_take(panel, actions):
    actions.tell_form(prompt="from a take")
    panel.settings.prompt.setFocus()
    panel.settings.prompt.undo()
    assert panel.settings.prompt.toPlainText() == OLD


def test_undo_never_brings_another_node_s_text(panel, actions):
    actions.selected = "GenAIFill2"
    actions.follow_selection()
    panel.settings.prompt.undo()
    assert panel.settings.prompt.toPlainText() == ""


def test_text_typed_for_a_node_waits_as_a_draft_when_another_node_comes(panel, actions):
    clear(panel)
    type_into(panel, "for node one")
    actions.selected = "GenAIFill2"
    actions.follow_selection()
    assert panel.settings.prompt.toPlainText() == ""
    assert actions.named("edit") == []
    actions.selected = "GenAIFill1"
    actions.follow_selection()
    assert panel.settings.prompt.toPlainText() == "for node one"
    panel.settings.commit_pending()
    assert actions.state.node_name == "GenAIFill1"
    assert actions.state.form.prompt == "for node one"


def test_the_selection_is_not_followed_while_text_waits(panel, actions):
    clear(panel)
    type_into(panel, "half a word")
    before = len(actions.named("follow_selection"))
    panel._follow_selection()
    assert len(actions.named("follow_selection")) == before
    panel.settings.commit_pending()
    panel._follow_selection()
    assert len(actions.named("follow_selection")) == before + 1


def test_ctrl_enter_in_the_prompt_commits_first_and_then_generates(panel, actions):
    clear(panel)
    type_into(panel, "rocks")
    QTest.keyClick(panel.settings.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert [name for name, _ in actions.calls if name != "follow_selection"] == ["edit", "generate"]
    assert actions.named("generate")[0].prompt == "rocks"
    assert panel.settings.prompt.toPlainText() == "rocks"


def test_enter_makes_a_new_line(panel, actions):
    clear(panel)
    type_into(panel, "one")
    QTest.keyClick(panel.settings.prompt, Qt.Key.Key_Return)
    type_into(panel, "two")
    panel.settings.commit_pending()
    assert actions.state.form.prompt == "one\ntwo"
    assert actions.named("generate") == []


def test_tab_leaves_the_prompt(panel, actions):
    panel.settings.prompt.setFocus()
    QTest.keyClick(panel.settings.prompt, Qt.Key.Key_Tab)
    assert panel.settings.negative.hasFocus()
    assert "\t" not in panel.settings.prompt.toPlainText()


@pytest.mark.parametrize(
    "text",
    [
        "שקיעה מעל הים 🌊 עם סלעים",
        "夕暮れの無人の海岸",
        "👩🏽‍🚀 on a 🏖️, e\u0301 vs é",
        '[python {raise}] $HOME {braces} \\n "quotes" <b>bold</b> % &',
        "no\u00a0break\u00a0spaces",
    ],
)
def test_prompts_of_any_script_show_as_they_are_and_are_not_sent_back(panel, actions, text):
    actions.tell_form(prompt=text)
    shown = panel.settings.prompt.toPlainText()
    assert shown.replace("\u00a0", " ") == text.replace("\u00a0", " ")
    panel.settings.commit_pending()
    assert actions.named("edit") == []


def test_text_of_any_script_that_is_typed_arrives_unchanged(panel, actions):
    text = "שקיעה 🌊 夕暮れ 👩🏽‍🚀"
    clear(panel)
    QApplication.clipboard().setText(text)
    panel.settings.prompt.paste()
    panel.settings.commit_pending()
    assert actions.state.form.prompt == text


def test_a_very_long_prompt_is_kept_whole_and_the_field_stays_small(panel, actions, app):
    text = "a very long prompt, " * 5000
    actions.tell_form(prompt=text)
    app.processEvents()
    assert panel.settings.prompt.toPlainText() == text
    assert panel.settings.prompt.height() < 220
    panel.settings.commit_pending()
    assert actions.named("edit") == []


def test_the_field_grows_with_its_text_up_to_its_limit(panel, actions, app):
    least = panel.settings.prompt.height()
    actions.tell_form(prompt="\n".join(str(n) for n in range(6)))
    app.processEvents()
    grown = panel.settings.prompt.height()
    actions.tell_form(prompt="\n".join(str(n) for n in range(60)))
    app.processEvents()
    assert least < grown < panel.settings.prompt.height() < 2 * grown


@pytest.mark.parametrize("lines", [0, 1, 2, 5])
def test_text_that_fits_shows_no_scroll_bar(panel, actions, app, lines):
    actions.tell_form(negative_prompt="\n".join(["xg"] * lines))
    app.processEvents()
    app.processEvents()
    assert not panel.settings.negative.verticalScrollBar().isVisible()


@pytest.mark.parametrize("width", [320, 347, 400])
@pytest.mark.parametrize("before", [True, False], ids=["before showing", "while showing"])
def test_no_letter_is_under_the_scroll_bar(show, actions, app, width, before):
    text = "שלום עולם 🌊 " * 60
    if before:
        actions.tell_form(prompt=text)
    panel = show(actions, width, 900)
    actions.tell_form(prompt=text)
    app.processEvents()
    app.processEvents()
    editor = panel.settings.prompt
    assert editor.verticalScrollBar().isVisible()
    assert editor.horizontalScrollBar().maximum() == 0
    layout = editor.document().firstBlock().layout()
    room = editor.viewport().width() - 2 * editor.document().documentMargin()
    assert {layout.lineAt(n).width() for n in range(layout.lineCount())} == {room}


def test_a_new_engine_s_need_for_a_prompt_follows_what_is_typed_at_once(
    panel: FillPanel, actions: FakeActions
):
    clear(panel)
    assert not panel.activity.generate.isEnabled()
    assert "needs a prompt" in panel.activity.words.text()
    type_into(panel, "x")
    assert panel.activity.generate.isEnabled()
