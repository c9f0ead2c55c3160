"""What calls take by picture and frames, and what is said where they do not fit."""

from __future__ import annotations

import dataclasses

import pytest

from genai_fill_contract.errors import OutOfMemory
from genai_fill_server.engines.diffusers import memory, runtime
from genai_fill_server.engines.diffusers.room import CallSize, Room
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.driving import engine_of

VIDEO = Room(5.0, 640, 81, 4)


def test_memory_grows_with_the_picture_and_with_the_frames():
    assert VIDEO.of(CallSize(640, 640, 81)) == pytest.approx(5.0)
    assert VIDEO.of(CallSize(640, 640, 161)) == pytest.approx(5.0 * 161 / 81)
    assert VIDEO.of(CallSize(640, 320, 81)) == pytest.approx(2.5)
    assert Room(2.0, 1024).of(CallSize(512, 512)) == pytest.approx(0.5)


def test_some_memory_does_not_shrink_with_the_picture():
    assert Room(2.0, 1024).of(CallSize(64, 64)) == pytest.approx(0.5)


def test_what_would_fit_is_a_shorter_window_that_the_model_can_have():
    said = VIDEO.that_fits(CallSize(640, 640, 161), 4.0)

    assert said == "Windows of 61 frames would fit at this size."
    assert (61 - 1) % 4 == 0
    assert VIDEO.of(CallSize(640, 640, 61)) <= 4.0 < VIDEO.of(CallSize(640, 640, 65 + 4))


def test_what_would_fit_is_a_smaller_crop_where_there_is_one_frame():
    room = Room(2.0, 1024)
    said = room.that_fits(CallSize(1024, 1024), 1.0)

    assert said == "A crop of about 720 × 720 px would fit."
    assert room.of(CallSize(720, 720)) <= 1.0


def test_nothing_is_promised_where_next_to_nothing_is_free():
    assert Room(2.0, 1024).that_fits(CallSize(1024, 1024), 0.3) == ""
    assert Room(2.0, 1024).that_fits(CallSize(1024, 1024), -1.0) == ""
    assert VIDEO.that_fits(CallSize(640, 640, 81), 0.0) == ""


class Device:
    """A CUDA device, for what is asked of one before anything runs on it."""

    type = "cuda"

    def __str__(self):
        return "cuda:0"


@pytest.fixture
def on_a_device(tiny, monkeypatch):
    """Return a function (free GB) that gives a loaded toy engine on a device with so much."""
    engine = engine_of(tiny("wan-vace"))
    engine.prepare(RecordingWatch())
    on_cpu = engine._load
    asked = []

    def load(watch, size=None, *, may_round=True):
        asked.append(size)
        loaded = on_cpu(watch, size, may_round=may_round)
        return dataclasses.replace(loaded, device=Device())

    def with_free(free):
        monkeypatch.setattr(engine, "_load", load)
        monkeypatch.setattr(runtime, "free_gb", lambda device: free)
        monkeypatch.setattr(runtime, "give_memory_back", lambda device: None)
        engine._loaded = dataclasses.replace(engine._loaded, device=Device())
        return engine, asked

    yield with_free
    engine._loaded = None


def _job(engine):
    from tests.unit.backend.engines.diffusers.driving import job_of

    return job_of(engine)


def test_a_longer_window_than_there_is_room_for_places_the_model_anew(on_a_device):
    engine, asked = on_a_device(6.0)
    native = engine._room()
    long = CallSize(native.native_px, native.native_px, 2 * native.native_frames)
    watch = RecordingWatch()

    loaded = engine._ready(_job(engine), long, watch)

    assert asked == [long]
    assert loaded.room_gb == pytest.approx(2 * native.native_gb)
    assert any("beside the model" in line for line in watch.lines)
    again = engine._ready(_job(engine), long, watch)
    assert (again, asked) == (loaded, [long])


def test_what_fits_beside_the_model_leaves_it_where_it_is(on_a_device):
    engine, asked = on_a_device(64.0)
    native = engine._room()

    for frames in (native.native_frames, 2 * native.native_frames):
        size = CallSize(native.native_px, native.native_px, frames)
        engine._ready(_job(engine), size, RecordingWatch())

    assert asked == []


def test_a_job_that_cannot_fit_is_told_what_would(on_a_device, monkeypatch):
    engine, _ = on_a_device(6.0)
    native = engine._room()
    side = native.native_px
    monkeypatch.setattr(memory, "free_gb", lambda device: 6.0)

    with pytest.raises(OutOfMemory) as caught:
        engine._placed(
            engine._loaded.pipe,
            Device(),
            RecordingWatch(),
            CallSize(side, side, 2 * native.native_frames),
            may_round=True,
        )

    assert f"needs about {2 * native.native_gb + 1.0:.1f} GB" in caught.value.message
    assert "frames would fit at this size" in caught.value.hint
