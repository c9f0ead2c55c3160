"""nuke.execute: frames, folders, limits, proxy, callbacks, cancel, metadata."""

from __future__ import annotations

import numpy as np
import OpenImageIO as oiio
import pytest

from tests.fakes.nuke_standin import boot
from tests.unit.standin.exr_files import noise, raw_read, write_exr


@pytest.fixture
def session(tmp_path):
    with boot(home=tmp_path) as session:
        session.nuke.root()["format"].setValue("32 24 1")
        yield session


def writer(nuke, source, pattern, **knobs):
    write = nuke.nodes.Write(inputs=[source], file=str(pattern), file_type="exr", raw=True)
    write["channels"].setValue("rgba")
    for name, value in knobs.items():
        write[name].setValue(value)
    return write


def moving(nuke):
    plate = nuke.nodes.Constant(channels="rgba", color=[0, 0.1, 2e5, 1])
    plate["color"].setExpression("frame", 0)
    return plate


def test_execute_writes_one_exr_a_frame_with_box_format_and_type(session, tmp_path):
    nuke = session.nuke
    crop = nuke.nodes.Crop(inputs=[moving(nuke)], box=[4, 5, 10, 12])
    write = writer(nuke, crop, tmp_path / "out.%04d.exr", datatype="32 bit float",
                   compression="PIZ Wavelet (32 scanlines)")  # fmt: skip
    nuke.execute(write, 5, 7)
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.0005.exr", "out.0006.exr", "out.0007.exr",
    ]  # fmt: skip
    spec = oiio.ImageInput.open(str(tmp_path / "out.0006.exr")).spec()
    assert (spec.x, spec.y, spec.width, spec.height) == (4, 12, 6, 7)
    assert (spec.full_width, spec.full_height) == (32, 24)
    assert str(spec.format) == "float"
    assert spec.get_string_attribute("compression") == "piz"
    read = raw_read(nuke, tmp_path / "out.%04d.exr", "5-7")
    image = session.evaluate(read, 6)
    assert image.bbox == (4, 5, 10, 12)
    assert image.at(4, 5) == {
        "rgba.red": 6,
        "rgba.green": float(np.float32(0.1)),
        "rgba.blue": 2e5,
        "rgba.alpha": 1,
    }


def test_half_is_the_default_type_and_rgb_the_default_channels(session, tmp_path):
    nuke = session.nuke
    write = nuke.nodes.Write(inputs=[moving(nuke)], file=str(tmp_path / "o.exr"), raw=True)
    nuke.execute(write, 1, 1)
    spec = oiio.ImageInput.open(str(tmp_path / "o.exr")).spec()
    assert str(spec.format) == "half"
    assert list(spec.channelnames) == ["R", "G", "B"]


def test_execute_needs_the_folder_or_create_directories(session, tmp_path):
    nuke = session.nuke
    write = writer(nuke, moving(nuke), tmp_path / "new/out.%04d.exr")
    with pytest.raises(RuntimeError, match="No such file or directory"):
        nuke.execute(write, 1, 1)
    write["create_directories"].setValue(True)
    nuke.execute(write, 1, 1)
    assert (tmp_path / "new/out.0001.exr").is_file()
    assert not nuke.executing()


def test_execute_takes_full_names_disabled_writes_and_frame_ranges(session, tmp_path):
    nuke = session.nuke
    group = nuke.nodes.Group(name="Fill")
    with group:
        write = writer(nuke, moving(nuke), tmp_path / "o.%04d.exr", disable=True)
        write.setName("Spool")
    nuke.execute("Fill.Spool", nuke.FrameRanges("1 3"))
    nuke.execute(write, nuke.FrameRange("5-9x4"))
    assert sorted(int(path.suffixes[0][1:]) for path in tmp_path.glob("o.*.exr")) == [1, 3, 5, 9]


def test_use_limit_bounds_the_frames(session, tmp_path):
    nuke = session.nuke
    write = writer(nuke, moving(nuke), tmp_path / "o.%04d.exr", use_limit=True, first=2, last=3)
    nuke.execute(write, 1, 9)
    assert sorted(path.name for path in tmp_path.glob("o.*.exr")) == ["o.0002.exr", "o.0003.exr"]


def test_a_cancelled_render_raises_and_keeps_what_was_done(session, tmp_path):
    nuke = session.nuke
    write = writer(nuke, moving(nuke), tmp_path / "o.%04d.exr")
    session.cancel_next_execute(after_frames=2)
    with pytest.raises(RuntimeError, match=r"(?i)cancel"):
        nuke.execute(write, 1, 9)
    assert len(list(tmp_path.glob("o.*.exr"))) == 2
    session.cancel_next_execute(error=nuke.CancelledError)
    with pytest.raises(nuke.CancelledError):
        nuke.execute(write, 1, 9)
    nuke.execute(write, 1, 3)
    assert len(list(tmp_path.glob("o.*.exr"))) == 3


def test_render_callbacks_run_in_order_and_can_stop_the_render(session, tmp_path):
    nuke, seen = session.nuke, []
    write = writer(nuke, moving(nuke), tmp_path / "o.%04d.exr")
    nuke.addBeforeRender(lambda: seen.append("before"))
    nuke.addBeforeFrameRender(lambda: seen.append(nuke.frame()))
    nuke.addAfterRender(lambda: seen.append("after"))
    nuke.execute(write, 3, 4)
    assert seen == ["before", 3, 4, "after"]

    def stop():
        raise RuntimeError("no")

    nuke.addBeforeFrameRender(stop)
    with pytest.raises(RuntimeError, match="no"):
        nuke.execute(write, 8, 8)
    assert not (tmp_path / "o.0008.exr").exists()


def test_execute_inside_execute_is_refused(session, tmp_path):
    nuke = session.nuke
    write = writer(nuke, moving(nuke), tmp_path / "o.%04d.exr")
    nuke.addBeforeFrameRender(lambda: nuke.execute(write, 1, 1))
    with pytest.raises(RuntimeError, match="already executing"):
        nuke.execute(write, 1, 1)


def test_proxy_mode_halves_what_is_rendered(session, tmp_path):
    nuke = session.nuke
    write = writer(nuke, moving(nuke), tmp_path / "o.exr")
    nuke.root()["proxy"].setValue(True)
    nuke.execute(write, 1, 1)
    spec = oiio.ImageInput.open(str(tmp_path / "o.exr")).spec()
    assert (spec.full_width, spec.full_height, spec.width) == (16, 12, 16)
    assert write.width() == 16


def test_an_error_upstream_fails_the_render_but_not_with_continue_on_error(session, tmp_path):
    nuke = session.nuke
    for frame in (1, 3):
        write_exr(tmp_path / f"a.{frame:04d}.exr", noise())
    read = raw_read(nuke, tmp_path / "a.%04d.exr", "1-3")
    write = writer(nuke, read, tmp_path / "o.%04d.exr")
    with pytest.raises(RuntimeError, match="No such file"):
        nuke.execute(write, 1, 3)
    nuke.execute(write, 1, 3, continueOnError=True)
    assert (tmp_path / "o.0003.exr").is_file()


def test_codec_knobs_exist_only_for_the_chosen_file_type(session):
    write = session.nuke.createNode("Write", inpanel=False)
    assert write["file_type"].value() == " "
    assert write.knob("datatype") is None
    write["file_type"].setValue("exr")
    assert write["datatype"].value() == "16 bit half"
    write["file_type"].setValue("png")
    assert write.knob("datatype") is None


def test_timecode_aspect_and_exr_attributes_travel_through_a_render(session, tmp_path):
    nuke = session.nuke
    spec = oiio.ImageSpec(4, 4, 4, oiio.HALF)
    spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (0x01020304, 0))
    spec.attribute("FramesPerSecond", 24.0)
    spec.attribute("shotName", "sh010")
    spec.attribute("PixelAspectRatio", 2.0)
    out = oiio.ImageOutput.create(str(tmp_path / "a.exr"))
    out.open(str(tmp_path / "a.exr"), spec)
    out.write_image(np.zeros((4, 4, 4), np.float32))
    out.close()
    read = raw_read(nuke, tmp_path / "a.exr")
    assert read.metadata("input/timecode") == "01:02:03:04"
    assert read.metadata()["exr/shotName"] == "sh010"
    write = writer(nuke, read, tmp_path / "o.exr")
    write["metadata"].setValue("all metadata")
    nuke.execute(write, 1, 1)
    back = raw_read(nuke, tmp_path / "o.exr")
    assert back.metadata("input/timecode") == "01:02:03:04"
    assert back.metadata("input/frame_rate") == 24.0
    assert back.metadata("exr/shotName") == "sh010"
    assert back.pixelAspect() == 2.0


def test_sample_reads_pixels(session):
    plate = moving(session.nuke)
    assert plate.sample("red", 3, 3) == 1
    assert session.nuke.sample(plate, "rgba.green", 4, 4, 2, 2) == pytest.approx(0.1)
