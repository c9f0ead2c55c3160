"""Every type of option gets a control that gives back a value of that type."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel

from genai_fill.ui.option_field import OptionField
from genai_fill_contract.engine import EngineOption, OptionType
from tests.fakes.panel_actions import CLEAN_PLATE, DIFFUSION, MISSING, FakeActions, ready_state


def field(panel, name: str) -> OptionField:
    return panel.settings.options.fields[name]


def type_number(box, text: str) -> None:
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def test_each_option_of_the_engine_has_a_control(panel):
    assert list(panel.settings.options.fields) == [o.name for o in DIFFUSION.options]


def test_a_whole_number_gives_an_int(panel, actions):
    type_number(field(panel, "steps").control.box, "44")
    name, value = actions.named("set_option")[-1]
    assert (name, value, type(value)) == ("steps", 44, int)


def test_a_real_number_gives_a_float_even_when_it_is_whole(panel, actions):
    type_number(field(panel, "guidance").control.box, "9")
    name, value = actions.named("set_option")[-1]
    assert (name, value, type(value)) == ("guidance", 9.0, float)


def test_a_switch_gives_a_bool(panel, actions):
    box = field(panel, "tiling").control
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Space)
    assert actions.named("set_option") == [("tiling", True), ("tiling", False)]
    assert all(type(value) is bool for _, value in actions.named("set_option"))


def test_a_choice_gives_its_value_not_its_label(panel, actions):
    choice = field(panel, "scheduler").control
    choice.setFocus()
    QTest.keyClick(choice, Qt.Key.Key_Down)
    assert actions.named("set_option")[-1] == ("scheduler", "euler")


def test_a_text_is_sent_on_enter_and_only_once(panel, actions):
    panel.settings.options.advanced.set_open(True)
    text = field(panel, "style").control
    text.setFocus()
    QTest.keyClicks(text, "35mm photo")
    assert actions.named("set_option") == []
    QTest.keyClick(text, Qt.Key.Key_Return)
    panel.settings.prompt.setFocus()
    assert actions.named("set_option") == [("style", "35mm photo")]


def test_a_browsed_file_gives_its_path_with_forward_slashes(panel, actions, app):
    panel.settings.options.advanced.set_open(True)
    control = field(panel, "lora").control
    QTest.mouseClick(control.browse, Qt.MouseButton.LeftButton)
    app.processEvents()
    dialog = control.findChild(QFileDialog)
    assert dialog is not None, "the dialog opens without holding up the caller"
    dialog.fileSelected.emit("D:\\models\\film.safetensors")
    dialog.close()
    assert actions.named("set_option") == [("lora", "D:/models/film.safetensors")]


def test_dragging_a_slider_is_one_edit_on_release(panel, actions):
    number = field(panel, "guidance").control
    number.slider.setSliderDown(True)
    for place in range(80, 120, 5):
        number.slider.setSliderPosition(place)
    assert actions.named("set_option") == []
    assert number.box.number() == pytest.approx(11.5)
    number.slider.setSliderDown(False)
    assert actions.named("set_option") == [("guidance", pytest.approx(11.5))]


def test_a_state_that_comes_during_a_drag_does_not_pull_the_slider_back(panel, actions):
    number = field(panel, "steps").control
    number.slider.setSliderDown(True)
    number.slider.setSliderPosition(90)
    actions.frame_done(3, 48, 12.0)
    assert number.box.number() == 91
    number.slider.setSliderDown(False)
    assert actions.state.form.engine_options["steps"] == 91


def test_a_half_typed_number_is_not_overwritten_by_a_state(panel, actions):
    box = field(panel, "steps").control.box
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "12")
    actions.tell_form(engine_options={"guidance": 3.0, "steps": 70})
    QTest.keyClicks(box, "3")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert actions.state.form.engine_options["steps"] == 123


def test_showing_a_state_never_sends_an_edit(panel, actions):
    values = {"steps": 50, "guidance": 2.5, "scheduler": "ddim", "tiling": True, "style": "x"}
    actions.tell_form(engine_options=values)
    assert field(panel, "steps").control.box.number() == 50
    assert field(panel, "guidance").control.box.number() == 2.5
    assert field(panel, "scheduler").control.currentData() == "ddim"
    assert field(panel, "tiling").control.isChecked()
    assert field(panel, "style").control.text() == "x"
    assert [name for name, _ in actions.calls if name != "follow_selection"] == []


@pytest.mark.parametrize(
    "values",
    [
        {"steps": "many", "guidance": None, "scheduler": 3, "tiling": "yes", "style": 1},
        {"steps": 10**12, "guidance": float("nan"), "scheduler": "no such"},
        {"steps": True, "guidance": float("inf")},
    ],
)
def test_values_that_an_option_does_not_allow_show_as_its_default(panel, actions, values):
    actions.tell_form(engine_options=values)
    assert field(panel, "steps").control.box.number() == 30
    assert field(panel, "guidance").control.box.number() == 7.5
    assert field(panel, "scheduler").control.currentData() == "dpm"


def test_typed_numbers_stay_inside_the_option_s_range(panel, actions):
    type_number(field(panel, "steps").control.box, "99999")
    for _, value in actions.named("set_option"):
        assert 1 <= value <= 150


def test_reset_asks_for_the_defaults_and_is_offered_only_when_something_differs(panel, actions):
    reset = panel.settings.options.reset
    assert not reset.isEnabled()
    type_number(field(panel, "steps").control.box, "44")
    assert reset.isEnabled()
    QTest.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert actions.named("reset_options") == [None]
    assert field(panel, "steps").control.box.number() == 30
    assert not reset.isEnabled()


def test_advanced_options_are_folded_until_asked_for(panel):
    style = field(panel, "style")
    assert not style.isVisible()
    panel.settings.options.advanced.set_open(True)
    assert style.isVisible()
    assert field(panel, "steps").isVisible()


def test_another_engine_gets_other_controls(panel, actions):
    actions.edit(engine_id=CLEAN_PLATE.id)
    assert list(panel.settings.options.fields) == ["search_frames", "follow_light"]
    assert field(panel, "follow_light").control.isChecked()
    assert not panel.settings.seed.seed.isEnabled(), "an engine without a seed"


def test_controls_of_the_old_engine_never_show_as_a_window(panel, actions, app):
    windows = set(app.topLevelWidgets())
    field(panel, "steps").control.box.setFocus()
    actions.edit(engine_id=CLEAN_PLATE.id)
    app.processEvents()
    assert set(app.topLevelWidgets()) == windows
    assert app.focusWidget() is None or panel.isAncestorOf(app.focusWidget())


def test_controls_are_not_rebuilt_while_their_engine_stays(panel, actions):
    before = field(panel, "steps")
    actions.frame_done(3, 48, 12.0)
    actions.tell(engines=(*actions.state.engines, replace(MISSING, id="another")))
    assert field(panel, "steps") is before


def test_an_ampersand_in_a_label_is_shown(panel, actions):
    odd = replace(CLEAN_PLATE, options=(replace(CLEAN_PLATE.options[0], label="Blur & grain"),))
    actions.tell(engines=(odd,))
    actions.tell_form(engine_id=odd.id)
    (label,) = (
        label
        for label in panel.settings.options.findChildren(QLabel)
        if label.buddy() is field(panel, "search_frames")
    )
    assert label.text() == "Blur && grain", "a single one would underline the next letter"


def test_an_option_without_bounds_has_no_slider_and_takes_large_numbers(app):
    option = EngineOption("n", "N", OptionType.INT, 0, "Any number.")
    control = OptionField(option, None)
    got: list[object] = []
    control.changed.connect(lambda name, value: got.append((name, value)))
    control.control.box.setValue(5_000_000_000)
    assert control.control.slider is None
    assert got == [("n", 5_000_000_000)]


def test_choosing_an_engine_sets_it(panel, actions):
    choice = panel.settings.chooser.choice
    choice.setFocus()
    QTest.keyClick(choice, Qt.Key.Key_Up)
    assert actions.named("edit") == [{"engine_id": CLEAN_PLATE.id}]


def test_an_unavailable_engine_cannot_be_chosen_and_says_why(panel, actions):
    choice = panel.settings.chooser.choice
    choice.setFocus()
    QTest.keyClick(choice, Qt.Key.Key_Down)
    assert actions.named("edit") == []
    item = choice.model().item(choice.findData(MISSING.id))
    assert not item.isEnabled()
    assert "model store" in panel.settings.chooser.others_text.text()
    assert "model store" in choice.itemData(
        choice.findData(MISSING.id), Qt.ItemDataRole.ToolTipRole
    )


def test_a_chosen_engine_that_became_unavailable_blocks_generating_and_says_why(panel, actions):
    actions.tell_form(engine_id=MISSING.id)
    assert "model store" in panel.settings.chooser.reason.text()
    assert panel.settings.chooser.commercial.text == "Not for commercial use"
    assert not panel.activity.generate.isEnabled()
    assert "FLUX.1 Fill is not available" in panel.activity.words.text()


def test_an_engine_the_backend_does_not_know_is_shown_and_kept(panel, actions):
    actions.tell_form(engine_id="studio:relight")
    assert "studio:relight" in panel.settings.chooser.choice.currentText()
    assert "no engine" in panel.settings.chooser.reason.text()
    assert actions.named("edit") == []


def test_without_engines_the_refresh_button_asks_the_backend(show, app):
    actions = FakeActions(replace(ready_state(), engines=(), backend="not running"))
    panel = show(actions)
    assert "not known yet" in panel.settings.chooser.reason.text()
    QTest.mouseClick(panel.settings.chooser.refresh, Qt.MouseButton.LeftButton)
    assert actions.named("refresh_engines") == [None]
    assert panel.settings.chooser.choice.currentText() == "SDXL inpaint"


def test_the_licence_badge_shows_the_words_of_the_engine(panel):
    assert panel.settings.chooser.licence.text == "OpenRAIL++-M"
    assert panel.settings.chooser.commercial.text == "Commercial use needs a licence"


def test_the_wheel_over_an_unfocused_number_leaves_it_alone(panel, app):
    panel.settings.prompt.setFocus()
    box = field(panel, "steps").control.box
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(box.mapToGlobal(QPoint(5, 5))),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    app.sendEvent(box, event)
    assert box.number() == 30
