"""Files of several layers and parts: one layer as a whole, as Nuke shows it, from its own part."""

from __future__ import annotations

import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.errors import UnknownChannel
from genai_fill_contract.fill import MatteShaping
from genai_fill_contract.plate import (
    FrameRange,
    InputRef,
    InputRole,
    MatteRef,
    PlateRef,
    Window,
)
from genai_fill_server.imaging import exr_read
from genai_fill_server.imaging.exr_read import read_channel, read_layer, read_rgb
from genai_fill_server.imaging.plate_store import DiskPlateStore
from genai_fill_server.service.shot_mattes import ShotMattes
from tests.fakes.plates import Part, grainy, write_exr, write_parts
from tests.fakes.shots import Shot

FRAME = FrameRange(1, 1)
PIXEL = Window(0, 0, 1, 1)
WHOLE = Window(0, 0, 64, 48)
DISPLAY = (0, 0, 64, 48)
BEAUTY = ("beauty.R", "beauty.G", "beauty.B", "beauty.A")


def numbered(count, first=1, height=48, width=64):
    """Every channel has its own constant: ``first``, ``first`` + 1, ..."""
    values = np.arange(first, first + count, dtype=np.float32)
    return np.broadcast_to(values, (height, width, count))


def rgb_in(path, layer, view="main"):
    return read_rgb(str(path), 1, PIXEL, layer, view)[0, 0].tolist()


def value_in(path, channel, view="main"):
    return read_channel(str(path), 1, PIXEL, channel, view)[0, 0]


LAYERS = {
    "one part": lambda path: write_exr(path, numbered(8), ("R", "G", "B", "A", *BEAUTY)),
    "parts of plain names": lambda path: write_parts(
        path, [("rgba", "", "RGBA", numbered(4)), ("beauty", "", "RGBA", numbered(4, 5))]
    ),
    "parts of full names": lambda path: write_parts(
        path, [("rgba", "", "RGBA", numbered(4)), ("beauty", "", BEAUTY, numbered(4, 5))]
    ),
    "the other part first": lambda path: write_parts(
        path, [("beauty", "", BEAUTY, numbered(4, 5)), ("rgba", "", "RGBA", numbered(4))]
    ),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def with_beauty(tmp_path, request):
    """A file of RGBA 1 to 4 and a layer beauty of 5 to 8."""
    return request.param(tmp_path / "a.exr")


@pytest.mark.parametrize("layer", ["rgb", "rgba", "main", ""])
def test_a_layer_beauty_is_not_what_a_file_shows(with_beauty, layer):
    assert rgb_in(with_beauty, layer) == [1, 2, 3]


def test_a_layer_beauty_is_read_when_it_is_asked_for(with_beauty):
    assert rgb_in(with_beauty, "beauty") == [5, 6, 7]
    assert value_in(with_beauty, "beauty.A") == 8
    assert value_in(with_beauty, "beauty.alpha") == 8


@pytest.mark.parametrize("name", ["rgba.alpha", "alpha", "rgb.alpha"])
def test_a_matte_in_alpha_is_the_alpha_that_a_file_shows(with_beauty, name):
    assert value_in(with_beauty, name) == 4
    assert read_layer(str(with_beauty), 1, PIXEL, "rgb", "main")[0, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("names", "layer", "expected"),
    [
        (("main.R", "main.G", "main.B", *BEAUTY), "rgb", [1, 2, 3]),
        (("rgb.R", "rgb.G", "rgb.B", "rgba.R", "rgba.G", "rgba.B"), "rgb", [4, 5, 6]),
        (("R", "G", "B"), "beauty", [1, 2, 3]),
        (("A", "Z", *BEAUTY), "rgb", [3, 4, 5]),
    ],
)
def test_without_plain_channels_the_main_layer_has_other_names(tmp_path, names, layer, expected):
    path = write_exr(tmp_path / "a.exr", numbered(len(names)), names)
    assert rgb_in(path, layer) == expected


def test_the_alpha_of_another_layer_is_not_the_pictures(tmp_path):
    path = write_exr(tmp_path / "a.exr", numbered(7), ("R", "G", "B", *BEAUTY))
    with pytest.raises(UnknownChannel, match=r"rgba\.alpha"):
        value_in(path, "rgba.alpha")
    rgba = read_layer(str(path), 1, PIXEL, "rgb", "main")[0, 0]
    assert rgba.tolist() == [1, 2, 3, 1]  # 1: it has none


def test_a_matte_beside_the_picture_of_a_layer_is_read(tmp_path):
    path = write_exr(tmp_path / "a.exr", numbered(5), ("A", *BEAUTY))
    assert value_in(path, "rgba.alpha") == 1


def test_of_two_pictures_without_names_the_first_counts(tmp_path):
    path = str(tmp_path / "a.tif")
    output = oiio.ImageOutput.create(path)
    for value, mode in ((0.25, "Create"), (0.75, "AppendSubimage")):
        assert output.open(path, oiio.ImageSpec(4, 4, 3, "float"), mode)
        assert output.write_image(np.full((4, 4, 3), value, np.float32))
    assert output.close()
    assert rgb_in(path, "rgb") == [0.25, 0.25, 0.25]


def test_a_layer_that_is_spread_over_parts_is_one(tmp_path):
    parts = [
        Part(f"diff.{name}", "", [f"diff.{name}"], numbered(1, number))
        for number, name in enumerate("RGBA", 1)
    ]
    path = write_parts(tmp_path / "a.exr", parts)
    assert rgb_in(path, "diff") == [1, 2, 3]
    assert value_in(path, "diff.A") == 4


def test_a_view_has_its_own_main_layer(tmp_path):
    path = write_parts(
        tmp_path / "a.exr",
        [
            ("rgba.left", "left", "RGBA", numbered(4)),
            ("beauty.left", "left", "RGBA", numbered(4, 5)),
            ("rgba.right", "right", "RGBA", numbered(4, 11)),
            ("beauty.right", "right", "RGBA", numbered(4, 15)),
        ],
    )
    assert [rgb_in(path, "rgb", view)[0] for view in ("left", "right")] == [1, 11]
    assert [rgb_in(path, "beauty", view)[0] for view in ("left", "right")] == [5, 15]
    assert [value_in(path, "rgba.alpha", view) for view in ("left", "right")] == [4, 14]


def test_plain_channels_are_the_first_views_before_another_layer_of_that_view(tmp_path):
    names = ("R", "G", "B", "beauty.left.R", "beauty.left.G", "beauty.left.B", "right.R",
             "right.G", "right.B")  # fmt: skip
    views = ("string[2]", ("left", "right"))
    path = write_exr(tmp_path / "a.exr", numbered(9), names, multiView=views)
    assert rgb_in(path, "rgb", "left") == [1, 2, 3]
    assert rgb_in(path, "rgb", "right") == [7, 8, 9]


@pytest.fixture
def stereo(tmp_path):
    """Two views of one frame: the left one's data window is a corner, the right one's all."""
    write_parts(
        tmp_path / "p.0001.exr",
        [
            Part("rgba.left", "left", "RGBA", numbered(4, 1, 16, 16), "half", (0, 0), DISPLAY),
            Part("rgba.right", "right", "RGBA", numbered(4, 5), "half", (0, 0), DISPLAY),
        ],
    )
    return f"{tmp_path}/p.%04d.exr"


def test_a_plate_in_a_later_part_is_read_to_that_parts_edge(stereo):
    plate = DiskPlateStore().open_plate(PlateRef(stereo, FRAME, view="right"))
    assert plate.header(1).data_window == WHOLE
    assert (plate.read(1, WHOLE) == [5, 6, 7]).all()
    left = DiskPlateStore().open_plate(PlateRef(stereo, FRAME, view="left"))
    assert left.header(1).data_window == Window(0, 0, 16, 16)
    assert not left.read(1, WHOLE)[16:].any()


def test_a_matte_in_a_later_part_is_not_cut_by_the_first(tmp_path):
    drawn = np.zeros((48, 64, 1), np.float32)
    drawn[10:40, 20:60] = 1
    path = write_parts(
        tmp_path / "m.exr",
        [
            Part("rgba", "", "RGBA", numbered(4, 0, 16, 16), "half", (0, 0), DISPLAY),
            Part("roto", "", ["roto.A"], drawn, "half", (0, 0), DISPLAY),
        ],
    )
    ref = MatteRef(str(path), FRAME, channel="roto.A")
    mattes = ShotMattes(DiskPlateStore().open_matte(ref), ref, MatteShaping(0, 0, 0), WHOLE)
    assert mattes.drawn_window(1) == Window(20, 10, 60, 40)


def test_an_input_covers_its_own_parts(tmp_path):
    path = write_parts(
        tmp_path / "m.exr",
        [
            Part("forward.u", "", ["forward.u"], numbered(1, 1, 16, 16), "half", (0, 0), DISPLAY),
            Part("forward.v", "", ["forward.v"], numbered(1, 2, 16, 16), "half", (48, 32), DISPLAY),
            Part("rgba", "", "RGBA", numbered(4, 3, 4, 4), "half", (30, 20), DISPLAY),
        ],
    )
    given = InputRef(InputRole.MOTION_FORWARD, str(path), FRAME, layer="forward")
    reader = DiskPlateStore().open_input(given)
    assert reader.header(1).data_window == WHOLE
    rgb, alpha = reader.read(1, WHOLE)
    assert rgb[0, 0].tolist() == [1, 0, 0]
    assert rgb[47, 63].tolist() == [0, 2, 0]
    assert alpha.all()


@pytest.mark.parametrize(
    ("kinds", "layer", "expected"),
    [
        (("half", "float"), "clean", "float"),
        (("half", "float"), "rgb", "half"),
        (("float", "half"), "clean", "half"),
    ],
)
def test_the_pixel_type_is_that_of_the_layer(tmp_path, kinds, layer, expected):
    path = write_parts(
        tmp_path / "a.exr",
        [
            Part("rgba", "", "RGBA", numbered(4), kinds[0]),
            Part("clean", "", ["clean.R", "clean.G", "clean.B"], numbered(3), kinds[1]),
        ],
    )
    plate = DiskPlateStore().open_plate(PlateRef(str(path), FRAME, layer=layer))
    assert plate.header(1).pixel_type == expected


def test_a_depth_in_float_does_not_make_a_half_plate_float(tmp_path):
    spec = oiio.ImageSpec(64, 48, 4, "half")
    spec.channelnames = ("R", "G", "B", "Z")
    spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in ("half", "half", "half", "float"))
    path = str(tmp_path / "a.exr")
    output = oiio.ImageOutput.create(path)
    assert output.open(path, spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(numbered(4)))
    assert output.close()
    plate = DiskPlateStore().open_plate(PlateRef(path, FRAME))
    assert plate.header(1).pixel_type == "half"


def test_a_float_layer_behind_a_half_part_makes_a_float_take(tmp_path):
    size = (48, 64)
    clean = grainy(*size)
    shot = Shot(tmp_path, frames=(1001, 1001), size=size)
    matte = np.zeros(size, np.float32)
    matte[20:28, 20:28] = 1
    shot.write_matte(1001, matte)
    path = write_parts(
        tmp_path / "in/two.1001.exr",
        [
            Part("rgba", "", "RGBA", numbered(4, 1, 8, 8), "half", (0, 0), DISPLAY),
            Part("clean", "", ["clean.R", "clean.G", "clean.B"], clean, "float", (0, 0), DISPLAY),
        ],
    )
    shot.run(plate=PlateRef(str(path), shot.frames, layer="clean"))
    pixels, spec = shot.take_frame(1001)
    assert spec.channelformat(0) == oiio.FLOAT
    outside = pixels[..., 3] == 0
    assert outside.any()
    x, y = spec.x, spec.y
    there = clean[y : y + spec.height, x : x + spec.width]
    np.testing.assert_array_equal(pixels[outside][:, :3], there[outside])


def test_a_layer_that_is_missing_is_told_by_the_header(tmp_path):
    write_exr(tmp_path / "a.exr", numbered(3), "RGB")
    plate = DiskPlateStore().open_plate(PlateRef(str(tmp_path / "a.exr"), FRAME, layer="clean"))
    assert not plate.has_frame(1)
    with pytest.raises(UnknownChannel, match="clean"):
        plate.header(1)


def test_a_header_opens_its_file_once(stereo, monkeypatch):
    opened = []
    really = exr_read.opened

    def noted(path, frame):
        opened.append(path)
        return really(path, frame)

    monkeypatch.setattr(exr_read, "opened", noted)
    plate = DiskPlateStore().open_plate(PlateRef(stereo, FRAME, view="right"))
    for _ in range(3):
        plate.header(1)
    assert len(opened) == 1
