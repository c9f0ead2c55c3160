"""How a target's sources are aligned: planes first, depth where they do not do, no more than that.

Also the steps between frames, which threads begin with before they are asked for.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from genai_fill_server.engines.cleanplate.alignment import Target
from genai_fill_server.engines.cleanplate.borrowing import Borrower
from genai_fill_server.engines.cleanplate.depth_way import DEPTH_PLANE
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions, Motion
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.flow import DisFlow
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.motion import CameraMotion
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.sliding_slabs import five_depths

FRAME = 1005


def borrower(plates, mattes, threads, motion=Motion.DENSE):
    options = CleanPlateOptions(motion=motion)
    kit = Kit(options, NumbaDevice(), DisFlow(options.detail))
    return Borrower(ArrayShot(plates, mattes), kit, QuietWatch(), threads)


def aligned(plates, mattes, **named):
    """Return the frames and planes by which the target is aligned, nearest first."""
    with ThreadPoolExecutor(2) as threads:
        one = borrower(plates, mattes, threads, **named)
        target = one.target(one.proxies.get(FRAME), one.holes(FRAME))
        found = one._aligned(target, one.candidates(FRAME))
        assert isinstance(target, Target)
        return [(source.frame, source.plane) for source in found]


def panned():
    """Return a shot of one plane that a camera pans over."""
    random = np.random.default_rng(2)
    wall = cv2.GaussianBlur(random.uniform(0, 1, (120, 300, 3)).astype(np.float32), (0, 0), 1.5)
    plates = np.stack([wall[:, 4 * f : 4 * f + 200] for f in range(12)])
    mattes = np.zeros(plates.shape[:3], np.float32)
    for frame in range(12):
        mattes[frame, 40:80, 15 * frame : 15 * frame + 30] = 1
    return plates, mattes


def test_where_a_plane_explains_the_shot_no_depth_is_measured():
    found = aligned(*panned())

    assert found
    assert {plane for _, plane in found} == {0}


def test_where_depth_leads_only_the_farthest_come_by_every_plane():
    plates, mattes, _ = five_depths()

    found = aligned(plates, mattes)

    deep = {frame for frame, plane in found if plane == DEPTH_PLANE}
    planes = {frame for frame, plane in found if plane == 0}
    others = {frame for frame, plane in found if plane not in (0, DEPTH_PLANE)}
    assert len(deep) >= 3
    assert 0 < len(others) <= 3
    assert min(planes, key=lambda frame: abs(frame - FRAME)) not in others


def test_without_dense_motion_there_is_no_depth():
    plates, mattes, _ = five_depths()

    found = aligned(plates, mattes, motion=Motion.HOMOGRAPHY)

    assert DEPTH_PLANE not in {plane for _, plane in found}


def done(value):
    future: Future = Future()
    future.set_result(value)
    return future


@pytest.fixture
def neighbours():
    with ThreadPoolExecutor(1) as threads:
        proxies = borrower(*panned(), threads).proxies
        yield proxies.get(1003), proxies.get(1004), threads


def test_a_step_that_threads_began_with_is_the_one_that_is_asked_for(neighbours):
    first, second, threads = neighbours
    alone, ahead = CameraMotion(Motion.DENSE), CameraMotion(Motion.DENSE)

    ahead.begin((1003, 1004), done(first), done(second), threads)
    assert ahead.is_begun(1003, 1004)
    assert not alone.is_begun(1003, 1004)
    back = ahead.step(second, first)

    wanted = alone.step(second, first)
    assert [m.tobytes() for m in back.matrices] == [m.tobytes() for m in wanted.matrices]
    assert ahead.is_begun(1003, 1004)


def test_a_step_is_measured_when_asked_for_where_threads_could_not(neighbours):
    first, second, threads = neighbours
    motion, broken, never = CameraMotion(Motion.DENSE), Future(), Future()
    broken.set_exception(OSError("the disk is gone"))

    for failed in (broken, done(None)):
        motion.begin((1003, 1004), failed, done(second), threads)
        assert not motion.step(first, second).is_cut
        motion._steps.clear()
    never.cancel()
    motion._coming[1003, 1004] = never
    assert not motion.step(first, second).is_cut


def test_steps_begun_with_are_forgotten_with_their_threads_and_with_what_lies_behind(neighbours):
    first, second, threads = neighbours
    motion = CameraMotion(Motion.DENSE)

    motion.begin((1003, 1004), done(first), done(second), threads)
    motion.forget_before(1010)
    assert not motion.is_begun(1003, 1004)
    motion.begin((1003, 1004), done(first), done(second), threads)
    motion.forget_threads()
    assert not motion.is_begun(1003, 1004)
    assert motion.step(first, second).matrices
