"""Pictures through the graph: files, boxes, exact mixing, rendering."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.standin.exr_files import noise, raw_read, write_exr


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        session.nuke.root()["format"].setValue("32 24 1")
        yield session


def test_a_read_turns_a_data_window_into_a_box_that_is_y_up(session, tmp_path):
    pixels = noise(4, 6)
    write_exr(tmp_path / "a.0001.exr", pixels, full=(32, 24), origin=(3, 5))
    read = raw_read(session.nuke, tmp_path / "a.%04d.exr")
    image = session.evaluate(read, 1)
    assert image.bbox == (3, 15, 9, 19)
    assert (image.format.width(), image.format.height()) == (32, 24)
    assert image.at(3, 18)["rgba.red"] == pixels[0, 0, 0]
    assert np.array_equal(image.rgba_top_down((3, 15, 9, 19)), pixels)
    assert image.at(0, 0)["rgba.red"] == 0
    box = read.bbox()
    assert (box.x(), box.y(), box.w(), box.h()) == (3, 15, 6, 4)


def test_pixel_aspect_comes_from_the_file(session, tmp_path):
    write_exr(tmp_path / "a.exr", noise(), aspect=2.0)
    read = raw_read(session.nuke, tmp_path / "a.exr")
    assert read.format().pixelAspect() == read.pixelAspect() == 2.0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("hold", [1, 3]), ("loop", [3, 1]), ("bounce", [2, 2]), ("black", [0, 0])],
)
def test_frames_outside_the_range_follow_before_and_after(session, tmp_path, rule, expected):
    for frame in (1, 2, 3):
        write_exr(tmp_path / f"a.{frame:04d}.exr", np.full((2, 2, 4), frame, np.float32))
    read = raw_read(session.nuke, tmp_path / "a.%04d.exr", "1-3")
    read["before"].setValue(rule)
    read["after"].setValue(rule)
    assert [session.evaluate(read, frame).at(0, 0)["rgba.red"] for frame in (0, 4)] == expected


def test_a_missing_frame_is_an_error_black_or_the_nearest_as_on_error_says(session, tmp_path):
    write_exr(tmp_path / "a.0001.exr", np.full((2, 2, 4), 5, np.float32))
    read = raw_read(session.nuke, tmp_path / "a.%04d.exr", "1-3")
    downstream = session.nuke.createNode("NoOp", inpanel=False)
    session.nuke.frame(2)
    assert read.hasError()
    assert not downstream.hasError()
    assert downstream.treeHasError()
    with pytest.raises(RuntimeError, match="No such file"):
        session.evaluate(read, 2)
    read["on_error"].setValue("black")
    assert not read.hasError()
    assert session.evaluate(read, 2).at(0, 0)["rgba.red"] == 0
    read["on_error"].setValue("nearest frame")
    assert session.evaluate(read, 3).at(0, 0)["rgba.red"] == 5


def test_frame_mode_moves_the_sequence(session, tmp_path):
    for frame in (1, 2, 3):
        write_exr(tmp_path / f"a.{frame:04d}.exr", np.full((2, 2, 4), frame, np.float32))
    read = raw_read(session.nuke, tmp_path / "a.%04d.exr", "1-3")
    read["frame_mode"].setValue("start at")
    read["frame"].setValue("1001")
    assert session.evaluate(read, 1002).at(0, 0)["rgba.red"] == 2
    read["frame_mode"].setValue("offset")
    read["frame"].setValue("-1000")
    assert session.evaluate(read, 1003).at(0, 0)["rgba.red"] == 3


def test_auto_alpha_fills_a_missing_alpha_only(session, tmp_path):
    write_exr(tmp_path / "a.exr", noise()[:, :, :3], names="RGB")
    read = raw_read(session.nuke, tmp_path / "a.exr")
    assert "rgba.alpha" not in read.channels()
    read["auto_alpha"].setValue(True)
    assert session.evaluate(read, 1).at(1, 1)["rgba.alpha"] == 1


def test_colour_conversion_is_refused_instead_of_guessed(session, tmp_path):
    write_exr(tmp_path / "a.exr", noise())
    read = raw_read(session.nuke, tmp_path / "a.exr")
    read["raw"].setValue(False)
    read["colorspace"].setValue("sRGB")
    with pytest.raises(NotImplementedError, match="converts no colours"):
        session.evaluate(read, 1)


def keymix(nuke, below, above, mask):
    return nuke.nodes.Keymix(inputs=[below, above, mask])


def test_keymix_gives_b_and_a_bit_for_bit_where_the_mask_is_0_or_1(session, tmp_path):
    nuke = session.nuke
    below, above = noise(seed=1), noise(seed=2)
    above[0, 0] = np.nan
    below[0, 1] = np.inf
    mask = np.zeros((24, 32, 4), np.float32)
    mask[10:, :, 3] = 1
    mask[9, :, 3] = 0.25
    for name, pixels in (("b", below), ("a", above), ("m", mask)):
        write_exr(tmp_path / f"{name}.exr", pixels)
    reads = [raw_read(nuke, tmp_path / f"{name}.exr") for name in "bam"]
    out = session.evaluate(keymix(nuke, *reads), 1).rgba_top_down()
    assert np.array_equal(out[:9].view(np.uint32), below[:9].view(np.uint32))
    assert np.array_equal(out[10:].view(np.uint32), above[10:].view(np.uint32))
    expected = above[9] * np.float32(0.25) + below[9] * np.float32(0.75)
    assert np.allclose(out[9], expected)


def test_keymix_without_a_mask_is_b(session, tmp_path):
    nuke = session.nuke
    for name in "ba":
        write_exr(tmp_path / f"{name}.exr", noise(seed=ord(name)))
    reads = [raw_read(nuke, tmp_path / f"{name}.exr") for name in "ba"]
    mixed = keymix(nuke, reads[0], reads[1], None)
    assert np.array_equal(session.evaluate(mixed, 1).rgba(), session.evaluate(reads[0], 1).rgba())


def test_keymix_box_is_the_union_and_zero_is_outside(session, tmp_path):
    nuke = session.nuke
    write_exr(tmp_path / "b.exr", noise())
    write_exr(tmp_path / "a.exr", noise(4, 4, 2), full=(32, 24), origin=(2, 2))
    below, above = (raw_read(nuke, tmp_path / f"{name}.exr") for name in "ba")
    mask = nuke.nodes.Expression(inputs=[above], expr3="a > -1e9")
    image = session.evaluate(keymix(nuke, below, above, mask), 1)
    assert image.bbox == (0, 0, 32, 24)
    assert image.at(2, 21)["rgba.red"] == session.evaluate(above, 1).at(2, 21)["rgba.red"]
    assert image.at(10, 2)["rgba.red"] == session.evaluate(below, 1).at(10, 2)["rgba.red"]


def test_merge_over_and_copy_alpha(session):
    nuke = session.nuke
    red = nuke.nodes.Constant(channels="rgba", color=[0.5, 0, 0, 0.5])
    blue = nuke.nodes.Constant(channels="rgba", color=[0, 0, 1, 1])
    over = session.evaluate(nuke.nodes.Merge2(inputs=[blue, red]), 1).at(0, 0)
    assert over == {
        "rgba.red": 0.5, "rgba.green": 0, "rgba.blue": 0.5, "rgba.alpha": 1.0,
    }  # fmt: skip
    copied = session.evaluate(nuke.nodes.Copy(inputs=[blue, red]), 1).at(0, 0)
    assert (copied["rgba.alpha"], copied["rgba.blue"]) == (0.5, 1)


def test_expression_makes_a_binary_mask_and_knows_x_y_and_ternaries(session, tmp_path):
    nuke = session.nuke
    pixels = np.zeros((2, 3, 4), np.float32)
    pixels[0, :, 3] = [0, 0.2, -1]
    write_exr(tmp_path / "a.exr", pixels)
    read = raw_read(nuke, tmp_path / "a.exr")
    node = nuke.nodes.Expression(inputs=[read], expr3="a > 0", expr0="x + 10*y", expr1="x==1?2:r")
    image = session.evaluate(node, 1)
    assert image.channel("alpha")[1].tolist() == [0, 1, 0]
    assert image.channel("red").tolist() == [[0, 1, 2], [10, 11, 12]]
    assert image.channel("green")[0].tolist() == [0, 2, 0]


def test_switch_dissolve_crop_premult_and_grade(session):
    nuke = session.nuke
    one = nuke.nodes.Constant(channels="rgba", color=[1, 1, 1, 0.5])
    two = nuke.nodes.Constant(channels="rgba", color=[3, 3, 3, 1])
    switch = nuke.nodes.Switch(inputs=[one, two], which=1)
    assert session.evaluate(switch, 1).at(0, 0)["rgba.red"] == 3
    dissolve = nuke.nodes.Dissolve(inputs=[one, two], which=0.5)
    assert session.evaluate(dissolve, 1).at(0, 0)["rgba.red"] == 2
    crop = nuke.nodes.Crop(inputs=[two], box=[4, 5, 10, 12])
    assert session.evaluate(crop, 1).bbox == (4, 5, 10, 12)
    crop["reformat"].setValue(True)
    assert (crop.width(), crop.height()) == (6, 7)
    assert session.evaluate(crop, 1).bbox == (0, 0, 6, 7)
    premult = nuke.nodes.Premult(inputs=[one])
    assert session.evaluate(premult, 1).at(0, 0)["rgba.red"] == 0.5
    back = nuke.nodes.Unpremult(inputs=[premult])
    assert session.evaluate(back, 1).at(0, 0)["rgba.red"] == 1
    grade = nuke.nodes.Grade(inputs=[two], multiply=2.0)
    assert session.evaluate(grade, 1).at(0, 0) == {
        "rgba.red": 6, "rgba.green": 6, "rgba.blue": 6, "rgba.alpha": 1,
    }  # fmt: skip


def test_a_disabled_node_hands_on_its_first_input(session):
    nuke = session.nuke
    plate = nuke.nodes.Constant(channels="rgba", color=[1, 1, 1, 1])
    grade = nuke.nodes.Grade(inputs=[plate], multiply=5.0, disable=True)
    assert session.evaluate(grade, 1).at(0, 0)["rgba.red"] == 1


def test_time_offset_and_expressions_on_knobs_follow_the_frame(session):
    nuke = session.nuke
    plate = nuke.nodes.Constant(channels="rgba")
    plate["color"].setExpression("frame * 2", 0)
    offset = nuke.nodes.TimeOffset(inputs=[plate], time_offset=10)
    hold = nuke.nodes.FrameHold(inputs=[plate], firstFrame=7)
    assert session.evaluate(plate, 3).at(0, 0)["rgba.red"] == 6
    assert session.evaluate(offset, 13).at(0, 0)["rgba.red"] == 6
    assert session.evaluate(hold, 99).at(0, 0)["rgba.red"] == 14
    assert nuke.frame() == 1


def test_a_group_computes_what_its_output_gets(session):
    nuke = session.nuke
    plate = nuke.nodes.Constant(channels="rgba", color=[2, 2, 2, 1])
    group = nuke.nodes.Group(inputs=[plate])
    with group:
        entry = nuke.nodes.Input()
        half = nuke.nodes.Multiply(inputs=[entry], value=0.5)
        nuke.nodes.Output(inputs=[half])
    group.setInput(0, plate)
    assert session.evaluate(group, 1).at(0, 0)["rgba.red"] == 1
    group["disable"].setValue(True)
    assert session.evaluate(group, 1).at(0, 0)["rgba.red"] == 2


def test_an_unknown_operation_says_so(session):
    blur = session.nuke.nodes.Blur(inputs=[session.nuke.nodes.Constant()])
    with pytest.raises(NotImplementedError, match="Blur"):
        session.evaluate(blur, 1)


def test_the_format_and_range_of_a_switch_are_those_of_its_choice(session, tmp_path):
    nuke = session.nuke
    write_exr(tmp_path / "a.0005.exr", noise(6, 8))
    small = raw_read(nuke, tmp_path / "a.%04d.exr", "5-7")
    switch = nuke.nodes.Switch(inputs=[nuke.nodes.Constant(), small], which=1)
    assert (switch.width(), switch.firstFrame(), switch.lastFrame()) == (8, 5, 7)
    switch["which"].setValue(0)
    assert (switch.width(), switch.firstFrame()) == (32, 1)
