"""Every control is named and explained, nothing is cut, any palette reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QWidget,
)

from examples.panel_picture import grab
from genai_fill.app.panel_state import HeroRow
from genai_fill.ui.palette import Tone, dim_text, nuke_like_palette, readable_on, tone_colour
from genai_fill_contract.errors import ErrorCode, ErrorReport
from tests.fakes.panel_actions import (
    CLEAN_PLATE,
    DIFFUSION,
    MISSING,
    FakeActions,
    make_take,
    ready_state,
)

LONG = "Ein sehr langer Name, den sich jemand im Studio ausgedacht hat, " * 4


def controls(panel: QWidget) -> list[QWidget]:
    """Return everything the keyboard or the mouse can work with, but for Qt's own parts."""
    found = []
    for widget in panel.findChildren(QWidget):
        if widget.objectName().startswith("qt_") or widget.focusPolicy() == Qt.FocusPolicy.NoFocus:
            continue
        inner = isinstance(widget.parentWidget(), QAbstractSpinBox | QComboBox)
        if inner or widget.metaObject().className() in (
            "QComboBoxPrivateContainer",
            "QComboBoxListView",
        ):
            continue
        found.append(widget)
    return found


def test_every_control_has_a_tooltip_and_an_accessible_name(panel, actions):
    everything = controls(panel)
    assert len(everything) > 30
    for widget in everything:
        if isinstance(widget, QLabel):
            assert widget.accessibleName() or widget.text()
            continue
        where = f"{type(widget).__name__} {widget.accessibleName()!r}"
        assert widget.accessibleName(), where
        assert widget.toolTip(), where


def test_tab_reaches_the_fields_from_top_to_bottom(panel, actions, app):
    actions.edit(engine_id=CLEAN_PLATE.id)
    actions.edit(engine_id=DIFFUSION.id)
    app.processEvents()
    panel.settings.prompt.setFocus()
    visited = []
    for _ in range(12):
        QTest.keyClick(app.focusWidget(), Qt.Key.Key_Tab)
        visited.append(app.focusWidget())
    page = panel.settings.widget()
    places = [w.mapTo(page, w.rect().center()) for w in visited]
    assert panel.settings.options.fields["steps"].control.box in visited
    assert panel.settings.chooser.refresh in visited
    rows = [place.y() // 12 for place in places]
    assert rows == sorted(rows)


STATES = {
    "ready": ready_state(),
    "clean plate": replace(ready_state(), form=replace(ready_state().form, engine_id="cleanplate")),
    "unavailable": replace(
        ready_state(), form=replace(ready_state().form, engine_id=MISSING.id, range_mode="custom")
    ),
    "error": replace(
        ready_state(), error=ErrorReport(ErrorCode.INTERNAL, LONG, LONG, context={"a": LONG})
    ),
    "heroes": replace(ready_state(), heroes=(HeroRow(1010, "v001"), HeroRow(1032, LONG))),
    "long names": replace(
        ready_state(),
        node_name=LONG,
        backend=LONG,
        engines=(
            replace(
                CLEAN_PLATE,
                label=LONG,
                licence=LONG,
                options=tuple(replace(o, label=LONG) for o in CLEAN_PLATE.options),
            ),
        ),
        form=replace(ready_state().form, engine_id=CLEAN_PLATE.id, prompt=LONG),
        takes=(replace(make_take(1), label=LONG, prompt=LONG),),
    ),
}


@pytest.mark.parametrize("width", [320, 400, 520])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_nothing_sticks_out_of_the_panel_at_any_width(show, app, state, width):
    panel = show(FakeActions(state), width, 900)
    app.processEvents()
    assert panel.width() == width
    page = panel.settings.widget()
    assert page.width() <= panel.settings.viewport().width()
    for widget in page.findChildren(QWidget):
        if widget.isVisible():
            right = widget.mapTo(page, widget.rect().topRight()).x()
            assert right <= page.width(), f"{type(widget).__name__} {widget.accessibleName()!r}"


@pytest.mark.parametrize("state", ["ready", "unavailable", "error", "heroes"])
def test_words_are_never_cut(show, app, state):
    panel = show(FakeActions(STATES[state]), 320, 1000)
    app.processEvents()
    for label in panel.findChildren(QLabel):
        if label.isVisible() and label.text():
            needed = (
                label.heightForWidth(label.width())
                if label.wordWrap()
                else label.sizeHint().height()
            )
            assert label.height() >= needed, label.text()
    for button in panel.findChildren(QAbstractButton):
        if button.isVisible() and button.text():
            room = button.fontMetrics().horizontalAdvance(button.text())
            assert button.width() >= room, button.text()


def test_the_panel_fits_a_small_dock(show, app):
    panel = show(FakeActions(ready_state()), 320, 480)
    app.processEvents()
    assert (panel.width(), panel.height()) == (320, 480)
    assert panel.activity.generate.isVisible()
    assert panel.takes.view.height() >= 60


def contrast(one: QColor, other: QColor) -> float:
    def luminance(colour: QColor) -> float:
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        lin = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def light_palette() -> QPalette:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor("#f0f0f0"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#101010"))
    return palette


@pytest.mark.parametrize("palette", [nuke_like_palette(), light_palette()], ids=["dark", "light"])
def test_every_tone_reads_on_the_window(app, palette):
    window = palette.color(QPalette.ColorRole.Window)
    for tone in Tone:
        assert contrast(tone_colour(palette, tone), window) >= 4.0, tone
    assert contrast(dim_text(palette), window) >= 4.0


@pytest.mark.parametrize("colour", ["#f08c1e", "#101010", "#ffffff", "#2060c0", "#808080"])
def test_text_on_the_primary_button_reads_on_any_highlight(colour):
    assert contrast(readable_on(QColor(colour)), QColor(colour)) >= 4.5


def test_the_picture_for_the_documentation_has_two_pixels_a_point(app, tmp_path):
    from genai_fill.ui.panel import FillPanel

    panel = FillPanel(FakeActions(ready_state()))
    panel.resize(400, 800)
    path = grab(panel, tmp_path / "deep" / "panel.png")
    image = QImage(str(path))
    assert (image.width(), image.height()) == (800, 1600)
    colours = {image.pixel(x, y) for x in range(0, 800, 7) for y in range(0, 1600, 7)}
    assert len(colours) > 60, "something is drawn"
    assert not panel.isVisible()
    panel.deleteLater()


def test_line_edits_show_the_start_of_a_long_path(panel, actions):
    actions.tell_form(engine_options={"lora": "/very/long" * 40})
    edit = panel.settings.options.fields["lora"].control.edit
    assert isinstance(edit, QLineEdit)
    assert edit.cursorPosition() == 0
