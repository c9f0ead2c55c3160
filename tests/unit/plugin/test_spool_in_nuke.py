import numpy as np
import pytest

from tests.unit.plugin.nuke_scene import (
    HEIGHT,
    WIDTH,
    comp,
    matte_pixels,
    plate_pixels,
    read_exr,
    read_node,
    write_exr,
)


def host_of(node):
    from genai_fill.nuke_host.host import NukeHost

    return NukeHost(), node["fill_uuid"].value()


def spool(node, folder, frame=1002):
    host, uuid = host_of(node)
    folder.mkdir(exist_ok=True)
    host.spool_plate(uuid, f"{folder}/plate.%04d.exr", frame)
    host.spool_matte(uuid, f"{folder}/matte.%04d.exr", frame)
    return read_exr(folder / f"plate.{frame}.exr"), read_exr(folder / f"matte.{frame}.exr")


def test_float_plates_are_spooled_bit_for_bit(tmp_path):
    with comp(tmp_path) as (_, node):
        (pixels, spec), (matte, matte_spec) = spool(node, tmp_path / "spool")
        assert np.array_equal(pixels, plate_pixels(1002))
        assert spec.format == "float"
        assert spec.channelnames == ("R", "G", "B")
        assert spec.getattribute("compression") == "zip"
        assert np.array_equal(matte[..., 0], matte_pixels(1002)[..., 3])
        assert matte_spec.channelnames == ("A",)


def test_half_plates_stay_half(tmp_path):
    with comp(tmp_path, half=True) as (_, node):
        (pixels, spec), (_, matte_spec) = spool(node, tmp_path / "spool")
        assert spec.format == "half"
        assert np.array_equal(pixels, plate_pixels(1002).astype(np.float16).astype(np.float32))
        assert matte_spec.format == "float"


def test_a_plate_of_unknown_depth_is_spooled_as_float(tmp_path):
    with comp(tmp_path, half=True) as (session, node):
        grade = session.nuke.nodes.Expression(inputs=[node.input(0)], expr0="r * 1.0000001")
        from genai_fill.nuke_host.plates import FLOAT, HALF, bit_depth

        assert bit_depth(node.input(0)) == HALF
        assert bit_depth(None) == FLOAT
        assert bit_depth(session.nuke.nodes.Constant()) == FLOAT
        # Its pixels are floats, though the metadata of the half file comes through it.
        assert grade.metadata("input/bitsperchannel") == "16-bit half float"
        assert bit_depth(grade) == FLOAT
        assert bit_depth(session.nuke.nodes.Dot(inputs=[node.input(0)])) == HALF


def test_the_chosen_channel_of_the_matte_is_what_is_spooled(tmp_path):
    with comp(tmp_path) as (_, node):
        node["matte_channel"].setValue("rgba.red")
        _, (matte, _) = spool(node, tmp_path / "spool")
        assert np.array_equal(matte[..., 0], matte_pixels(1002)[..., 0])


def test_proxy_mode_is_left_for_the_render_and_put_back(tmp_path):
    with comp(tmp_path) as (session, node):
        session.nuke.root()["proxy"].setValue(True)
        (pixels, _), _ = spool(node, tmp_path / "spool")
        assert pixels.shape[:2] == (HEIGHT, WIDTH)
        assert session.nuke.root()["proxy"].value() is True


def test_the_whole_bounding_box_is_spooled(tmp_path):
    with comp(tmp_path) as (session, node):
        crop = session.nuke.nodes.Crop(inputs=[node.input(0)], reformat=False, crop=True)
        crop["box"].setValue((4, 3, 20, 15))
        node.setInput(0, crop)
        (pixels, spec), _ = spool(node, tmp_path / "spool")
        assert (spec.width, spec.full_width, spec.full_height) == (16, WIDTH, HEIGHT)
        assert (spec.x, spec.y) == (4, HEIGHT - 15)
        assert np.array_equal(pixels, plate_pixels(1002)[HEIGHT - 15 : HEIGHT - 3, 4:20])


def test_spooling_leaves_the_script_as_it_was(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill.nuke_host.host import NukeHost

        uuid = node["fill_uuid"].value()
        session.save(tmp_path / "comp.nk")
        undo = len(session.undo_blocks)
        names = [n.name() for n in session.nuke.allNodes(recurseGroups=True)]
        (tmp_path / "spool").mkdir()
        NukeHost().spool_plate(uuid, f"{tmp_path}/spool/plate.%04d.exr", 1002)
        assert not session.nuke.root().modified()
        assert len(session.undo_blocks) == undo
        assert [n.name() for n in session.nuke.allNodes(recurseGroups=True)] == names
        assert str(tmp_path / "spool") not in session.save(tmp_path / "comp.nk")


@pytest.mark.parametrize("error", ["RuntimeError", "CancelledError"])
def test_cancel_on_nukes_own_progress_bar_stops_the_fill(tmp_path, error):
    with comp(tmp_path, through="NoOp") as (session, node):
        kind = RuntimeError if error == "RuntimeError" else session.nuke.CancelledError
        session.cancel_next_execute(error=kind)
        from genai_fill.app.watch import FillStopped

        host, uuid = host_of(node)
        with pytest.raises(FillStopped):
            host.spool_plate(uuid, f"{tmp_path}/plate.%04d.exr", 1002)


def test_a_frame_that_cannot_be_rendered_is_said_by_number(tmp_path):
    with comp(tmp_path) as (_, node):
        from genai_fill_contract.errors import NukeFailed

        node.input(0)["last"].setValue(1010)
        node.input(0)["origlast"].setValue(1010)
        host, uuid = host_of(node)
        with pytest.raises(NukeFailed, match="1009"):
            host.spool_plate(uuid, f"{tmp_path}/plate.%04d.exr", 1009)
        assert node.node("SpoolPlate")["file"].value() == ""


def test_a_node_without_its_inside_says_so(tmp_path):
    with comp(tmp_path) as (session, node):
        from genai_fill_contract.errors import NukeFailed

        session.nuke.delete(node.node("SpoolPlate"))
        host, uuid = host_of(node)
        with pytest.raises(NukeFailed, match="SpoolPlate"):
            host.spool_plate(uuid, f"{tmp_path}/plate.%04d.exr", 1002)


# --- files that are passed on ----------------------------------------------------------------


def direct(node):
    host, uuid = host_of(node)
    inputs = host.inputs(uuid)
    return inputs.plate, inputs.matte


def test_raw_reads_are_passed_on_with_their_whole_range(tmp_path):
    with comp(tmp_path) as (session, node):
        node.setInput(0, session.nuke.nodes.Dot(inputs=[node.input(0)]))
        plate, matte = direct(node)
        assert plate.path_pattern == f"{tmp_path}/plates/plate.%04d.exr"
        assert (plate.frame_range.first, plate.frame_range.last) == (1001, 1004)
        assert matte.channel == "rgba.alpha"


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("raw", False),
        ("premultiplied", True),
        ("disable", True),
        ("frame", "frame+1"),
        ("file", "relative.%04d.exr"),
        ("file", "/s/p.%04d.dpx"),
        ("file", "/s/p.exr"),
        ("file", "/s/v###/p.%04d.exr"),
        ("file", "/s/p_%V.%04d.exr"),
        ("file", r"/s/\[getenv SHOT\]/p.%04d.exr"),
    ],
)
def test_a_read_that_does_more_than_read_is_spooled(tmp_path, knob, value):
    with comp(tmp_path) as (_, node):
        node.input(0)[knob].setValue(value)
        assert direct(node)[0] is None


def test_a_read_in_the_working_space_is_passed_on(tmp_path):
    with comp(tmp_path) as (session, node):
        read = node.input(0)
        read["raw"].setValue(False)
        read["colorspace"].setValue("linear")
        session.nuke.root()["workingSpaceLUT"].setValue("linear")
        assert direct(node)[0] is not None
        read["colorspace"].setValue("sRGB")
        assert direct(node)[0] is None


@pytest.mark.parametrize(
    ("working", "read_in", "passed_on"),
    [
        ("scene_linear", "scene_linear", True),
        ("", "scene_linear", True),
        ("", "", False),
        ("ACES2065-1", "scene_linear", False),
        ("ACES2065-1", "ACES2065-1", True),
    ],
)
def test_the_role_scene_linear_is_the_working_space_only_where_nuke_names_no_other(
    tmp_path, working, read_in, passed_on
):
    with comp(tmp_path) as (session, node):
        spaces = ["", "scene_linear", "ACES2065-1"]
        for knob, space in (
            (session.nuke.root()["workingSpaceLUT"], working),
            (node.input(0)["colorspace"], read_in),
        ):
            knob.setValues(spaces)
            knob.setValue(space)
        node.input(0)["raw"].setValue(False)
        assert (direct(node)[0] is not None) is passed_on


def test_a_matte_channel_that_the_file_has_not_is_spooled(tmp_path):
    with comp(tmp_path) as (_, node):
        node["matte_channel"].setValue("depth.Z")
        assert direct(node)[1] is None


def test_anything_but_a_read_is_spooled(tmp_path):
    with comp(tmp_path, through="NoOp") as (_, node):
        assert direct(node)[0] is None


def test_a_still_plate_fills_at_the_frame_the_artist_looks_at_and_holds(tmp_path):
    with comp(tmp_path) as (session, node):
        write_exr(tmp_path / "plates/still.0001.exr", plate_pixels(1), ["R", "G", "B"])
        node.setInput(0, read_node(session.nuke, tmp_path / "plates/still.%04d.exr", 1, 1))
        from tests.unit.plugin.nuke_scene import Wired, filled

        app = Wired()
        app.session.follow_selection()
        app.session.edit(range_mode="frame")
        app.session.generate()
        assert session.pump(20, until=lambda: not app.session.state.activity.can_cancel)
        assert app.session.state.error is None
        assert filled(session.evaluate(node, 1002).rgba_top_down())
        assert filled(session.evaluate(node, 1040).rgba_top_down())
