from __future__ import annotations

import dataclasses
import sqlite3
import threading
from pathlib import Path

import pytest

from genai_fill_contract.errors import (
    DiskFull,
    GenerationFailed,
    InvalidRequest,
    JobNotFound,
    LicenceForbids,
    ModelMissing,
    OutOfMemory,
    PathNotAllowed,
    UnknownEngine,
)
from genai_fill_contract.fill import OutputPlace
from genai_fill_contract.job import FrameDone, JobState
from genai_fill_contract.plate import FrameRange, InputRef, InputRole, PlateRef
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.cancel_job import CancelJob
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.engine_policy import admit, under_policy
from genai_fill_server.service.path_policy import PathPolicy
from genai_fill_server.service.recover_jobs import RecoverJobs
from genai_fill_server.service.submit_job import SubmitJob, new_job_id
from genai_fill_server.store.job_store import SqliteJobStore
from tests.fakes.job_stores import (
    NON_COMMERCIAL,
    PAINT,
    WORDY,
    Clock,
    FixedEngines,
    IdleWorkers,
    ListAudit,
    request_in,
    write_frames,
)


class Desk:
    """The verbs round one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteJobStore(folder / "jobs.sqlite", Clock())
        self.audit = ListAudit()
        self.workers = IdleWorkers()
        engines = FixedEngines()
        self.submit = SubmitJob(
            self.store,
            engines,
            PathPolicy([str(folder)]),
            allocate_takes,
            self.audit,
            self.workers,
            Clock(),
        ).submit
        self.conclude = ConcludeJob(self.store, self.audit, engines, Clock())
        self.cancel = CancelJob(self.store, self.workers, self.conclude).cancel
        self.recover = RecoverJobs(self.store, self.conclude).recover

    def running(self, **changes):
        self.submit(request_in(self.folder, **changes))
        return self.store.claim_next()

    def made(self, job, *frames: int) -> None:
        """Have the frames on disk, and told."""
        for take in job.takes:
            write_frames(take, *frames)
            for frame in frames:
                self.store.add_frame(job.id, FrameDone(take.index, frame, "p"))

    def folders(self):
        return sorted(path.name for path in (self.folder / "takes").glob("*"))


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def test_a_submitted_job_waits_is_recorded_and_wakes_the_workers(desk):
    job = desk.submit(request_in(desk.folder, takes=2)).job
    assert job.state is JobState.QUEUED
    assert desk.folders() == ["fill_v001", "fill_v002"]
    assert [(e.event, e.job.id, e.engine.id) for e in desk.audit.entries] == [
        ("submitted", job.id, "paint")
    ]
    assert desk.workers.woken == 1


def test_what_cannot_be_recorded_is_not_queued_and_leaves_no_folder(desk):
    desk.audit.full = True
    with pytest.raises(DiskFull):
        desk.submit(request_in(desk.folder))
    assert desk.store.recent(10) == ()
    assert desk.folders() == []
    assert desk.workers.woken == 0


def test_a_key_gives_its_job_again_without_another_folder(desk):
    request = request_in(desk.folder)
    first = desk.submit(request, "key")
    again = desk.submit(request, "key")
    assert (first.is_new, again.is_new) == (True, False)
    assert first.job.id == again.job.id
    assert desk.folders() == ["fill_v001"]
    with pytest.raises(InvalidRequest, match="another request"):
        desk.submit(request_in(desk.folder, seed=1), "key")
    with pytest.raises(InvalidRequest, match="characters"):
        desk.submit(request, "k" * 201)


def test_job_ids_sort_by_time_and_are_not_alike():
    ids = [new_job_id(float(n)) for n in range(1, 2000, 13)]
    assert ids == sorted(ids)
    assert len({new_job_id(5.0) for _ in range(500)}) == 500


def test_a_job_is_done_when_all_of_it_is_on_disk(desk):
    job = desk.running(takes=2)
    desk.made(job, 1001, 1002, 1003, 1004)
    assert desk.conclude.finished(job.id).state is JobState.DONE
    assert [entry.event for entry in desk.audit.entries] == ["submitted", "finished"]


def test_a_job_with_a_frame_never_made_is_failed_and_one_with_a_frame_gone_is_lost(desk):
    short = desk.running()
    desk.made(short, 1001, 1002, 1003)
    failed = desk.conclude.finished(short.id)
    assert failed.state is JobState.FAILED
    assert "1 frame" in failed.error.message
    robbed = desk.running()
    desk.made(robbed, 1001, 1002, 1003, 1004)
    Path(robbed.takes[0].path_pattern % 1002).unlink()
    assert desk.conclude.finished(robbed.id).state is JobState.LOST


@pytest.mark.parametrize("error", [FileNotFoundError("side.log"), RuntimeError("broken")])
def test_engines_that_cannot_be_asked_do_not_keep_a_job_from_ending(desk, error):
    class Broken:
        def engines(self):
            raise error

    job = desk.running()
    conclude = ConcludeJob(desk.store, desk.audit, Broken(), Clock())
    assert conclude.failed(job.id, OutOfMemory("No room.", hint="Less.")).state is JobState.FAILED
    assert [(e.event, e.engine.id) for e in desk.audit.entries][-1] == ("finished", "paint")


def test_a_full_audit_log_does_not_keep_a_job_from_ending(desk):
    job = desk.running()
    desk.audit.full = True
    ended = desk.conclude.failed(job.id, OutOfMemory("No room.", hint="Less."))
    assert ended.state is JobState.FAILED
    assert ended.error.code == "out_of_memory"


def test_the_end_is_recorded_also_when_the_engine_is_gone(desk):
    job = desk.running()
    conclude = ConcludeJob(desk.store, desk.audit, FixedEngines(WORDY), Clock())
    conclude.failed(job.id, GenerationFailed("It broke.", hint="Again."))
    assert desk.audit.entries[-1].engine.id == "paint"


def test_cancelling_a_waiting_job_ends_it_and_removes_its_empty_folder(desk):
    job = desk.submit(request_in(desk.folder)).job
    assert desk.cancel(job.id).state is JobState.CANCELLED
    assert desk.folders() == []
    assert desk.audit.entries[-1].job.state is JobState.CANCELLED
    assert desk.workers.cancelled == []


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_that_ends_leaves_nothing_behind_of_a_process_that_was_killed(desk, waits):
    job = desk.running()
    desk.made(job, 1001)
    folder = Path(job.takes[0].path_pattern).parent
    (folder / ".genaifill_scratch").mkdir()
    (folder / ".genaifill_scratch/window0").write_text("latents")
    (folder / f".{folder.name}.1002.exr.a1b2.part").write_bytes(b"half")
    (folder / ".another.part").write_bytes(b"not ours")
    if waits:
        desk.store.transition(job.id, JobState.QUEUED)
        desk.cancel(job.id)
    else:
        desk.conclude.failed(job.id, OutOfMemory("No room.", hint="Less."))
    left = sorted(path.name for path in folder.iterdir())
    assert left == [".another.part", f"{folder.name}.1001.exr"]


def test_cancelling_a_running_job_tells_its_worker_and_again_is_no_error(desk):
    job = desk.running()
    assert desk.cancel(job.id).state is JobState.CANCELLING
    assert desk.cancel(job.id).state is JobState.CANCELLING
    assert desk.workers.cancelled == [job.id, job.id]
    with pytest.raises(JobNotFound):
        desk.cancel("nobody")


def test_a_job_claimed_in_the_moment_of_its_cancel_is_still_cancelled(desk):
    job = desk.submit(request_in(desk.folder)).job
    store, moved = desk.store, []

    class Racing:
        """Claims the job between the look and the move."""

        def __getattr__(self, name):
            return getattr(store, name)

        def transition(self, *args, **kwargs):
            if not moved:
                moved.append(store.claim_next())
            return store.transition(*args, **kwargs)

    after = CancelJob(Racing(), desk.workers, desk.conclude).cancel(job.id)
    assert after.state is JobState.CANCELLING
    assert desk.workers.cancelled == [job.id]


def test_a_restart_resumes_cancels_and_gives_up_what_it_must(desk):
    running = desk.running()
    desk.made(running, 1001, 1002)
    Path(running.takes[0].path_pattern % 1002).unlink()
    cancelling = desk.running()
    desk.cancel(cancelling.id)
    lost = desk.running()
    waiting = desk.submit(request_in(desk.folder)).job
    Path(lost.takes[0].path_pattern).parent.rmdir()
    done = desk.store.get(waiting.id)

    touched = {job.id: job.state for job in desk.recover()}
    assert touched == {
        running.id: JobState.QUEUED,
        cancelling.id: JobState.CANCELLED,
        lost.id: JobState.LOST,
    }
    assert desk.store.get(running.id).takes[0].frames_done == (1001,)
    assert desk.store.get(waiting.id) == dataclasses.replace(
        done, queue_position=desk.store.get(waiting.id).queue_position
    )
    assert desk.recover() == ()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING])
def test_a_restart_gives_up_jobs_of_another_release_and_they_are_forgotten(desk, state):
    desk.submit(request_in(desk.folder))
    if state is not JobState.QUEUED:
        desk.store.claim_next()
    readable = desk.submit(request_in(desk.folder)).job
    unreadable = next(
        job
        for job in desk.store.in_state(JobState.QUEUED, JobState.RUNNING)
        if job.id != readable.id
    )
    if state is JobState.CANCELLING:
        desk.store.transition(unreadable.id, JobState.CANCELLING)
    with sqlite3.connect(desk.folder / "jobs.sqlite") as other:
        other.execute(
            "UPDATE jobs SET request = json_set(request, '$.takes', 1000000) WHERE id = ?",
            (unreadable.id,),
        )
    other.close()

    assert desk.recover() == ()

    last = desk.store.events(unreadable.id, 0)[-1]
    assert last.state is JobState.FAILED
    assert "1000000 takes" in last.error.message
    assert desk.store.forget_finished(float("inf")) == 1
    with pytest.raises(JobNotFound):
        desk.store.events(unreadable.id, 0)
    assert desk.store.get(readable.id).state is JobState.QUEUED


def test_policy_shows_non_commercial_engines_and_says_why_they_are_blocked():
    blocked, paint = under_policy([NON_COMMERCIAL, PAINT], allow_non_commercial=False)
    assert not blocked.available
    assert "CC-BY-NC-4.0" in blocked.unavailable_reason
    assert paint is PAINT
    assert under_policy([NON_COMMERCIAL], allow_non_commercial=True) == (NON_COMMERCIAL,)


def test_a_request_is_admitted_to_the_engine_it_names_or_told_why_not(tmp_path):
    engines = under_policy([PAINT, WORDY, NON_COMMERCIAL], allow_non_commercial=False)
    assert admit(request_in(tmp_path), engines) is PAINT
    with pytest.raises(UnknownEngine, match="paimt") as caught:
        admit(request_in(tmp_path, engine_id="paimt"), engines)
    assert "'paint'" in caught.value.hint
    with pytest.raises(LicenceForbids, match="may not run") as forbidden:
        admit(request_in(tmp_path, engine_id="nc"), engines)
    assert "CC-BY-NC-4.0" in forbidden.value.hint
    gone = dataclasses.replace(NON_COMMERCIAL, available=False, unavailable_reason="Not there.")
    with pytest.raises(ModelMissing, match="cannot run"):
        admit(request_in(tmp_path, engine_id="nc"), [gone])
    with pytest.raises(InvalidRequest, match="prompt"):
        admit(request_in(tmp_path, engine_id="wordy", prompt="  \n"), engines)
    assert admit(request_in(tmp_path, engine_id="wordy", prompt="x"), engines) is WORDY


def test_a_file_that_the_backends_own_environment_names_is_trusted(tmp_path):
    from genai_fill_contract.plate import ColourSettings

    root, elsewhere = tmp_path / "show", tmp_path / "pipeline"
    root.mkdir()
    elsewhere.mkdir()
    config = elsewhere / "config.ocio"
    config.touch()
    request = request_in(root, colour=ColourSettings(str(config)))
    with pytest.raises(PathNotAllowed, match="OCIO"):
        PathPolicy([str(root)]).check_request(request, PAINT)
    PathPolicy([str(root)], [str(config)]).check_request(request, PAINT)
    neighbour = request_in(root, colour=ColourSettings(str(elsewhere / "other.ocio")))
    with pytest.raises(PathNotAllowed):
        PathPolicy([str(root)], [str(config)]).check_request(neighbour, PAINT)


def test_a_root_does_not_open_a_folder_whose_name_begins_alike(tmp_path):
    root = tmp_path / "show"
    root.mkdir()
    (tmp_path / "show_secret").mkdir()
    policy = PathPolicy([str(root)])
    policy.check_file("It", str(root / "a.exr"))
    with pytest.raises(PathNotAllowed):
        policy.check_file("It", str(tmp_path / "show_secret" / "a.exr"))


def test_a_root_that_is_a_link_opens_what_it_leads_to(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "show").symlink_to(tmp_path / "disk")
    policy = PathPolicy([str(tmp_path / "show")])
    policy.check_file("It", str(tmp_path / "show" / "a.exr"))
    policy.check_file("It", str(tmp_path / "disk" / "a.exr"))


@pytest.mark.parametrize("path", ["a.exr", "", "show/a.exr", "/show/\0/a.exr"])
def test_what_is_not_a_full_path_is_refused(tmp_path, path):
    with pytest.raises(InvalidRequest, match="full path"):
        PathPolicy([str(tmp_path)]).check_file("It", path)


def test_a_request_of_endless_paths_or_inputs_is_refused_before_the_disk_is_asked(tmp_path):
    policy = PathPolicy([str(tmp_path)])
    request = request_in(tmp_path)
    endless = f"{tmp_path}/{'#' * 2_000_000}.exr"
    still = InputRef(InputRole.PATCH, f"{tmp_path}/a.exr", request.frame_range)
    for hostile in (
        dataclasses.replace(request, plate=PlateRef(endless, request.frame_range)),
        dataclasses.replace(request, output=OutputPlace(f"{tmp_path}/{'a/' * 3000}", "fill")),
        dataclasses.replace(request, inputs=(still,) * 65),
    ):
        with pytest.raises(InvalidRequest, match="at most") as refused:
            policy.check_request(hostile, PAINT)
        assert len(str(refused.value)) < 500


def test_ten_thousand_frames_are_checked_in_a_moment(tmp_path):
    import time

    from genai_fill_contract.plate import FrameRange, PlateRef

    plate = PlateRef(f"{tmp_path}/plate.%04d.exr", FrameRange(1, 10_000))
    began = time.monotonic()
    PathPolicy([str(tmp_path)]).check_request(request_in(tmp_path, plate=plate), PAINT)
    assert time.monotonic() - began < 3


def test_a_path_that_takes_its_time_holds_up_no_other_key(desk, monkeypatch):
    """A network disk that hangs must not keep every artist from submitting."""
    slow, quick = threading.Event(), threading.Event()
    look = PathPolicy.check_request

    def check(self, request, engine):
        if request.seed == 1:
            slow.set()
            assert quick.wait(10), "another request had to wait"
        return look(self, request, engine)

    monkeypatch.setattr(PathPolicy, "check_request", check)
    hanging = threading.Thread(target=desk.submit, args=(request_in(desk.folder, seed=1), "one"))
    hanging.start()
    assert slow.wait(10)
    desk.submit(request_in(desk.folder, seed=2), "two")
    quick.set()
    hanging.join(10)
    assert {job.request.seed for job in desk.store.recent(10)} == {1, 2}


def test_the_same_key_from_several_threads_at_once_makes_one_job(desk):
    made = []
    request = request_in(desk.folder)
    threads = [
        threading.Thread(target=lambda: made.append(desk.submit(request, "same"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({one.job.id for one in made}) == 1
    assert sorted(one.is_new for one in made) == [False] * 5 + [True]


def test_a_file_of_an_option_may_lie_with_the_models_and_nothing_else_may(tmp_path):
    """Studios keep models apart from shows: a LoRA lies beside the models that it is for."""
    show, models = tmp_path / "show", tmp_path / "models"
    outside = tmp_path / "other" / "look.safetensors"
    for path in (models / "look.safetensors", outside):
        path.parent.mkdir(parents=True)
        path.touch()
    (models / "out.safetensors").symlink_to(outside)
    policy = PathPolicy([str(show)], model_dirs=[str(models)])

    def option(path):
        return request_in(show, engine_options={"reference": str(path)})

    policy.check_request(option(models / "look.safetensors"), PAINT)
    with pytest.raises(PathNotAllowed, match="Reference"):
        PathPolicy([str(show)]).check_request(option(models / "look.safetensors"), PAINT)
    for refused in (
        option(outside),
        option(models / "out.safetensors"),
        option(models / ".." / "other" / "look.safetensors"),
        request_in(show, output=OutputPlace(f"{models}/takes", "fill")),
        request_in(show, plate=PlateRef(f"{models}/plate.%04d.exr", FrameRange(1001, 1004))),
    ):
        with pytest.raises(PathNotAllowed):
            policy.check_request(refused, PAINT)
