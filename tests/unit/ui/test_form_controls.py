"""Seed, takes, range, matte and crop go to the node as the contract wants them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from genai_fill.ui.glyphs import Glyph
from genai_fill_contract.fill import MAX_SEED, MAX_TAKES


def type_number(box, text: str) -> None:
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def test_a_seed_beyond_32_bit_signed_numbers_can_be_typed(panel, actions):
    type_number(panel.settings.seed.seed, str(MAX_SEED - MAX_TAKES))
    (edit,) = actions.named("edit")
    assert edit == {"seed": MAX_SEED - MAX_TAKES}
    assert type(edit["seed"]) is int


def test_the_dice_ask_for_a_new_seed_and_it_shows(panel, actions):
    before = panel.settings.seed.seed.number()
    QTest.mouseClick(panel.settings.seed.dice, Qt.MouseButton.LeftButton)
    assert actions.named("roll_seed") == [None]
    assert panel.settings.seed.seed.number() == actions.state.form.seed != before


def test_a_locked_seed_cannot_be_rolled_but_can_be_typed(panel, actions):
    QTest.mouseClick(panel.settings.seed.lock, Qt.MouseButton.LeftButton)
    assert actions.named("edit") == [{"seed_locked": True}]
    assert not panel.settings.seed.dice.isEnabled()
    assert panel.settings.seed.seed.isEnabled()
    assert panel.settings.seed.lock.glyph is Glyph.LOCKED


def test_the_number_of_takes_shows_on_the_button(panel, actions):
    type_number(panel.settings.seed.takes.box, "5")
    assert actions.named("edit") == [{"takes": 5}]
    assert panel.activity.generate.text() == "Generate 5 takes"
    actions.tell_form(takes=1)
    assert panel.activity.generate.text() == "Generate"


def test_first_and_last_show_for_a_custom_range_only(panel, actions):
    assert not panel.settings.range.first.isVisible()
    panel.settings.range.mode.setFocus()
    QTest.keyClick(panel.settings.range.mode, Qt.Key.Key_End)
    assert actions.named("edit") == [{"range_mode": "custom"}]
    assert panel.settings.range.first.isVisible()


@pytest.mark.parametrize(
    ("which", "typed", "expected"),
    [
        ("first", "1010", {"first": 1010}),
        ("first", "2000", {"first": 2000, "last": 2000}),
        ("last", "990", {"first": 990, "last": 990}),
        ("last", "-5", {"first": -5, "last": -5}),
    ],
)
def test_a_custom_range_never_runs_backwards(panel, actions, which, typed, expected):
    actions.tell_form(range_mode="custom", first=1001, last=1048)
    type_number(getattr(panel.settings.range, which), typed)
    assert actions.named("edit") == [expected]
    assert actions.state.form.first <= actions.state.form.last


def test_grow_feather_and_blend_are_three_separate_values_in_pixels(panel, actions):
    matte = panel.settings.matte
    type_number(matte.grow.box, "-12.5")
    type_number(matte.feather.box, "20")
    type_number(matte.blend.box, "500")
    assert actions.named("edit") == [{"grow_px": -12.5}, {"feather_px": 20.0}, {"blend_px": 500.0}]
    assert all(type(v) is float for edit in actions.named("edit") for v in edit.values())
    assert matte.blend.slider.value() == matte.blend.slider.maximum()


def test_a_slider_that_is_at_its_end_does_not_limit_the_value_from_the_node(panel, actions):
    actions.tell_form(grow_px=200.0)
    assert panel.settings.matte.grow.box.number() == 200.0
    assert actions.named("edit") == []


def test_crop_mode_and_context_are_set(panel, actions):
    crop = panel.settings.crop
    crop.mode.setFocus()
    QTest.keyClick(crop.mode, Qt.Key.Key_Down)
    type_number(crop.context.box, "96")
    assert actions.named("edit") == [{"crop_mode": "follow"}, {"context_px": 96}]


def test_automatic_context_is_written_as_a_word(panel):
    assert panel.settings.crop.context.box.text() == "Auto"


def test_context_means_nothing_for_the_whole_frame(panel, actions):
    actions.tell_form(crop_mode="full")
    assert not panel.settings.crop.context.isEnabled()


def test_another_node_s_values_replace_a_half_typed_number(panel, actions):
    box = panel.settings.seed.seed
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "77")
    actions.selected = "GenAIFill2"
    actions.follow_selection()
    assert box.number() == 0
    assert actions.named("edit") == []


def test_leaving_a_number_commits_it(panel, actions):
    box = panel.settings.seed.seed
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "77")
    panel.settings.prompt.setFocus()
    assert actions.named("edit") == [{"seed": 77}]
