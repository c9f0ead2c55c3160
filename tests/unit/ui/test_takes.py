"""The take list: choosing, the menu, thumbnails, many takes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from genai_fill.ui import take_model
from genai_fill.ui.take_model import CHOSEN_ROLE, PLATE_LABEL, decode_thumbnail
from tests.fakes.panel_actions import make_take, png, thumbnail


def click(panel, row: int) -> None:
    view = panel.takes.view
    place = view.visualRect(view.model().index(row, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def labels(panel) -> list[str]:
    model = panel.takes.model
    return [model.index(row).data() for row in range(model.rowCount())]


def menu_entry(menu: QMenu, text: str):
    return next(action for action in menu.actions() if action.text() == text)


def test_the_plate_comes_first_and_then_the_newest_take(panel):
    assert labels(panel) == [PLATE_LABEL, "v002", "v001"]
    assert panel.takes.heading.text == "Takes (2)"


def test_clicking_a_take_chooses_it_and_marks_it(panel, actions):
    click(panel, 2)
    assert actions.named("choose_take") == [1]
    chosen = [panel.takes.model.index(row).data(CHOSEN_ROLE) for row in range(3)]
    assert chosen == [False, False, True]


def test_clicking_the_plate_chooses_no_take(panel, actions):
    click(panel, 0)
    assert actions.named("choose_take") == [None]
    assert panel.takes.model.index(0).data(CHOSEN_ROLE) is True


def test_the_keyboard_chooses_and_forgets(panel, actions):
    view = panel.takes.view
    view.setFocus()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert actions.named("choose_take") == [2]
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert actions.named("forget_take") == [2]
    assert labels(panel) == [PLATE_LABEL, "v001"]


def test_moving_through_the_list_chooses_nothing(panel, actions):
    view = panel.takes.view
    view.setFocus()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert actions.named("choose_take") == []


def test_delete_on_the_plate_does_nothing(panel, actions):
    view = panel.takes.view
    view.setFocus()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert actions.named("forget_take") == []


def test_ctrl_enter_in_the_list_generates_and_chooses_nothing(panel, actions):
    view = panel.takes.view
    view.setFocus()
    view.setCurrentIndex(view.model().index(2, 0))
    QTest.keyClick(view, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert len(actions.named("generate")) == 1
    assert actions.named("choose_take") == []


@pytest.mark.parametrize(
    ("entry", "action"),
    [
        ("Use this take", "choose_take"),
        ("Use these settings again", "restore_take_settings"),
        ("Reveal in file browser", "reveal_take"),
        ("Remove from list", "forget_take"),
    ],
)
def test_each_menu_entry_asks_for_its_action(panel, actions, entry, action):
    menu = panel.takes.menu_for(actions.state.takes[0])
    menu_entry(menu, entry).trigger()
    assert actions.named(action) == [1]
    menu.deleteLater()


def test_the_context_menu_opens_without_holding_up_the_caller(panel, app):
    view = panel.takes.view
    place = view.visualRect(view.model().index(1, 0)).center()
    view.customContextMenuRequested.emit(place)
    menus = [menu for menu in panel.takes.findChildren(QMenu) if menu.isVisible()]
    assert len(menus) == 1
    menus[0].close()


def test_the_plate_has_no_menu(panel):
    view = panel.takes.view
    view.customContextMenuRequested.emit(view.visualRect(view.model().index(0, 0)).center())
    assert panel.takes.findChildren(QMenu) == []


def test_using_settings_again_commits_typed_text_first(panel, actions):
    panel.settings.prompt.setFocus()
    QTest.keyClicks(panel.settings.prompt, "new words ")
    menu = panel.takes.menu_for(actions.state.takes[0])
    menu_entry(menu, "Use these settings again").trigger()
    menu.deleteLater()
    names = [name for name, _ in actions.calls if name != "follow_selection"]
    assert names == ["edit", "restore_take_settings"]
    assert panel.settings.prompt.toPlainText() == actions.state.takes[0].prompt


def test_frames_that_arrive_keep_the_current_row_and_the_scroll_position(panel, actions, app):
    takes = tuple(make_take(n, done=10) for n in range(1, 60))
    actions.tell(takes=takes)
    view = panel.takes.view
    app.processEvents()
    view.setCurrentIndex(view.model().index(30, 0))
    view.verticalScrollBar().setValue(700)
    current = view.currentIndex().data()
    actions.tell(takes=tuple(replace(take, frames_done=11) for take in takes))
    actions.tell(takes=(*actions.state.takes, make_take(60, done=0)))
    app.processEvents()
    assert view.currentIndex().data() == current
    assert view.verticalScrollBar().value() == 700


def test_only_rows_that_changed_are_told_to_the_view(panel, actions):
    told: list[tuple[int, int]] = []
    panel.takes.model.dataChanged.connect(lambda a, b: told.append((a.row(), b.row())))
    first, second = actions.state.takes
    actions.tell(takes=(replace(first, frames_done=47), second))
    assert told == [(2, 2)]


def test_two_hundred_takes_are_shown_and_updated_in_a_blink(panel, actions, app):
    picture = thumbnail(1)
    takes = tuple(
        replace(make_take(n, done=0), thumbnail_png=picture, frames_done=10) for n in range(1, 201)
    )
    start = time.perf_counter()
    actions.tell(takes=takes)
    app.processEvents()
    assert time.perf_counter() - start < 2.0
    start = time.perf_counter()
    for done in range(11, 31):
        actions.tell(takes=(*takes[:-1], replace(takes[-1], frames_done=done)))
    app.processEvents()
    assert time.perf_counter() - start < 1.0
    assert panel.takes.model.rowCount() == 201
    assert panel.takes.heading.text == "Takes (200)"


def test_only_thumbnails_in_view_are_decoded(panel, actions, app, monkeypatch):
    decoded: list[bytes] = []

    def counting(data: bytes) -> QPixmap | None:
        decoded.append(data)
        return decode_thumbnail(data)

    monkeypatch.setattr(take_model, "decode_thumbnail", counting)
    pictures = [png(8, 8, lambda x, y, n=n: (n, 0, 0)) for n in range(200)]
    takes = [replace(make_take(n + 1, done=0), thumbnail_png=pictures[n]) for n in range(200)]
    actions.tell(takes=tuple(takes))
    app.processEvents()
    panel.takes.view.viewport().repaint()
    assert 0 < len(decoded) < 20
    assert len(decoded) == len(set(decoded)), "each is decoded once"


def test_a_thumbnail_is_decoded_to_its_pixels(app):
    pixmap = decode_thumbnail(png(6, 4, lambda x, y: (200, 100, 50)))
    assert pixmap is not None
    assert (pixmap.width(), pixmap.height()) == (6, 4)
    assert pixmap.toImage().pixelColor(2, 2) == QColor(200, 100, 50)


def test_a_new_thumbnail_of_the_same_take_replaces_the_old_one(panel, actions):
    model = panel.takes.model
    take = actions.state.takes[0]
    before = model.thumbnail(take).toImage().pixelColor(1, 1)
    take = replace(take, thumbnail_png=png(8, 8, lambda x, y: (1, 2, 3)))
    assert model.thumbnail(take).toImage().pixelColor(1, 1) == QColor(1, 2, 3) != before


BLACK = (0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
        thumbnail(1)[:60],
        png(1, 1, lambda x, y: BLACK, claims=(20_000, 20_000)),
        png(4100, 1, lambda x, y: BLACK),
        png(1, 1, lambda x, y: BLACK) + b"\0" * (9 * 1024 * 1024),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
    ],
    ids=["none", "text", "header only", "cut off", "20000 px square", "4100 px", "9 MiB", "svg"],
)
def test_what_is_not_a_sound_thumbnail_shows_a_placeholder(panel, actions, data):
    assert decode_thumbnail(data) is None
    actions.tell(takes=(replace(actions.state.takes[0], thumbnail_png=data),))
    panel.takes.view.viewport().repaint()
    assert labels(panel) == [PLATE_LABEL, "v001"]


def test_hostile_words_are_never_read_as_markup(panel, actions):
    evil = "<img src='file:///etc/passwd'><b>x</b>\n" * 3
    actions.tell(takes=(make_take(7, prompt=evil),))
    tip = panel.takes.model.index(1).data(Qt.ItemDataRole.ToolTipRole)
    assert "<img" not in tip
    assert "&lt;img" in tip


def test_a_take_without_frames_in_all_draws(panel, actions):
    actions.tell(takes=(replace(make_take(3), frames_done=0, frames_total=0),))
    panel.takes.view.viewport().repaint()
    assert panel.takes.view.indexAt(QPoint(5, 5)).row() == 0


def test_screen_readers_hear_label_seed_frames_and_use(panel):
    words = panel.takes.model.index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert words == "v002, seed 4022, 1001–1048, in use"
