"""What is left when a worker or the backend itself dies: the queue, and every finished frame."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from genai_fill_contract.job import EventKind, JobState
from genai_fill_contract.plate import path_at
from tests.fakes.backend_process import is_running, wait_until


def worker_pid(client, job) -> int:
    """Return the process id that the test engine logs when a job starts."""

    def said():
        with_pid = [
            re.fullmatch(r"pid=(\d+) .*", event.message)
            for event in _events_now(client, job)
            if event.kind is EventKind.LOG
        ]
        return [int(match[1]) for match in with_pid if match]

    return wait_until(said)[-1]


def _events_now(client, job):
    events = []
    last = client.job(job.id).last_event_id
    for event in client.follow(job.id):
        events.append(event)
        if event.id >= last:
            break
    return events


def frames_done(client, job) -> int:
    return len(client.job(job.id).takes[0].frames_done)


def frame_times(job) -> dict[int, int]:
    take = job.takes[0]
    paths = {frame: Path(path_at(take.path_pattern, frame)) for frame in take.frames_done}
    return {frame: path.stat().st_mtime_ns for frame, path in paths.items()}


def test_a_job_whose_worker_is_killed_goes_on_at_its_first_missing_frame(backend_in, request_for):
    client = backend_in().client()
    job = client.submit(request_for(frames=(1001, 1006), options={"delay_s": 0.3}))
    pid = worker_pid(client, job)
    wait_until(lambda: frames_done(client, job) >= 2)
    kept = frame_times(client.job(job.id))
    os.kill(pid, signal.SIGKILL)
    states = [e.state for e in client.follow(job.id) if e.kind is EventKind.STATE]

    done = client.job(job.id)
    assert done.state is JobState.DONE
    assert states == ["queued", "running", "queued", "running", "done"]
    assert len(done.takes[0].frames_done) == 6
    after = frame_times(done)
    assert {frame: after[frame] for frame in kept} == kept


def test_a_job_that_kills_every_worker_fails_and_the_queue_goes_on(
    backend_in, request_for, tmp_path, shot
):
    memory = shot / tmp_path.name
    memory.mkdir()
    client = backend_in().client()
    # It waits before each frame, so that those before it are on disk when it dies.
    deadly_at_1003 = {"die_at": 1003, "deaths": 99, "delay_s": 0.5}
    deadly = client.submit(request_for(options={**deadly_at_1003, "memory_folder": str(memory)}))
    harmless = client.submit(request_for())
    list(client.follow(deadly.id))
    list(client.follow(harmless.id))
    failed = client.job(deadly.id)
    assert failed.state is JobState.FAILED
    assert failed.error.code == "worker_died"
    assert failed.error.retryable
    assert len(list(memory.iterdir())) == 2
    assert failed.takes[0].frames_done == (1001, 1002)
    assert client.job(harmless.id).state is JobState.DONE


def test_a_job_whose_worker_died_once_is_done(backend_in, request_for, tmp_path, shot):
    memory = shot / tmp_path.name
    memory.mkdir()
    client = backend_in().client()
    job = client.submit(request_for(options={"die_at": 1002, "memory_folder": str(memory)}))
    list(client.follow(job.id))
    assert client.job(job.id).state is JobState.DONE
    assert len(list(memory.iterdir())) == 1


def test_a_killed_backend_takes_its_worker_with_it_and_the_next_one_resumes(
    backend_in, request_for
):
    first = backend_in()
    client = first.client()
    job = client.submit(request_for(frames=(1001, 1008), options={"delay_s": 0.3}))
    waiting = client.submit(request_for())
    pid = worker_pid(client, job)
    wait_until(lambda: frames_done(client, job) >= 2)
    kept = frame_times(client.job(job.id))
    first.kill()
    wait_until(lambda: not is_running(pid), timeout_s=10)

    client = backend_in().client()
    assert client.job(job.id).state in (JobState.QUEUED, JobState.RUNNING)
    list(client.follow(job.id))
    list(client.follow(waiting.id))
    done = client.job(job.id)
    assert done.state is JobState.DONE
    assert len(done.takes[0].frames_done) == 8
    after = frame_times(done)
    assert {frame: after[frame] for frame in kept} == kept
    assert client.job(waiting.id).state is JobState.DONE


def test_a_worker_stuck_in_a_library_does_not_outlive_its_backend(backend_in, request_for):
    first = backend_in()
    client = first.client()
    job = client.submit(request_for(options={"deaf_s": 60.0}))
    pid = worker_pid(client, job)
    first.kill()
    wait_until(lambda: not is_running(pid), timeout_s=15)


def test_a_stopped_backend_leaves_its_jobs_to_the_next_one(backend_in, request_for):
    first = backend_in()
    client = first.client()
    job = client.submit(request_for(options={"delay_s": 0.4}))
    pid = worker_pid(client, job)
    wait_until(lambda: frames_done(client, job) >= 1)
    began = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - began < 5
    assert not is_running(pid)
    assert not (first.state_dir / "endpoint.json").exists()

    client = backend_in().client()
    list(client.follow(job.id))
    assert client.job(job.id).state is JobState.DONE


def test_a_follower_survives_a_restart_of_the_backend(backend_in, request_for):
    first = backend_in()
    port = int(first.url.rsplit(":", 1)[1])
    job = first.client().submit(request_for(options={"delay_s": 0.3}))
    follower = first.http()
    from genai_fill_server.http.client import BackendClient

    client = BackendClient(first.url, first.token)
    events = client.follow(job.id)
    seen = [next(events)]
    first.kill()
    backend_in(server_port=port)
    seen.extend(events)
    client.close()
    follower.close()
    assert seen[-1].state is JobState.DONE
    ids = [event.id for event in seen]
    assert ids == sorted(set(ids))


def test_a_job_that_was_being_cancelled_when_the_backend_died_is_cancelled(backend_in, request_for):
    first = backend_in()
    client = first.client()
    job = client.submit(request_for(options={"deaf_s": 60.0}))
    worker_pid(client, job)
    assert client.cancel(job.id).state is JobState.CANCELLING
    first.kill()
    client = backend_in().client()
    wait_until(lambda: client.job(job.id).state is JobState.CANCELLED)


def test_a_job_whose_folder_vanished_while_no_backend_ran_is_lost(backend_in, request_for):
    first = backend_in()
    client = first.client()
    running = client.submit(request_for(options={"delay_s": 60.0}))
    waiting = client.submit(request_for())
    worker_pid(client, running)
    first.kill()
    Path(waiting.takes[0].path_pattern).parent.rmdir()

    client = backend_in().client()
    wait_until(lambda: client.job(waiting.id).state is JobState.LOST)
    assert client.job(waiting.id).error.code == "backend_lost"
    client.cancel(running.id)


def test_an_idle_worker_gives_its_memory_back_and_the_next_job_starts_another(
    backend_in, request_for
):
    client = backend_in(worker_idle_timeout_s=0.5).client()
    first = client.submit(request_for())
    pid = worker_pid(client, first)
    list(client.follow(first.id))
    assert is_running(pid)
    wait_until(lambda: not is_running(pid), timeout_s=10)
    second = client.submit(request_for())
    list(client.follow(second.id))
    assert client.job(second.id).state is JobState.DONE
    assert worker_pid(client, second) != pid


def test_a_worker_that_died_while_idle_costs_no_job_a_life(backend_in, request_for):
    client = backend_in().client()
    first = client.submit(request_for())
    list(client.follow(first.id))
    os.kill(worker_pid(client, first), signal.SIGKILL)
    second = client.submit(request_for())
    states = [e.state for e in client.follow(second.id) if e.kind is EventKind.STATE]
    assert states == ["queued", "running", "done"]


def test_a_second_backend_on_the_same_state_folder_says_who_runs(backend_in):
    first = backend_in()
    second = subprocess.run(
        first.command("serve"), env=first.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 3
    assert str(first.process.pid) in second.stderr
    assert first.url in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_said_in_words(backend_in, tmp_path):
    first = backend_in()
    port = first.url.rsplit(":", 1)[1]
    second = subprocess.run(
        first.command("serve", "--port", port, "--state-dir", str(tmp_path / "other")),
        env=first.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 3
    assert f"Port {port}" in second.stderr
    assert "in use" in second.stderr


def test_two_users_of_one_machine_each_get_a_backend_though_nobody_chose_a_port(
    backend_in, tmp_path
):
    import socket

    from genai_fill_contract.settings import ServerSettings

    other = backend_in()
    del other.environment["GENAI_FILL_SERVER_PORT"]
    other.stop()
    with socket.socket() as somebody_elses:
        try:
            somebody_elses.bind(("127.0.0.1", ServerSettings.port))
            somebody_elses.listen()
        except OSError:
            pass  # taken already: that serves as well
        other.start()
        assert not other.url.endswith(f":{ServerSettings.port}")
        assert other.client().hello().pid == other.process.pid


def test_a_damaged_job_database_is_refused_and_kept(backend_in):
    first = backend_in()
    first.stop()
    database = first.state_dir / "jobs.sqlite"
    database.write_bytes(b"this is no database" * 500)
    second = subprocess.run(
        first.command("serve"), env=first.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert "jobs.sqlite" in second.stderr
    assert database.read_bytes() == b"this is no database" * 500


def test_the_first_answer_comes_within_seconds_of_the_start(backend_in):
    began = time.monotonic()
    backend = backend_in()
    assert backend.client().hello().pid == backend.process.pid
    # The aim is one second on a quiet machine; this bound holds on a busy one, too.
    assert time.monotonic() - began < 5
