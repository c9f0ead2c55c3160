import numpy as np
import pytest

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.fill import CropMode, CropPolicy
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, Window
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.check_request import check_request
from genai_fill_server.service.ports import Shot as ShotPort
from genai_fill_server.service.shot_view import ShotView
from tests.fakes.engines import WatchRecorder, describe
from tests.fakes.plates import disc, grainy
from tests.fakes.shots import SIZE, Shot


def view(shot, domain=ColourDomain.SCENE_LINEAR, cache_bytes=1 << 26, **changes):
    request = shot.request(**changes)
    checked = check_request(
        request,
        describe(domain=domain),
        allocate_takes(request, "job"),
        local_frame_ports(cache_bytes),
        WatchRecorder(),
    )
    return ShotView(checked, domain)


def wide(shot, first=1, last=9):
    """A plate whose range says more than is on disk."""
    return PlateRef(f"{shot.folder}/in/plate.%04d.exr", FrameRange(first, last))


def test_it_is_a_shot_as_engines_know_it(tmp_path):
    assert isinstance(view(Shot(tmp_path)), ShotPort)


def test_any_window_of_any_frame_can_be_read(tmp_path):
    shot = Shot(tmp_path, kind="float")
    seen = view(shot)
    image = grainy(*SIZE, seed=1002)
    np.testing.assert_array_equal(seen.plate(1002, Window(0, 0, 203, 121)), image)
    edge = seen.plate(1002, Window(-5, 100, 10, 130))
    np.testing.assert_array_equal(edge[:21, 5:], image[100:, :10])
    assert not edge[21:].any()
    assert not edge[:, :5].any()
    crop = seen.window(1002)
    assert seen.plate(1002).shape == (crop.height, crop.width, 3)
    assert seen.matte(1002).shape == (crop.height, crop.width)


def test_an_engine_may_write_into_what_it_is_given(tmp_path):
    for domain in ColourDomain:
        seen = view(Shot(tmp_path / domain.value), domain)
        first = seen.plate(1001)
        kept = first.copy()
        first[:] = 0
        np.testing.assert_array_equal(seen.plate(1001), kept)
        matte = seen.matte(1001)
        matte[:] = 0
        assert seen.matte(1001).any()


def test_source_frames_round_the_range_can_be_read_and_their_absence_is_known(tmp_path):
    shot = Shot(tmp_path, frames=(3, 7))
    for frame in shot.frames:
        (tmp_path / f"in/plate.{frame}.exr").rename(tmp_path / f"in/plate.{frame:04d}.exr")
        (tmp_path / f"in/matte.{frame}.exr").rename(tmp_path / f"in/matte.{frame:04d}.exr")
    (tmp_path / "in/plate.0007.exr").write_bytes(b"rotten")
    mattes = MatteRef(f"{tmp_path}/in/matte.%04d.exr", FrameRange(4, 6))
    seen = view(shot, plate=wide(shot), frame_range=FrameRange(4, 5), matte=mattes)
    assert seen.frames == FrameRange(4, 5)
    assert seen.reach == FrameRange(1, 9)
    assert [f for f in seen.reach if seen.has_frame(f)] == [3, 4, 5, 6]
    assert seen.window(3) == seen.window(4)
    assert seen.plate(3).any()
    assert seen.matte(6).any()  # on disk, outside what is filled
    assert not seen.matte(3).any()  # nothing drawn there
    with pytest.raises(MissingFrames):
        seen.plate(1)


def test_the_plate_window_is_all_that_any_frame_has(tmp_path):
    shot = Shot(tmp_path)
    shot.write_plate(1002, grainy(*SIZE), data=(-10, 5), display=(0, 0, 203, 121))
    assert view(shot).plate_window == Window(-10, 0, 203, 126)


def test_each_frame_says_where_it_has_pixels(tmp_path):
    shot = Shot(tmp_path)
    shot.write_plate(1002, grainy(*SIZE), data=(-10, 5), display=(0, 0, 203, 121))
    seen = view(shot)
    assert seen.data_window(1001) == Window(0, 0, 203, 121)
    assert seen.data_window(1002) == Window(-10, 5, 193, 126)
    outside = Window(193, 10, 203, 20)
    assert not seen.plate(1002, outside).any()
    assert seen.plate(1001, outside).all()
    with pytest.raises(MissingFrames):
        seen.data_window(1)


def test_a_following_crop_moves_with_the_matte(tmp_path):
    shot = Shot(tmp_path, frames=(1001, 1009))
    for frame in shot.frames:
        shot.write_matte(frame, disc(*SIZE, (60, 20 + 18 * (frame - 1001)), 8))
    seen = view(shot, crop=CropPolicy(CropMode.FOLLOW, 8))
    lefts = [seen.window(frame).x0 for frame in shot.frames]
    assert lefts == sorted(lefts)
    assert lefts[-1] - lefts[0] > 80
    for frame in shot.frames:
        inside = seen.matte(frame)
        assert (inside == 1).sum() == (seen.matte(frame, Window(0, 0, 203, 121)) == 1).sum()


def test_the_peak_is_the_shots_and_the_same_from_any_frame(tmp_path):
    def plate(frame):
        image = grainy(*SIZE, seed=frame)
        if frame == 1002:
            image[60, 100] = [50, 50, 50]
        return image

    seen = view(Shot(tmp_path, plate=plate), ColourDomain.DISPLAY)
    assert seen.shoulder.peak == pytest.approx(50, rel=0.01)
    assert seen.plate(1002).max() == pytest.approx(1, abs=1e-4)
    assert seen.plate(1001).max() < 0.9


def test_pixels_do_not_depend_on_the_cache(tmp_path):
    shot = Shot(tmp_path)
    with_cache, without = view(shot), view(shot, cache_bytes=0)
    for frame in (*shot.frames, *shot.frames):
        np.testing.assert_array_equal(with_cache.plate(frame), without.plate(frame))
