"""A job's life against a real backend, a real worker and real frames."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path

import pytest

from genai_fill_contract.job import EventKind, JobState
from genai_fill_contract.plate import path_at
from tests.fakes.backend_process import wait_until


def finish(client, job):
    return list(client.follow(job.id))


def test_a_job_goes_from_queued_to_done_and_its_frames_are_on_disk(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(takes=2, seed=5))
    assert job.state is JobState.QUEUED
    events = finish(client, job)

    done = client.job(job.id)
    assert done.state is JobState.DONE
    assert [event.state for event in events if event.kind is EventKind.STATE] == [
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.DONE,
    ]
    assert [take.seed for take in done.takes] == [5, 6]
    assert {take.version for take in done.takes} == {1, 2}
    for take in done.takes:
        assert take.frames_done == (1001, 1002, 1003, 1004)
        assert take.crop is not None
        assert all(Path(path_at(take.path_pattern, f)).exists() for f in take.frames_done)
        assert json.loads(Path(take.recipe_path).read_text())
    assert done.progress.fraction == 1.0
    assert done.started_s >= done.created_s
    assert done.finished_s >= done.started_s


def test_event_ids_rise_and_every_frame_is_told_once(backend, request_for):
    client = backend.client()
    events = finish(client, client.submit(request_for()))
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    frames = [event.frame.frame for event in events if event.kind is EventKind.FRAME]
    assert sorted(frames) == [1001, 1002, 1003, 1004]


def test_a_follower_resumes_after_the_last_event_it_saw(backend, request_for):
    client = backend.client()
    job = client.submit(request_for())
    events = finish(client, job)
    kept = [event for event in events if event.kind is not EventKind.PROGRESS]
    middle = kept[len(kept) // 2].id
    again = list(client.follow(job.id, after=middle))
    assert [event.id for event in again] == [event.id for event in kept if event.id > middle]
    assert list(client.follow(job.id, after=kept[-1].id)) == []


def test_last_event_id_counts_over_the_query(backend, request_for):
    client = backend.client()
    job = client.submit(request_for())
    finish(client, job)
    last = client.job(job.id).last_event_id
    with backend.http() as http:
        whole = http.get(f"/v1/jobs/{job.id}/events").text
        by_query = http.get(f"/v1/jobs/{job.id}/events", params={"after": last - 1}).text
        by_header = http.get(
            f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": str(last - 1)}
        ).text
    assert whole.startswith("id: ")
    assert whole.endswith(by_query)
    assert by_query == by_header
    assert by_query.count("data:") == 1


def test_the_same_key_gives_the_same_job_and_other_words_are_refused(backend, request_for):
    with backend.http() as http:
        from genai_fill_contract import codec

        body = codec.dumps(request_for())
        first = http.post("/v1/jobs", content=body, headers={"Idempotency-Key": "k1"})
        again = http.post("/v1/jobs", content=body, headers={"Idempotency-Key": "k1"})
        other = http.post(
            "/v1/jobs",
            content=codec.dumps(request_for(seed=9)),
            headers={"Idempotency-Key": "k1"},
        )
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 422


def test_concurrent_submits_never_share_a_version_folder(backend, request_for):
    request = request_for(frames=(1001, 1001), takes=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: backend.client().submit(request), range(12)))
    folders = [take.path_pattern for job in jobs for take in job.takes]
    assert len(set(folders)) == 24
    client = backend.client()
    for job in jobs:
        finish(client, job)
    assert {client.job(job.id).state for job in jobs} == {JobState.DONE}


def test_twenty_quick_jobs_run_in_the_order_in_which_they_came(backend, request_for):
    client = backend.client()
    jobs = [client.submit(request_for(frames=(1001, 1001), seed=n)) for n in range(20)]
    for job in jobs:
        finish(client, job)
    done = [client.job(job.id) for job in jobs]
    assert {job.state for job in done} == {JobState.DONE}
    assert [job.started_s for job in done] == sorted(job.started_s for job in done)
    assert [job.id for job in client.jobs(20)] == [job.id for job in reversed(jobs)]


def test_queue_positions_count_down_to_the_job_that_runs_next(backend, request_for):
    client = backend.client()
    running = client.submit(request_for(options={"delay_s": 30.0}))
    wait_until(lambda: client.job(running.id).state is JobState.RUNNING)
    first = client.submit(request_for())
    second = client.submit(request_for())
    assert [client.job(j.id).queue_position for j in (running, first, second)] == [None, 1, 2]
    client.cancel(first.id)
    assert client.job(second.id).queue_position == 1
    client.cancel(running.id)
    finish(client, second)
    assert client.job(second.id).state is JobState.DONE


def test_a_waiting_job_is_cancelled_at_once_and_leaves_no_folder(backend, request_for):
    client = backend.client()
    running = client.submit(request_for(options={"delay_s": 30.0}))
    wait_until(lambda: client.job(running.id).state is JobState.RUNNING)
    waiting = client.submit(request_for())
    folder = Path(waiting.takes[0].path_pattern).parent
    assert folder.is_dir()
    assert client.cancel(waiting.id).state is JobState.CANCELLED
    assert not folder.exists()
    assert client.cancel(waiting.id).state is JobState.CANCELLED
    client.cancel(running.id)
    finish(client, running)
    assert client.job(running.id).state is JobState.CANCELLED


def test_a_running_job_is_cancelled_within_a_step_and_the_worker_stays(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(options={"delay_s": 0.4}))
    events = client.follow(job.id)
    pid = next(e.message for e in events if e.message.startswith("pid="))
    next(e for e in events if e.kind is EventKind.FRAME)
    assert client.cancel(job.id).state in (JobState.CANCELLING, JobState.CANCELLED)
    rest = list(events)
    assert rest[-1].state is JobState.CANCELLED
    cancelled = client.job(job.id)
    assert 1 <= len(cancelled.takes[0].frames_done) < 4
    assert rest[-1].time_s - rest[0].time_s < 2
    after = client.submit(request_for())
    assert pid in [event.message for event in finish(client, after)]


def test_an_engine_that_raises_fails_its_job_with_words_and_the_queue_goes_on(backend, request_for):
    client = backend.client()
    bad = client.submit(request_for(options={"raise_at": 1003}))
    good = client.submit(request_for())
    finish(client, bad)
    finish(client, good)
    failed = client.job(bad.id)
    assert failed.state is JobState.FAILED
    assert failed.error.code == "generation_failed"
    assert "the paint ran out" in failed.error.message
    assert failed.takes[0].frames_done == (1001, 1002)
    assert client.job(good.id).state is JobState.DONE


def test_a_job_whose_engine_left_a_frame_out_is_never_done(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(options={"skip": 1002}))
    finish(client, job)
    assert client.job(job.id).state is JobState.FAILED
    assert client.job(job.id).error.code == "generation_failed"


def test_a_job_whose_frames_vanish_while_it_runs_is_lost_not_done(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(options={"delay_s": 0.3}))
    for event in client.follow(job.id):
        if event.kind is EventKind.FRAME and event.frame.frame == 1001:
            Path(event.frame.path).unlink()
    lost = client.job(job.id)
    assert lost.state is JobState.LOST
    assert lost.error.code == "backend_lost"


def test_thumbnails_are_pngs_of_finished_frames_only(backend, request_for):
    client = backend.client()
    job = client.submit(request_for())
    finish(client, job)
    with backend.http() as http:
        base = f"/v1/jobs/{job.id}/takes"
        png = http.get(f"{base}/0/thumbnail.png", params={"frame": 1002, "width": 40})
        assert png.status_code == 200
        assert png.content.startswith(b"\x89PNG")
        assert png.headers["content-type"] == "image/png"
        assert http.get(f"{base}/0/thumbnail.png", params={"frame": 999}).status_code == 422
        assert http.get(f"{base}/7/thumbnail.png").status_code == 400
        assert http.get(f"{base}/0/thumbnail.png", params={"width": 10**9}).status_code == 400


def test_a_take_without_a_frame_shows_what_is_being_made(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(options={"delay_s": 3.0}, frames=(1001, 1001)))
    with backend.http() as http:
        path = f"/v1/jobs/{job.id}/takes/0/thumbnail.png"

        def seen():
            return http.get(path, params={"frame": 1001, "width": 40})

        wait_until(lambda: seen().status_code == 200, timeout_s=30)
        so_far = seen()
        assert client.job(job.id).takes[0].frames_done == ()
        assert so_far.content.startswith(b"\x89PNG")
        assert so_far.headers["cache-control"] == "no-store"
        finish(client, job)
        final = seen()
        assert final.status_code == 200
        assert "immutable" in final.headers["cache-control"]
        assert final.content != so_far.content


def test_the_worker_is_off_line_with_its_threads_limited(backend, request_for):
    client = backend.client()
    said = [event.message for event in finish(client, client.submit(request_for()))]
    assert "offline=1" in said
    assert any(line.endswith("threads=1") for line in said)
    assert "device=auto" in said


def test_every_generation_is_in_the_audit_log(backend, request_for):
    from genai_fill_contract.fill import Provenance

    client = backend.client()
    who = Provenance(user="ada", show="calc", shot="sh010", script="/s/a.nk", node="GenAIFill1")
    job = client.submit(request_for(prompt="a brick wall", seed=41, provenance=who))
    finish(client, job)
    path = backend.state_dir / "audit.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600

    def lines():
        found = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in found if line["job"] == job.id]

    wait_until(lambda: len(lines()) == 2)
    submitted, finished = lines()
    assert (submitted["event"], finished["event"]) == ("submitted", "finished")
    assert finished["state"] == "done"
    assert finished["prompt"] == "a brick wall"
    assert finished["who"]["shot"] == "sh010"
    assert (finished["model"], finished["licence"]) == ("paint-1", "Apache-2.0")
    assert finished["takes"][0]["seed"] == 41
    assert finished["takes"][0]["frames_done"] == 4


def test_log_lines_carry_the_job_and_no_prompt(backend, request_for):
    client = backend.client()
    job = client.submit(request_for(prompt="a very secret prompt"))
    finish(client, job)
    log = backend.log()
    assert f"job={job.id}" in log
    assert "a very secret prompt" not in log


@pytest.mark.parametrize("name", ["numpy", "torch", "cv2", "numba", "OpenImageIO"])
def test_the_server_process_never_maps_a_heavy_library(backend, request_for, name):
    client = backend.client()
    finish(client, client.submit(request_for()))
    maps = Path(f"/proc/{backend.process.pid}/maps")
    if not maps.exists():
        pytest.fail("this test needs /proc; run the suite on Linux")
    assert f"/{name}" not in maps.read_text()
