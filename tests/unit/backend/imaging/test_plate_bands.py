"""Plates are kept in bands as the file has them, and give any window from these."""

from __future__ import annotations

import threading

import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.plate import FrameRange, PlateRef, Window
from genai_fill_server.imaging import plate_store
from genai_fill_server.imaging.exr_read import read_rgb
from genai_fill_server.imaging.plate_store import BAND_ROWS, DiskPlateStore
from tests.fakes.plates import grainy, write_exr

DATA = (-6, 11)
HAVE = Window(-6, 11, 84, 211)
"""Three whole bands and a cut one, neither beginning nor ending where the frame does."""

WINDOWS = [
    HAVE,
    Window(0, 0, 90, 220),
    Window(3, 70, 30, 80),
    Window(3, 74, 30, 76),
    Window(-20, 0, 200, 12),
    Window(83, 210, 90, 230),
    Window(10, 203, 40, 211),
    Window(300, 300, 310, 310),
    Window(20, 30, 20, 30),
]


@pytest.fixture(params=["half", "float"])
def plate(tmp_path, request):
    """A plate of one frame with a data window of its own, and its path."""
    path = tmp_path / "p.0001.exr"
    write_exr(path, grainy(200, 90), "RGB", request.param, data=DATA, display=(0, 0, 90, 220))
    return PlateRef(f"{tmp_path}/p.%04d.exr", FrameRange(1, 1)), str(path)


@pytest.fixture
def readings(monkeypatch):
    """The windows that are read from files from now on."""
    asked: list[Window] = []
    read = plate_store.read_stored_rgb

    def noted(path, frame, window, layer, view):
        asked.append(window)
        return read(path, frame, window, layer, view)

    monkeypatch.setattr(plate_store, "read_stored_rgb", noted)
    return asked


@pytest.mark.parametrize("window", WINDOWS)
def test_any_window_is_what_the_file_says(plate, window):
    ref, path = plate
    reader = DiskPlateStore().open_plate(ref)
    for _ in range(2):  # cold, then from what is kept
        pixels = reader.read(1, window)
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, read_rgb(path, 1, window, "rgb", "main"))


def test_windows_in_any_order_read_each_row_of_a_file_once(plate, readings):
    ref, path = plate
    reader = DiskPlateStore().open_plate(ref)
    for window in (WINDOWS[2], WINDOWS[6], HAVE, WINDOWS[1], WINDOWS[3]):
        expected = read_rgb(path, 1, window, "rgb", "main")
        np.testing.assert_array_equal(reader.read(1, window), expected)

    rows = [row for window in readings for row in range(window.y0, window.y1)]
    assert sorted(rows) == list(range(HAVE.y0, HAVE.y1))
    assert readings[0] == Window(HAVE.x0, HAVE.y0, HAVE.x1, HAVE.y0 + 2 * BAND_ROWS)


def test_a_plate_is_kept_as_the_file_has_it(tmp_path):
    held = {}
    for kind in ("half", "float"):
        write_exr(tmp_path / f"{kind}.exr", grainy(200, 90), "RGB", kind)
        store = DiskPlateStore()
        plate = store.open_plate(PlateRef(str(tmp_path / f"{kind}.exr"), FrameRange(1, 1)))
        plate.read(1, Window(0, 0, 90, 200))
        held[kind] = store.held_bytes

    assert held == {"half": 200 * 90 * 3 * 2, "float": 200 * 90 * 3 * 4}


def test_what_is_kept_stays_within_the_budget(tmp_path, readings):
    for frame in range(1, 9):
        write_exr(tmp_path / f"p.{frame:04d}.exr", grainy(200, 90), "RGB")
    frame_bytes = 200 * 90 * 3 * 2
    store = DiskPlateStore(cache_bytes=2 * frame_bytes)
    reader = store.open_plate(PlateRef(f"{tmp_path}/p.%04d.exr", FrameRange(1, 8)))

    for frame in (*range(1, 9), 8, 7, 1):
        reader.read(frame, Window(0, 0, 90, 200))
        assert store.held_bytes <= 2 * frame_bytes

    assert len(readings) == 9  # 8 and 7 were still there, 1 was not


def test_pixels_are_the_callers_own(plate):
    ref, path = plate
    reader = DiskPlateStore().open_plate(ref)
    reader.read(1, HAVE)[:] = -1.0
    np.testing.assert_array_equal(reader.read(1, HAVE), read_rgb(path, 1, HAVE, "rgb", "main"))


def test_threads_that_want_the_same_frame_undo_its_compression_once(plate, readings):
    ref, _ = plate
    reader = DiskPlateStore().open_plate(ref)
    begin = threading.Barrier(4)

    def work():
        begin.wait()
        reader.read(1, HAVE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert readings == [HAVE]


def test_a_still_is_read_once_for_all_frames(tmp_path, readings):
    path = write_exr(tmp_path / "still.exr", grainy(100, 60), "RGB")
    reader = DiskPlateStore().open_plate(PlateRef(str(path), FrameRange(1, 50)))
    for frame in (1, 7, 50):
        reader.read(frame, Window(0, 0, 60, 100))

    assert readings == [Window(0, 0, 60, 100)]


def test_a_format_without_rows_of_its_own_is_read_whole_and_once(tmp_path, readings):
    image = np.round(grainy(200, 40).clip(0, 1) * 255).astype(np.uint8)
    path = str(tmp_path / "p.png")
    output = oiio.ImageOutput.create(path)
    assert output.open(path, oiio.ImageSpec(40, 200, 3, "uint8"))
    assert output.write_image(image)
    assert output.close()
    reader = DiskPlateStore().open_plate(PlateRef(path, FrameRange(1, 1)))

    for y in (150, 0, 60):
        window = Window(3, y, 33, y + 40)
        pixels = reader.read(1, window)
        np.testing.assert_allclose(pixels, image[y : y + 40, 3:33] / 255, atol=1e-6)

    assert readings == [Window(0, 0, 40, 200)]
