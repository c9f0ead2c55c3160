"""Frames are finished while the engine makes the next: in order, within bounds, none lost."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.errors import DiskFull, GenerationFailed
from genai_fill_contract.plate import Window
from genai_fill_server.imaging.exr_write import ExrTakeStore
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.frame_line import IN_FLIGHT, FinishingFailed, FrameLine
from genai_fill_server.service.job_log import JobOnEveryLine, logging_job
from genai_fill_server.service.ports import EngineFrame, FillCancelled
from tests.fakes.engines import FailingEngine, FakeEngine, SlowEngine, WatchRecorder, describe
from tests.fakes.shots import Shot

PATIENCE_S = 10.0
_LOG = logging.getLogger(__name__)


class SlowDisk(ExrTakeStore):
    """Writes a frame only when ``may_write`` is set; fails at file number ``fails_at``."""

    def __init__(self, fails_at=None, error=None):
        self.may_write = threading.Event()
        self.may_write.set()
        self.written = []
        self.at_once = 0
        self.fails_at = fails_at
        self.error = error or DiskFull("The disk is full.", hint="Free some space.")

    def write_frame(self, path, frame):
        assert self.may_write.wait(PATIENCE_S)
        if len(self.written) == self.fails_at:
            raise self.error
        super().write_frame(path, frame)
        self.written.append(Path(path).name)


def on(disk):
    return replace(local_frame_ports(), takes=disk)


def test_the_engine_makes_the_next_frame_while_one_is_written(tmp_path):
    disk = SlowDisk()
    disk.may_write.clear()

    class Engine(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            if frame == 1002:
                assert disk.written == []
                disk.may_write.set()
            return super().frame(shot, take_index, seed, frame, watch)

    shot = Shot(tmp_path).run(Engine(), ports=on(disk))

    assert shot.watch.frames == [(0, 1001), (0, 1002), (0, 1003)]


def test_no_more_than_a_few_frames_are_held_however_slow_the_disk_is(tmp_path):
    disk = SlowDisk()
    disk.may_write.clear()
    threading.Timer(0.6, disk.may_write.set).start()
    ahead = []

    class Engine(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            ahead.append(frame - 1001 - len(disk.written))
            return super().frame(shot, take_index, seed, frame, watch)

    shot = Shot(tmp_path, frames=(1001, 1012)).run(Engine(), ports=on(disk))

    assert [frame for _, frame in shot.watch.frames] == list(shot.frames)
    assert 1 < max(ahead) <= IN_FLIGHT + 1


def test_an_engine_may_use_its_buffer_again(tmp_path):
    class Engine(FakeEngine):
        buffer = None

        def frame(self, shot, take_index, seed, frame, watch):
            made = super().frame(shot, take_index, seed, frame, watch)
            if self.buffer is None:
                self.buffer = made.pixels
            self.buffer[:] = np.float32(0.01 * (frame - 1000))
            return replace(made, pixels=self.buffer)

    shot = Shot(tmp_path).run(Engine(), ports=on(SlowDisk()))

    for frame in shot.frames:
        take, _ = shot.take_frame(frame)
        inside = take[..., 3] == 1
        assert np.allclose(take[inside][:, :3], 0.01 * (frame - 1000), rtol=2e-3)


def test_a_full_disk_stops_the_engine_within_its_frame_and_keeps_what_was_written(tmp_path):
    disk = SlowDisk(fails_at=1)

    class Engine(SlowEngine):
        """Quick at first; the third frame would take a minute."""

        def frame(self, shot, take_index, seed, frame, watch):
            self.seconds = 60.0 if frame == 1003 else 0.02
            return super().frame(shot, take_index, seed, frame, watch)

    shot = Shot(tmp_path, frames=(1001, 1006))
    began = time.monotonic()
    with pytest.raises(DiskFull):
        shot.run(Engine(), ports=on(disk))

    assert time.monotonic() - began < 20.0
    assert shot.watch.frames == [(0, 1001)]
    assert shot.recipe()["state"] == "failed: disk_full"
    assert shot.engine.closed == 1
    shot.run(FakeEngine(), takes=shot.takes)
    assert [frame for _, frame in shot.watch.frames] == list(shot.frames)


def test_frames_behind_the_one_that_failed_are_not_written(tmp_path):
    disk = SlowDisk(fails_at=1)
    shot = Shot(tmp_path, frames=(1001, 1008))
    with pytest.raises(DiskFull):
        shot.run(ports=on(disk))
    assert len(disk.written) == 1
    assert shot.recipe()["take"]["frames_done"] == [1001]


def test_an_engine_that_fails_loses_no_frame_that_it_made(tmp_path):
    disk = SlowDisk()
    disk.may_write.clear()
    threading.Timer(0.3, disk.may_write.set).start()
    shot = Shot(tmp_path)
    with pytest.raises(GenerationFailed, match="singular"):
        shot.run(FailingEngine(1003, RuntimeError("singular")), ports=on(disk))
    assert shot.watch.frames == [(0, 1001), (0, 1002)]
    assert shot.recipe()["take"]["frames_done"] == [1001, 1002]


def test_a_cancelled_job_stays_cancelled_when_its_last_frame_cannot_be_written(tmp_path, caplog):
    disk = SlowDisk(fails_at=0)
    disk.may_write.clear()

    class Engine(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            if frame == 1002:
                threading.Timer(0.2, disk.may_write.set).start()
                raise FillCancelled
            return super().frame(shot, take_index, seed, frame, watch)

    shot = Shot(tmp_path)
    with pytest.raises(FillCancelled) as caught:
        shot.run(Engine(), ports=on(disk))
    assert not isinstance(caught.value, FinishingFailed)
    assert shot.recipe()["state"] == "cancelled"
    assert "The disk is full" in caplog.text


def test_a_fault_in_finishing_comes_out_as_it_is(tmp_path):
    disk = SlowDisk(fails_at=0, error=ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        Shot(tmp_path).run(ports=on(disk))


def test_the_job_stands_on_lines_that_are_logged_while_finishing(caplog):
    caplog.handler.addFilter(JobOnEveryLine())
    frame = EngineFrame(0, 1, Window(0, 0, 1, 1), np.zeros((1, 1, 3), np.float32))
    with logging_job("job-9"), FrameLine(lambda made: _LOG.warning("finishing")) as line:
        line.put(frame)
    (record,) = caplog.records
    assert record.job == "job-9"
    assert record.threadName.startswith("finish")


def test_the_thread_is_gone_afterwards(tmp_path):
    Shot(tmp_path).run()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("finish")]


def test_the_same_bits_come_out_whatever_the_pace(tmp_path):
    description = describe(matches_seams=False, matches_grain=False)
    slow = SlowDisk()
    slow.may_write.clear()
    threading.Timer(0.3, slow.may_write.set).start()
    one = Shot(tmp_path / "a").run(FakeEngine(description), ports=on(slow))
    two = Shot(tmp_path / "b").run(SlowEngine(0.05, description=description))
    for frame in one.frames:
        np.testing.assert_array_equal(one.take_frame(frame)[0], two.take_frame(frame)[0])


def test_progress_told_from_two_threads_never_goes_back(tmp_path):
    watch = WatchRecorder()
    Shot(tmp_path, frames=(1001, 1012)).run(SlowEngine(0.06), watch=watch)
    fractions = [report.fraction for report in watch.reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
