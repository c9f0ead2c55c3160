import json
import resource
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.errors import DiskFull, InvalidRequest, OutputExists, OutputNotWritable
from genai_fill_contract.plate import Window
from genai_fill_server.imaging import exr_write
from genai_fill_server.imaging.exr_write import ExrTakeStore
from genai_fill_server.service.frame_ports import FrameHeader, MetadataEntry, TakeFrame
from tests.fakes.plates import grainy, read_raw, write_exr

WINDOW = Window(-3, 5, 37, 35)
HEADER = FrameHeader(display=Window(0, 0, 100, 50), data_window=Window(0, 0, 100, 50))
FRAME = TakeFrame(
    WINDOW,
    grainy(30, 40),
    np.full((30, 40), 0.5, np.float32),
    HEADER,
    labels={"genaifill:job": "j", "genaifill:frame": "1"},
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_frame_is_written_whole_under_its_name_alone(folder):
    ExrTakeStore().write_frame(f"{folder}/a.exr", FRAME)
    assert names(folder) == ["a.exr"]
    pixels, spec = read_raw(folder / "a.exr", "half")
    np.testing.assert_array_equal(pixels[..., :3], FRAME.rgb.astype(np.float16))
    assert (spec.x, spec.y, spec.width, spec.height) == (-3, 5, 40, 30)
    assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == (0, 0, 100, 50)


def test_half_holds_its_largest_value_and_infinity_but_nothing_between(folder):
    rgb = FRAME.rgb.copy()
    rgb[0, 0] = [65504, np.inf, np.nan]
    store = ExrTakeStore()
    store.write_frame(f"{folder}/a.exr", replace(FRAME, rgb=rgb))
    assert str(read_raw(folder / "a.exr")[1].format) == "half"
    rgb[0, 1, 0] = -65600
    store.write_frame(f"{folder}/b.exr", replace(FRAME, rgb=rgb))
    pixels, spec = read_raw(folder / "b.exr")
    assert str(spec.format) == "float"
    assert pixels[0, 1, 0] == -65600
    float_header = replace(HEADER, pixel_type="float")
    store.write_frame(f"{folder}/c.exr", replace(FRAME, header=float_header))
    assert str(read_raw(folder / "c.exr")[1].format) == "float"


def test_hostile_metadata_is_written_as_data(folder):
    entries = (
        MetadataEntry("studio:path", "string", "../../etc/passwd\n%s"),
        MetadataEntry("a" * 200, "string", "long"),
        MetadataEntry("count", "int", 2**31 - 1),
        MetadataEntry("m", "matrix", tuple(float(i) for i in range(16))),
    )
    frame = replace(FRAME, header=replace(HEADER, metadata=entries))
    ExrTakeStore().write_frame(f"{folder}/a.exr", frame)
    spec = read_raw(folder / "a.exr")[1]
    assert spec.getattribute("studio:path") == "../../etc/passwd\n%s"
    assert spec.getattribute("a" * 200) == "long"
    assert spec.getattribute("m")[15] == 15.0


def test_complete_means_ours_and_this_crop(folder):
    store = ExrTakeStore()
    path = f"{folder}/a.exr"
    assert not store.is_complete(path, WINDOW, FRAME.labels)
    store.write_frame(path, FRAME)
    assert store.is_complete(path, WINDOW, FRAME.labels)
    with pytest.raises(InvalidRequest, match="matte has changed"):
        store.is_complete(path, WINDOW.shifted(1, 0), FRAME.labels)
    with pytest.raises(OutputExists):
        store.is_complete(path, WINDOW, {"genaifill:job": "another", "genaifill:frame": "1"})
    write_exr(path, FRAME.rgb, "RGB")
    with pytest.raises(OutputExists):
        store.is_complete(path, WINDOW, FRAME.labels)
    Path(path).write_text("half a file of somebody else")
    with pytest.raises(OutputExists):
        store.is_complete(path, WINDOW, FRAME.labels)


@contextmanager
def small_files():
    """No file of this process may grow beyond 4 KiB: writing fails midway, as on a full disk.

    Only around the write itself: pytest's own report may go to a file as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("free_bytes", "error"), [(0, DiskFull), (1 << 40, OutputNotWritable)])
def test_a_write_that_fails_midway_leaves_nothing_and_says_why(
    folder, monkeypatch, free_bytes, error
):
    usage = type("Usage", (), {"free": free_bytes})
    monkeypatch.setattr(exr_write.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(error, match=r"a\.exr"), small_files():
        ExrTakeStore().write_frame(f"{folder}/a.exr", FRAME)
    assert names(folder) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
def test_a_used_up_quota_is_a_full_disk_although_the_disk_has_room(folder, monkeypatch):
    monkeypatch.setattr(exr_write.secrets, "token_hex", lambda count: "full")
    (folder / ".a.exr.full.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"a\.exr"):
        ExrTakeStore().write_frame(f"{folder}/a.exr", FRAME)
    assert names(folder) == []


def test_a_frame_already_there_survives_a_failed_write(folder):
    store = ExrTakeStore()
    store.write_frame(f"{folder}/a.exr", FRAME)
    before = (folder / "a.exr").read_bytes()
    with pytest.raises(OutputNotWritable), small_files():
        store.write_frame(f"{folder}/a.exr", FRAME)
    assert (folder / "a.exr").read_bytes() == before
    assert names(folder) == ["a.exr"]


def test_a_folder_that_is_gone_or_a_file_is_told(folder):
    store = ExrTakeStore()
    (folder / "file").write_text("")
    for place in (f"{folder}/gone/a.exr", f"{folder}/file/a.exr"):
        with pytest.raises(OutputNotWritable):
            store.check_place(place, 0)
        with pytest.raises(OutputNotWritable):
            store.write_frame(place, FRAME)
        with pytest.raises(OutputNotWritable):
            store.write_recipe(place, {})


def test_room_is_checked_before_the_work(folder):
    store = ExrTakeStore()
    store.check_place(f"{folder}/a.exr", 1000)
    with pytest.raises(DiskFull, match=r"[\d.]+ GB free, 1,152,921,504\.7 GB are needed"):
        store.check_place(f"{folder}/a.exr", 1 << 60)
    assert names(folder) == []


def test_a_layer_of_another_size_is_refused(folder):
    layers = {"origin": np.zeros((3, 3), np.float32)}
    with pytest.raises(InvalidRequest, match="3 x 3"):
        ExrTakeStore().write_frame(f"{folder}/a.exr", replace(FRAME, layers=layers))
    assert names(folder) == []


def test_a_recipe_replaces_the_one_before_at_once(folder):
    store = ExrTakeStore()
    store.write_recipe(f"{folder}/a.json", {"state": "running"})
    store.write_recipe(f"{folder}/a.json", {"state": "done", "prompt": "Tür"})
    assert json.loads((folder / "a.json").read_text("utf-8")) == {"state": "done", "prompt": "Tür"}
    assert names(folder) == ["a.json"]


def test_the_same_frame_gives_the_same_pixels_and_layers(folder):
    layers = {"origin": np.stack([FRAME.alpha * 1001] * 3, axis=2), "age.t": FRAME.alpha}
    frame = replace(FRAME, layers=layers)
    ExrTakeStore().write_frame(f"{folder}/a.exr", frame)
    pixels, spec = read_raw(folder / "a.exr")
    assert list(spec.channelnames) == [
        "R",
        "G",
        "B",
        "A",
        "age.t",
        "origin.R",
        "origin.G",
        "origin.B",
    ]
    assert (pixels[..., 5] == np.float32(500.5)).all()
