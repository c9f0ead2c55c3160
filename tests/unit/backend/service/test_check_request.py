from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_contract.errors import (
    DiskFull,
    EmptyMatte,
    InvalidOption,
    MissingFrames,
    ModelMissing,
    RangeMismatch,
    SizeMismatch,
    UnknownChannel,
    UnknownColorspace,
    UnreadableImage,
)
from genai_fill_contract.fill import CropMode, CropPolicy, MatteShaping
from genai_fill_contract.plate import (
    ColourSettings,
    FrameRange,
    MatteRef,
    PlateRef,
    Window,
    path_at,
)
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.imaging.exr_write import ExrTakeStore
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.check_request import check_request
from genai_fill_server.service.ports import FillCancelled
from tests.fakes.engines import WatchRecorder, describe
from tests.fakes.plates import disc, grainy
from tests.fakes.shots import SIZE, Shot


@pytest.fixture
def shot(tmp_path):
    return Shot(tmp_path)


def check(shot, engine=None, watch=None, **changes):
    request = shot.request(**changes)
    return check_request(
        request,
        engine or describe(),
        allocate_takes(request, "job"),
        local_frame_ports(),
        watch or WatchRecorder(),
    )


def plate(shot, **changes):
    fields = {"path_pattern": f"{shot.folder}/in/plate.%04d.exr", "frame_range": shot.frames}
    return PlateRef(**(fields | changes))


def matte(shot, **changes):
    fields = {"path_pattern": f"{shot.folder}/in/matte.%04d.exr", "frame_range": shot.frames}
    return MatteRef(**(fields | changes))


def test_a_good_request_comes_back_with_its_crops(shot):
    checked = check(shot, crop=CropPolicy(context_px=10))
    crop = checked.crops[1001]
    assert len(set(checked.crops.values())) == 1
    # Disc of radius 15 at x 101..103, grown 2, blended 6, with 10 px of context.
    assert crop == Window(101 - 33, 60 - 33, 103 + 34, 60 + 34)
    assert checked.empty_frames == frozenset()


@pytest.mark.parametrize(
    ("frames", "text"),
    [([1003, 1004, 1005, 1010], "1003-1005, 1010"), ([5, 5, 4], "4-5"), ([], ""), ([7], "7"),
     ([-2, -1, 0], "-2-0")],
)  # fmt: skip
def test_frames_are_spelt_in_ranges(frames, text):
    assert spell_frames(frames) == text


def test_frames_outside_plate_or_matte_are_told(shot):
    with pytest.raises(RangeMismatch, match=r"1000-1003.*plate has 1001-1003"):
        check(shot, frame_range=FrameRange(1000, 1003))
    with pytest.raises(RangeMismatch, match=r"matte has 1001-1002"):
        check(shot, matte=matte(shot, frame_range=FrameRange(1001, 1002)))


def test_missing_mattes_are_named(shot):
    (shot.folder / "in/matte.1002.exr").unlink()
    with pytest.raises(MissingFrames, match=r"1002 of the matte"):
        check(shot)


def test_sizes_that_differ_are_named(shot):
    shot.write_matte(1002, disc(60, 100, (20, 20), 5))
    with pytest.raises(SizeMismatch, match=r"1002 of the matte is 100 x 60.*plate is 203 x 121"):
        check(shot)
    shot.write_matte(1002, disc(*SIZE, (60, 60), 5))
    shot.write_plate(1003, grainy(121, 204))
    with pytest.raises(SizeMismatch, match=r"1003 of the plate is 204 x 121"):
        check(shot)


def test_unknown_names_are_told_before_any_work(shot):
    with pytest.raises(UnknownColorspace, match="ACEScg"):
        check(shot, plate=plate(shot, colorspace="ACEScgg"))
    with pytest.raises(UnknownColorspace, match="'lin'"):
        check(shot, colour=ColourSettings(working_space="lin"))
    with pytest.raises(UnknownChannel, match="'spec'"):
        check(shot, plate=plate(shot, layer="spec"))
    with pytest.raises(UnknownChannel, match=r"roto\.a"):
        check(shot, matte=matte(shot, channel="roto.a"))


def test_an_engine_that_is_not_there_or_not_so_optioned_is_told(shot):
    with pytest.raises(ModelMissing, match=r"Install the weights\."):
        check(shot, describe(available=False, unavailable_reason="Install the weights."))
    steps = EngineOption("steps", "Steps", OptionType.INT, 4, "How many.", minimum=1, maximum=50)
    assert check(shot, describe(options=(steps,))).options == {"steps": 4}
    with pytest.raises(InvalidOption, match="outside 1 to 50"):
        check(shot, describe(options=(steps,)), engine_options={"steps": 99})
    with pytest.raises(InvalidOption, match="stepz"):
        check(shot, describe(options=(steps,)), engine_options={"stepz": 9})


def test_a_broken_matte_is_named(shot):
    path = shot.folder / "in/matte.1002.exr"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UnreadableImage, match=r"1002.*matte\.1002\.exr"):
        check(shot)


def test_a_matte_outside_the_plate_is_empty(shot):
    for frame in shot.frames:
        shot.write_matte(
            frame, np.ones((10, 10), np.float32), data=(500, 500), display=(0, 0, 203, 121)
        )
    with pytest.raises(EmptyMatte, match=r"rgba\.alpha.*1001-1003"):
        check(shot)


def test_frames_shrunk_to_nothing_pass_through(shot):
    shot.write_matte(1001, disc(*SIZE, (60, 100), 4))
    checked = check(shot, shaping=MatteShaping(-6, 2, 2))
    assert checked.empty_frames == {1001}
    # Radius 15 less 6 and an edge of 2 reaches 11 px, not 17.
    assert checked.mattes.reach_window(1002).width <= 2 * 11 + 1


def test_too_little_room_is_told_before_any_work(shot, monkeypatch):
    asked = []

    def check_place(self, path, needed_bytes):
        asked.append(needed_bytes)
        raise DiskFull("full", hint="free some")

    monkeypatch.setattr(ExrTakeStore, "check_place", check_place)
    with pytest.raises(DiskFull):
        check(shot, takes=2, crop=CropPolicy(CropMode.FULL))
    raw = 203 * 121 * 4 * 2 * 3 * 2
    assert raw * 0.5 < asked[0] <= raw


def test_a_resumed_job_needs_room_only_for_what_is_missing(shot, monkeypatch):
    asked = []
    monkeypatch.setattr(ExrTakeStore, "check_place", lambda _, path, needed: asked.append(needed))
    request = shot.request(crop=CropPolicy(CropMode.FULL))
    takes = allocate_takes(request, "job")
    for done in ((), (1001, 1002), (1003,)):
        for frame in done:
            Path(path_at(takes[0].path_pattern, frame)).write_bytes(b"a frame")
        check_request(request, describe(), takes, local_frame_ports(), WatchRecorder())
    assert [round(needed / asked[0], 3) for needed in asked] == [1, 0.333, 0]


@pytest.mark.parametrize("invert", [False, True])
def test_a_data_window_at_the_end_of_the_world_is_told_not_allocated(shot, invert):
    shot.write_plate(1002, grainy(*SIZE), data=(2**29, 2**20), display=(0, 0, 203, 121))
    with pytest.raises(UnreadableImage, match=r"Frame 1002.*data window far.*536870912"):
        check(shot, matte=matte(shot, invert=invert))


def test_checking_a_long_shot_can_be_cancelled(shot):
    watch = WatchRecorder()
    watch.cancelled = True
    with pytest.raises(FillCancelled):
        check(shot, watch=watch)
