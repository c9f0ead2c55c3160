"""Hero frames in the panel: approve, look, take back; and what engines say of takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from genai_fill.app.panel_state import HeroRow
from genai_fill.ui.phrases import hero_hint
from tests.fakes.panel_actions import (
    CLEAN_PLATE,
    DIFFUSION,
    MISSING,
    FakeActions,
    make_take,
    ready_state,
)

LONG = "Ein sehr langer Name, den sich jemand im Studio ausgedacht hat, " * 4


def with_heroes(*frames, **changes):
    return replace(ready_state(), heroes=tuple(HeroRow(f, "v001") for f in frames), **changes)


def hero_entry(panel, take):
    menu = panel.takes.menu_for(take)
    entry = next(a for a in menu.actions() if a.text() == "Use this frame as a hero frame")
    return menu, entry


def test_the_menu_of_a_take_approves_the_frame_that_nuke_shows(panel, actions):
    assert not panel.settings.heroes.isVisible()
    actions.current_frame = 1010
    menu, entry = hero_entry(panel, actions.state.takes[0])
    entry.trigger()
    menu.deleteLater()
    assert actions.named("add_hero") == [(1, None)]
    assert [line.hero for line in panel.settings.heroes.lines] == [HeroRow(1010, "v001")]
    assert panel.settings.heroes.isVisible()


def test_a_take_without_frames_cannot_be_approved(panel):
    menu, entry = hero_entry(panel, make_take(3, done=0))
    assert not entry.isEnabled()
    menu.deleteLater()


def test_the_cross_takes_a_hero_away_with_mouse_and_keyboard(show):
    actions = FakeActions(with_heroes(1010, 1032, 1040))
    panel = show(actions)
    QTest.mouseClick(panel.settings.heroes.lines[1].remove, Qt.MouseButton.LeftButton)
    assert actions.named("remove_hero") == [1032]
    button = panel.settings.heroes.lines[1].remove
    button.setFocus()
    QTest.keyClick(button, Qt.Key.Key_Space)
    assert actions.named("remove_hero") == [1032, 1040]
    assert [line.hero.frame for line in panel.settings.heroes.lines] == [1010]
    actions.remove_hero(1010)
    assert not panel.settings.heroes.isVisible()


def test_lines_that_are_gone_are_deleted(show):
    actions = FakeActions(with_heroes(*range(1001, 1031)))
    panel = show(actions)
    for frame in range(1001, 1031):
        actions.remove_hero(frame)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    kind = "HeroLine"
    left = [w for w in panel.settings.heroes.findChildren(object) if type(w).__name__ == kind]
    assert left == []


def test_a_state_with_the_same_heroes_keeps_the_focus(show):
    actions = FakeActions(with_heroes(1010))
    panel = show(actions)
    button = panel.settings.heroes.lines[0].remove
    button.setFocus()
    actions.tell_form(seed=99)
    assert panel.settings.heroes.lines[0].remove is button
    assert button.hasFocus()


def test_tab_reaches_the_heroes_where_they_stand(show, app):
    actions = FakeActions(with_heroes(1010, 1032))
    panel = show(actions)
    panel.settings.heroes.lines[0].remove.setFocus()
    QTest.keyClick(app.focusWidget(), Qt.Key.Key_Tab)
    assert app.focusWidget() is panel.settings.heroes.lines[1].remove


def test_the_panel_says_whether_the_engine_uses_the_heroes():
    state = with_heroes(1010)
    assert hero_hint(state) == ("SDXL inpaint does not use hero frames. Choose Clean plate.", False)
    used = replace(state, form=replace(state.form, engine_id=CLEAN_PLATE.id))
    assert hero_hint(used) == ("Clean plate carries them through the frames.", True)
    alone = replace(state, engines=(DIFFUSION,))
    assert hero_hint(alone) == ("SDXL inpaint does not use hero frames.", False)
    assert hero_hint(replace(state, engines=())) == ("", True)
    assert hero_hint(replace(state, heroes=())) == ("", True)


@pytest.mark.parametrize("width", [320, 400])
def test_heroes_with_long_names_stay_in_the_panel(show, app, width):
    state = replace(with_heroes(), heroes=(HeroRow(1010, LONG), HeroRow(-100001, "v002")))
    panel = show(FakeActions(replace(state, engines=(replace(DIFFUSION, label=LONG),))), width)
    app.processEvents()
    page = panel.settings.widget()
    assert page.width() <= panel.settings.viewport().width()
    for line in panel.settings.heroes.lines:
        right = line.remove.mapTo(page, line.remove.rect().topRight()).x()
        assert 0 < right <= page.width()


def test_what_the_engine_says_of_a_take_is_in_its_tool_tip(show):
    take = replace(make_take(1), summary="93 % real pixels, 7 % synthesized")
    panel = show(FakeActions(replace(ready_state(), takes=(take, make_take(2)))))
    tips = [panel.takes.model.index(row).data(Qt.ItemDataRole.ToolTipRole) for row in range(3)]
    assert "93 % real" in tips[2]
    assert "real" not in tips[1]


def test_a_summary_is_never_read_as_markup(show):
    take = replace(make_take(1), summary="<b>bold</b>\n<img src='x'>")
    panel = show(FakeActions(replace(ready_state(), takes=(take,))))
    tip = panel.takes.model.index(1).data(Qt.ItemDataRole.ToolTipRole)
    assert "<b>" not in tip
    assert "&lt;img" in tip


def test_long_reasons_are_told_engine_by_engine_and_fit(show, app):
    reason = "The folder /mnt/shows/models/flux lacks model-00002-of-00003.safetensors. " * 9
    size = "Not installed: genai-fill models pull a (Apache-2.0, 15 GB)"
    engines = (
        CLEAN_PLATE,
        replace(MISSING, id="a", label="A", unavailable_reason=size),
        replace(MISSING, id="b", label="B " * 90, unavailable_reason=reason),
        replace(MISSING, id="c", label="C", unavailable_reason=""),
    )
    state = replace(
        ready_state(), engines=engines, form=replace(ready_state().form, engine_id="cleanplate")
    )
    panel = show(FakeActions(state), 320)
    chooser = panel.settings.chooser
    chooser.others.set_open(True)
    app.processEvents()
    told = chooser.others_text.text().split("\n\n")
    assert told[0] == f"A\n{size}"
    assert told[1].endswith("…")
    assert len(told[1]) < 400
    assert told[2] == "C\nNo reason given."
    label: QLabel = chooser.others_text
    assert label.height() >= label.heightForWidth(label.width())
    assert label.width() <= panel.settings.viewport().width()
