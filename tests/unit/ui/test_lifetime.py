"""The panel outlives what Nuke does to it, and leaves nothing behind."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QThread, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu, QStackedWidget
from shiboken6 import isValid

from genai_fill.ui.panel import FOLLOW_EVERY_MS, FillPanel
from genai_fill.ui.prompt_editor import COMMIT_AFTER_MS
from genai_fill.ui.subscription import listener_of
from tests.fakes.panel_actions import FakeActions, ready_state


def running_timers(panel: QObject) -> list[QTimer]:
    return [timer for timer in panel.findChildren(QTimer) if timer.isActive()]


def destroy(panel: FillPanel) -> None:
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_nothing_runs_before_the_panel_is_shown(app, actions):
    panel = FillPanel(actions)
    assert actions.listeners == 0
    assert running_timers(panel) == []
    destroy(panel)


def test_the_selection_is_followed_only_while_the_panel_shows(panel, actions):
    QTest.qWait(2 * FOLLOW_EVERY_MS + 100)
    seen = len(actions.named("follow_selection"))
    assert 1 <= seen <= 4
    panel.hide()
    QTest.qWait(2 * FOLLOW_EVERY_MS)
    assert len(actions.named("follow_selection")) == seen


def test_closing_leaves_no_timer_and_no_listener(panel, actions):
    panel.close()
    assert running_timers(panel) == []
    assert actions.listeners == 0


def test_closing_commits_what_was_typed(panel, actions):
    panel.settings.prompt.setFocus()
    QTest.keyClicks(panel.settings.prompt, "x")
    panel.close()
    assert actions.state.form.prompt.count("x") == 1
    QTest.qWait(COMMIT_AFTER_MS + 100)
    assert len(actions.named("edit")) == 1


def test_a_panel_that_was_closed_and_shown_again_works_and_is_up_to_date(panel, actions, app):
    for round_number in range(3):
        panel.close()
        actions.tell_form(prompt=f"round {round_number}")
        panel.show()
        app.processEvents()
        assert panel.settings.prompt.toPlainText() == f"round {round_number}"
        assert actions.listeners == 1
    actions.frame_done(3, 48, None)
    assert "frame 3" in panel.activity.words.text()


def test_a_tab_that_is_switched_away_from_stops_and_comes_back(app, actions):
    stack = QStackedWidget()
    panel = FillPanel(actions)
    stack.addWidget(panel)
    stack.addWidget(FillPanel(FakeActions()))
    stack.show()
    assert actions.listeners == 1
    stack.setCurrentIndex(1)
    assert actions.listeners == 0
    assert running_timers(panel) == []
    stack.setCurrentIndex(0)
    assert actions.listeners == 1
    stack.close()
    destroy(stack)


def test_quitting_stops_the_panel(panel, actions, app):
    app.aboutToQuit.emit()
    assert running_timers(panel) == []
    assert actions.listeners == 0


def test_a_panel_that_was_dropped_is_collected(app):
    actions = FakeActions(ready_state())
    panel = FillPanel(actions)
    panel.show()
    app.processEvents()
    panel.takes.menu_for(actions.state.takes[0]).close()
    actions.frame_done(3, 48, None)
    panel.close()
    gone = weakref.ref(panel)
    destroy(panel)
    del panel
    gc.collect()
    assert gone() is None
    assert actions.listeners == 0


def test_dropping_the_only_reference_without_closing_leaves_nothing_behind(app):
    actions = FakeActions(ready_state())
    panel = FillPanel(actions)
    gone = weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is None


def test_a_panel_that_dies_while_shown_is_collected_and_no_longer_listens(app):
    actions = FakeActions(ready_state())
    panel = FillPanel(actions)
    panel.show()
    gone = weakref.ref(panel)
    destroy(panel)
    del panel
    gc.collect()
    assert actions.listeners == 0
    assert gone() is None


def test_listening_does_not_keep_a_panel_alive(app):
    """Even where the layout that held it goes without a word."""
    actions = FakeActions(ready_state())
    panel = FillPanel(actions)
    listener = listener_of(panel)
    gone = weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is None
    listener(actions.state)


def test_a_state_for_a_destroyed_panel_is_dropped(app, actions):
    panel = FillPanel(actions)
    panel.show()
    listener = actions._listeners[0]
    destroy(panel)
    assert not isValid(panel)
    listener(replace(actions.state, backend="connected"))
    actions.frame_done(4, 48, None)


def test_a_menu_that_is_open_when_the_panel_dies_dies_with_it(app, actions):
    panel = FillPanel(actions)
    panel.show()
    app.processEvents()
    view = panel.takes.view
    view.customContextMenuRequested.emit(view.visualRect(view.model().index(1, 0)).center())
    (menu,) = (m for m in panel.takes.findChildren(QMenu) if m.isVisible())
    destroy(panel)
    assert not isValid(menu)


def test_a_menu_that_was_closed_is_deleted(panel, actions, app):
    menu = panel.takes.menu_for(actions.state.takes[0])
    menu.popup(panel.pos())
    menu.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not isValid(menu)


def test_the_panel_makes_no_threads(panel, actions, app):
    before = threading.active_count()
    actions.frame_done(1, 48, 3.0)
    QTest.qWait(50)
    assert threading.active_count() == before
    assert panel.findChildren(QThread) == []


def test_a_state_told_on_another_thread_is_drawn_on_the_panel_s_own(panel, actions, app):
    drawn: list[int] = []
    draw = panel._draw
    panel._draw = lambda state: (drawn.append(threading.get_ident()), draw(state))
    teller = threading.Thread(target=lambda: actions.frame_done(5, 48, None))
    teller.start()
    teller.join()
    assert drawn == []
    app.processEvents()
    assert drawn == [threading.get_ident()]
    assert "frame 5" in panel.activity.words.text()


def test_states_that_come_from_inside_drawing_are_drawn_after_it(panel, actions):
    depth, deepest = [0], [0]
    show_takes = panel.takes.show_takes

    def nested(takes):
        depth[0] += 1
        deepest[0] = max(deepest[0], depth[0])
        if actions.state.backend != "starting":
            actions.tell(backend="starting")
        show_takes(takes)
        depth[0] -= 1

    panel.takes.show_takes = nested
    actions.frame_done(2, 48, None)
    assert deepest == [1]
    assert panel.header.backend.text() == "starting"
    assert "frame 2" in panel.activity.words.text()


def test_no_action_and_no_state_holds_up_the_ui_thread(panel, actions, app):
    """A beat every 5 ms goes on while the artist and the backend are both busy."""
    beats: list[float] = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start(5)
    panel.settings.prompt.setFocus()
    end = time.perf_counter() + 1.5
    frame = 0
    while time.perf_counter() < end:
        frame += 1
        actions.frame_done(frame % 48, 48, 30.0)
        QTest.keyClick(panel.settings.prompt, Qt.Key.Key_A)
        app.processEvents()
    heart.stop()
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert len(gaps) > 20
    assert max(gaps) < 0.5
    assert sorted(gaps)[len(gaps) // 2] < 0.08


def test_making_a_panel_sets_no_style_sheet_and_no_palette_of_the_application(app, actions):
    sheet, colour = app.styleSheet(), app.palette().window().color()
    panel = FillPanel(actions)
    assert panel.styleSheet() == ""
    assert (app.styleSheet(), app.palette().window().color()) == (sheet, colour)
    destroy(panel)
