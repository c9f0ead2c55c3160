import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.errors import MissingFrames, UnknownChannel, UnreadableImage
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, Window
from genai_fill_server.imaging.exr_read import is_readable, read_channel, read_header, read_rgb
from genai_fill_server.imaging.plate_store import DiskPlateStore
from tests.fakes.plates import grainy, write_exr, write_parts

SIZE = (60, 90)
WHOLE = Window(0, 0, 90, 60)


def numbered(count, height=20, width=30):
    """Every channel has its own constant: 1, 2, 3, ..."""
    return np.broadcast_to(np.arange(1, count + 1, dtype=np.float32), (height, width, count))


SMALL = Window(0, 0, 1, 1)


def picked(path, layer="rgb", view="main"):
    return read_rgb(str(path), 1, SMALL, layer, view)[0, 0].tolist()


def test_a_window_is_cut_from_the_rows_it_needs(tmp_path):
    image = grainy(*SIZE)
    path = write_exr(tmp_path / "a.exr", image, "RGB", "float")
    window = Window(13, 7, 51, 44)
    np.testing.assert_array_equal(read_rgb(str(path), 1, window, "rgb", "main"), image[7:44, 13:51])


def test_outside_the_data_window_is_black(tmp_path):
    image = grainy(20, 30)
    path = write_exr(
        tmp_path / "a.exr", image, "RGB", "float", data=(-10, 40), display=(0, 0, 90, 60)
    )
    read = read_rgb(str(path), 1, Window(-15, 35, 95, 65), "rgb", "main")
    expected = np.zeros((30, 110, 3), np.float32)
    expected[5:25, 5:35] = image
    np.testing.assert_array_equal(read, expected)
    assert not read_rgb(str(path), 1, Window(50, 0, 60, 10), "rgb", "main").any()


def test_the_display_windows_corner_is_the_origin(tmp_path):
    image = grainy(20, 30)
    path = write_exr(
        tmp_path / "a.exr", image, "RGB", "float", data=(100, 200), display=(90, 190, 80, 70)
    )
    header = read_header(str(path), 1)
    assert header.display == Window(0, 0, 80, 70)
    assert header.data_window == Window(10, 10, 40, 30)
    assert header.origin == (90, 190)
    read = read_rgb(str(path), 1, Window(10, 10, 40, 30), "rgb", "main")
    np.testing.assert_array_equal(read, image)


def test_tiled_files_read_the_same(tmp_path):
    image = grainy(100, 130)
    spec = oiio.ImageSpec(130, 100, 3, "float")
    spec.tile_width = spec.tile_height = 32
    spec.x, spec.y = -7, 5
    spec.full_width, spec.full_height = 130, 110
    output = oiio.ImageOutput.create("exr")
    path = str(tmp_path / "t.exr")
    assert output.open(path, spec)
    assert output.write_image(image)
    assert output.close()
    for window in (Window(0, 10, 60, 70), Window(-7, 5, 123, 105), Window(120, 100, 123, 105)):
        expected = image[window.y0 - 5 : window.y1 - 5, window.x0 + 7 : window.x1 + 7]
        np.testing.assert_array_equal(read_rgb(path, 1, window, "rgb", "main"), expected)


@pytest.mark.parametrize(
    ("names", "layer", "expected"),
    [
        (("R", "G", "B", "A"), "rgb", [1, 2, 3]),
        (("R", "G", "B"), "rgba", [1, 2, 3]),
        (("red", "green", "blue"), "rgb", [1, 2, 3]),
        (("beauty.R", "beauty.G", "beauty.B"), "rgb", [1, 2, 3]),
        (("diff.red", "diff.green", "diff.blue", "spec.R", "spec.G", "spec.B"), "spec", [4, 5, 6]),
        (("Diff.red", "Diff.green", "Diff.blue"), "diff", [1, 2, 3]),
        (("mv.u", "mv.v", "mv.w"), "mv", [1, 2, 3]),
        (("Y",), "rgb", [1, 1, 1]),
        (("depth",), "rgba", [1, 1, 1]),
        (("a.b.R", "a.b.G", "a.b.B", "a.R", "a.G", "a.B"), "a.b", [1, 2, 3]),
    ],
)
def test_layers_are_found_however_they_are_spelt(tmp_path, names, layer, expected):
    # OpenEXR sorts channels by name; our constants follow the order on disk.
    pixels = numbered(len(names))
    path = write_exr(tmp_path / "a.exr", pixels, names)
    assert picked(path, layer) == expected


def test_channels_in_any_order_come_out_as_rgb(tmp_path):
    path = write_exr(tmp_path / "a.exr", numbered(5), ("B", "Z", "A", "R", "G"))
    assert picked(path) == [4, 5, 1]


def test_views_in_one_part(tmp_path):
    names = ("R", "G", "B", "right.R", "right.G", "right.B", "spec.left.R", "spec.left.G",
             "spec.left.B", "spec.right.R", "spec.right.G", "spec.right.B")  # fmt: skip
    path = write_exr(
        tmp_path / "a.exr", numbered(12), names, multiView=("string[2]", ("left", "right"))
    )
    assert picked(path, view="left") == [1, 2, 3]
    assert picked(path, view="right") == [4, 5, 6]
    assert picked(path, "spec", "left") == [7, 8, 9]
    assert picked(path, "spec", "right") == [10, 11, 12]


def test_views_and_layers_in_parts(tmp_path):
    def part(first):
        return (numbered(3) + first).astype(np.float32)

    path = tmp_path / "a.exr"
    write_parts(
        path,
        [
            ("rgba.left", "left", ("R", "G", "B"), part(0)),
            ("rgba.right", "right", ("R", "G", "B"), part(10)),
            ("spec.left", "left", ("spec.R", "spec.G", "spec.B"), part(20)),
            ("spec.right", "right", ("R", "G", "B"), part(30)),
        ],
    )
    assert picked(path, view="left") == [1, 2, 3]
    assert picked(path, view="right") == [11, 12, 13]
    assert picked(path, "spec", "left") == [21, 22, 23]
    assert picked(path, "spec", "right") == [31, 32, 33]


def test_a_mono_plate_serves_any_view(tmp_path):
    path = write_exr(tmp_path / "a.exr", numbered(3), "RGB")
    assert picked(path, view="right") == [1, 2, 3]


@pytest.mark.parametrize(
    ("names", "wanted", "value"),
    [
        (("R", "G", "B", "A"), "rgba.alpha", 4),
        (("R", "G", "B", "A"), "alpha", 4),
        (("R", "G", "B", "A"), "rgba.red", 1),
        (("A", "roto.a"), "roto.a", 2),
        (("A", "roto.alpha"), "roto.a", 2),
        (("Z", "depth.Z"), "depth.Z", 2),
        (("Y",), "rgba.alpha", 1),
        (("mask.Matte",), "mask.matte", 1),
    ],
)
def test_matte_channels_are_found_by_nukes_names(tmp_path, names, wanted, value):
    path = write_exr(tmp_path / "a.exr", numbered(len(names)), names)
    assert read_channel(str(path), 1, SMALL, wanted, "main")[0, 0] == value


def test_an_unknown_layer_or_channel_names_what_there_is(tmp_path):
    path = write_exr(tmp_path / "a.exr", numbered(3), "RGB")
    with pytest.raises(UnknownChannel, match=r"'spec'.*R, G, B"):
        picked(path, "spec")
    with pytest.raises(UnknownChannel, match=r"rgba\.alpha.*R, G, B"):
        read_channel(str(path), 1, SMALL, "rgba.alpha", "main")


def test_hostile_channel_names_are_only_compared(tmp_path):
    names = ("R", "G", "B", "\x1b[2J;rm -rf.R", "....", "%s%n.{0}", "a" * 200)
    path = write_exr(tmp_path / "a.exr", numbered(len(names)), names)
    with pytest.raises(UnknownChannel) as caught:
        picked(path, "nothing")
    assert "\x1b" not in str(caught.value)
    assert picked(path) == [1, 2, 3]


def test_a_missing_file_is_told_with_its_frame(tmp_path):
    with pytest.raises(MissingFrames, match=r"1007.*gone\.exr"):
        read_rgb(str(tmp_path / "gone.exr"), 1007, SMALL, "rgb", "main")


def test_a_name_that_no_disk_takes_is_a_missing_frame(tmp_path):
    plate = DiskPlateStore().open_plate(
        PlateRef(f"{tmp_path}/{'a' * 400}.%04d.exr", FrameRange(1001, 1004))
    )
    assert plate.missing([1001]) == (1001,)
    with pytest.raises(MissingFrames):
        plate.header(1001)


@pytest.mark.parametrize("keep", [0, 3, 40, 200, 0.5, 0.95])
def test_truncated_files_are_unreadable_wherever_they_end(tmp_path, keep):
    path = write_exr(tmp_path / "a.exr", grainy(*SIZE), "RGB")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(UnreadableImage, match=r"Frame 12 .*a\.exr"):
        read_rgb(str(path), 12, WHOLE, "rgb", "main")


def test_noise_in_a_file_never_does_more_than_fail(tmp_path):
    path = write_exr(tmp_path / "a.exr", grainy(*SIZE), "RGB", nuke__node="Read1")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(8, min(len(whole), 700), 6):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            read_header(str(path), 1)
            image = read_rgb(str(path), 1, WHOLE, "rgb", "main")
        except (UnreadableImage, UnknownChannel):
            continue
        assert image.shape == (60, 90, 3)


def test_a_file_that_is_no_image_or_a_folder_is_told(tmp_path):
    path = tmp_path / "a.exr"
    path.write_text("not an image")
    assert not is_readable(str(path), 1)
    folder = tmp_path / "b.exr"
    folder.mkdir()
    with pytest.raises(MissingFrames):
        read_header(str(folder), 1)


def test_a_png_is_not_multiplied_by_its_alpha(tmp_path):
    path = str(tmp_path / "a.png")
    spec = oiio.ImageSpec(4, 3, 4, "uint16")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    output = oiio.ImageOutput.create(path)
    assert output.open(path, spec)
    assert output.write_image(np.full((3, 4, 4), (0.5, 0.75, 1.0, 0.25), np.float32))
    output.close()
    assert picked(path) == pytest.approx([0.5, 0.75, 1.0], abs=1e-4)


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"),
    [("png", "uint16", 1e-5), ("tif", "float", 0), ("tif", "half", 3e-4), ("dpx", "uint10", 6e-4)],
)
def test_other_formats_come_as_float(tmp_path, suffix, kind, tolerance):
    image = np.clip(grainy(*SIZE), 0, 1)
    spec = oiio.ImageSpec(90, 60, 3, "uint16" if kind == "uint10" else kind)
    if kind == "uint10":
        spec.attribute("oiio:BitsPerSample", 10)
    path = str(tmp_path / f"a.{suffix}")
    output = oiio.ImageOutput.create(path)
    assert output.open(path, spec)
    assert output.write_image(image)
    assert output.close()
    read = read_rgb(path, 1, WHOLE, "rgb", "main")
    np.testing.assert_allclose(read, image, atol=tolerance)
    assert read_header(path, 1).display == WHOLE


def test_the_header_carries_what_may_travel_and_nothing_else(tmp_path):
    path = write_exr(
        tmp_path / "a.exr",
        grainy(*SIZE),
        "RGB",
        smpte__TimeCode=("timecode", (1, 2)),
        worldToCamera=("matrix", tuple(float(i) for i in range(16))),
        studio__asset="ünïcode",
        chromaticities=("float[8]", (0.7, 0.3, 0.1, 0.8, 0.1, 0.1, 0.3, 0.3)),
        genaifill__job="an earlier fill's",
        huge="x" * 200_000,
    )
    header = read_header(str(path), 1)
    entries = {entry.name: entry.value for entry in header.metadata}
    assert entries["smpte:TimeCode"] == (1, 2)
    assert entries["worldToCamera"][5] == 5.0
    assert entries["studio:asset"] == "ünïcode"
    assert not entries.keys() & {"compression", "chromaticities", "genaifill:job", "huge"}
    assert not [name for name in entries if name.startswith(("oiio:", "openexr:"))]
    assert header.pixel_type == "half"
    assert header.channels == ("R", "G", "B")


def test_text_that_is_not_text_is_left_behind(tmp_path):
    path = write_exr(tmp_path / "a.exr", grainy(*SIZE), "RGB", studio__note="AAAABBBB")
    whole = path.read_bytes()
    assert whole.count(b"AAAABBBB") == 1
    path.write_bytes(whole.replace(b"AAAABBBB", b"\xff\xfe\xc3\x28\xa0\xa1\x80\xbf"))
    header = read_header(str(path), 1)
    assert header.display == WHOLE


def test_one_still_serves_every_frame_and_ranges_are_kept(tmp_path):
    path = write_exr(tmp_path / "still.exr", numbered(4), "RGBA")
    store = DiskPlateStore()
    matte = store.open_matte(MatteRef(str(path), FrameRange(1, 1)))
    assert matte.missing([1, 50]) == ()
    assert matte.read(50, SMALL)[0, 0] == 1  # 4 is clipped to a matte's range
    sequence = store.open_plate(PlateRef(f"{tmp_path}/p.%04d.exr", FrameRange(1, 3)))
    write_exr(tmp_path / "p.0002.exr", numbered(3), "RGB")
    write_exr(tmp_path / "p.0009.exr", numbered(3), "RGB")
    assert sequence.missing([1, 2, 3, 9]) == (1, 3, 9)
    assert [sequence.has_frame(f) for f in (1, 2, 9)] == [False, True, False]
    with pytest.raises(MissingFrames, match="outside"):
        sequence.read(9, SMALL)


def test_a_matte_is_made_of_numbers_from_zero_to_one(tmp_path):
    values = np.array([[[np.nan], [np.inf], [-np.inf], [-0.5], [1.5], [0.25]]], np.float32)
    path = write_exr(tmp_path / "m.exr", values, "A", "float")
    for invert in (False, True):
        reader = DiskPlateStore().open_matte(MatteRef(str(path), FrameRange(1, 1), invert=invert))
        matte = reader.read(1, Window(0, 0, 7, 1))[0].tolist()
        expected = [0, 1, 0, 0, 1, 0.25, 0]
        assert matte == ([1 - value for value in expected] if invert else expected)
