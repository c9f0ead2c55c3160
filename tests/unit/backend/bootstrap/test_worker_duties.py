"""What a worker checks again, although the server has checked it when the request came in."""

import pytest

from genai_fill_contract.errors import PathNotAllowed
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap.worker import WorkerDuties
from genai_fill_server.executors.protocol import Start
from genai_fill_server.service.allocate_takes import allocate_takes
from tests.fakes.engines import FakeEngine, WatchRecorder
from tests.fakes.shots import Shot


@pytest.mark.parametrize("swapped", [False, True])
def test_a_frame_that_became_a_link_after_the_request_is_not_opened(tmp_path, swapped):
    shot = Shot(tmp_path / "show")
    request = shot.request()
    takes = allocate_takes(request, "job")
    duties = WorkerDuties(Start(Settings(), "cpu", (str(tmp_path / "show"),)))
    engine = FakeEngine()
    duties._engines = {"fake": engine}
    if swapped:
        frame = tmp_path / "show/in/plate.1002.exr"
        frame.rename(tmp_path / "secret.exr")
        frame.symlink_to(tmp_path / "secret.exr")
    job = Job("job", JobState.RUNNING, request, takes, 1.0)
    watch = WatchRecorder()
    if swapped:
        with pytest.raises(PathNotAllowed, match=r"plate\.1002"):
            duties.run(job, watch)
    else:
        duties.run(job, watch)
    assert len(watch.frames) == (0 if swapped else 3)
