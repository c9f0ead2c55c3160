import json
import socket
import threading
import time
from dataclasses import replace

import pytest

from genai_fill.adapters.http_backend import LISTED_JOBS, HttpBackend
from genai_fill_contract import codec
from genai_fill_contract.errors import (
    BackendTimeout,
    BackendUnreachable,
    ConfigError,
    ErrorCode,
    ErrorReport,
    Internal,
    InvalidRequest,
    MalformedMessage,
    VersionMismatch,
    WrongToken,
)
from genai_fill_contract.fill import FillRequest, OutputPlace
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import EventKind, Job, JobEvent, JobState
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelInfo,
    ModelList,
    ModelState,
    ModelTask,
    ModelTaskList,
    ModelVerb,
    PullRequest,
)
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef
from genai_fill_contract.proof import NONCE_HEADER, proof_of
from tests.unit.plugin.fakes import CLEANPLATE
from tests.unit.plugin.http_server import send, serving, stream

REQUEST = FillRequest(
    PlateRef("/s/p.%04d.exr", FrameRange(1, 3)),
    MatteRef("/s/m.%04d.exr", FrameRange(1, 3)),
    FrameRange(1, 3),
    "cleanplate",
    OutputPlace("/s/out", "fill"),
    prompt="ein Häuschen",
)
JOB = Job("j 1/../x", JobState.RUNNING, REQUEST, (), 1.0)
JOB_PATH = "/v1/jobs/j%201%2F..%2Fx"


@pytest.fixture
def server():
    with serving() as answers:
        yield answers


@pytest.fixture
def backend(server):
    return HttpBackend(server.url, "s3cret", timeout_s=5.0)


def event(number, state=JobState.RUNNING):
    return JobEvent(number, "j", EventKind.STATE, 1.0, state)


def wire(*events):
    return b"".join(b"id: %d\ndata: %s\n\n" % (e.id, codec.dumps(e).encode()) for e in events)


def test_every_request_carries_the_token_and_the_contract(server, backend):
    server.json("GET", "/v1/hello", Hello("1.7", "0.1.0", "s", 1))
    assert backend.hello().server_id == "s"
    headers = server.requests[0][2]
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["GenAI-Fill-Contract"] == "1.0"


def test_fields_of_a_later_release_are_ignored(server, backend):
    server.raw("GET", "/v1/hello", 200, json.dumps({"contract_version": "1.9", "new": 1,
        "product_version": "2", "server_id": "s", "pid": 3}).encode())  # fmt: skip
    assert backend.hello().product_version == "2"


def test_another_major_version_is_refused_by_body_and_by_header(server, backend):
    server.json("GET", "/v1/hello", Hello("2.0", "9", "s", 1))
    with pytest.raises(VersionMismatch):
        backend.hello()
    server.json("GET", "/v1/engines", EngineList((), ""), GenAI_Fill_Contract="2.1")
    with pytest.raises(VersionMismatch):
        backend.engines()


def test_engines_come_whole(server, backend):
    server.json("GET", "/v1/engines", EngineList((CLEANPLATE,), "cleanplate"))
    assert backend.engines().engines == (CLEANPLATE,)


def test_a_fill_is_posted_with_its_key(server, backend):
    server.json("POST", "/v1/jobs", JOB, 201)
    assert backend.submit(REQUEST, key="k1") == JOB
    _, _, headers, body = server.requests[0]
    assert headers["Idempotency-Key"] == "k1"
    assert codec.loads(FillRequest, body) == REQUEST


def test_a_job_id_cannot_lead_to_another_address(server, backend):
    server.json("GET", JOB_PATH, JOB)
    server.json("POST", f"{JOB_PATH}/cancel", JOB)
    assert backend.job(JOB.id) == JOB
    assert backend.cancel(JOB.id) == JOB


def test_the_latest_jobs_are_listed(server, backend):
    server.json("GET", f"/v1/jobs?limit={LISTED_JOBS}", JobList((JOB,)))
    assert backend.recent_jobs().jobs == (JOB,)


def test_a_picture_is_bytes(server, backend):
    server.raw("GET", "/v1/jobs/j/takes/2/thumbnail.png?frame=1001&width=240", 200, b"\x89PNG",
               Content_Type="image/png")  # fmt: skip
    assert backend.thumbnail("j", 2, frame=1001, width=240) == b"\x89PNG"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_of_the_contract_comes_out_as_its_class(server, backend, code):
    error = ErrorReport(code, "What happened.", "What to do.", context={"frame": 3}).to_error()
    server.error("GET", "/v1/engines", error, 409)
    with pytest.raises(type(error)) as caught:
        backend.engines()
    assert (caught.value.message, caught.value.hint) == ("What happened.", "What to do.")
    assert caught.value.context == {"frame": 3}


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, WrongToken), (403, WrongToken), (404, BackendUnreachable), (500, Internal),
     (302, BackendUnreachable)],
)  # fmt: skip
def test_an_answer_that_is_not_a_backends_is_said_to_be_so(server, backend, status, error):
    server.raw("GET", "/v1/engines", status, b"<html>", Location="http://elsewhere/")
    with pytest.raises(error):
        backend.engines()
    assert len(server.requests) == 1  # no redirect was followed


def test_an_error_of_a_later_release_still_is_an_error(server, backend):
    server.raw("GET", "/v1/engines", 500, b'{"code": "new_one", "message": "m"}')
    with pytest.raises(Internal):
        backend.engines()


def test_an_error_report_that_clashes_with_our_names_does_not_crash(server, backend):
    report = b'{"code": "internal", "message": "m", "context": {"hint": "x", "message": "y"}}'
    server.raw("GET", "/v1/engines", 500, report)
    with pytest.raises(Internal):
        backend.engines()


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"engines": 3}', b"\xff\xfe"])
def test_an_answer_that_is_not_a_message_is_malformed(server, backend, body):
    server.raw("GET", "/v1/engines", 200, body)
    with pytest.raises(MalformedMessage):
        backend.engines()


def test_an_endless_answer_is_cut_off(server, backend):
    server.raw("GET", "/v1/engines", 200, b" " * (codec.MAX_ANSWER_BYTES + 10))
    with pytest.raises(MalformedMessage, match="more than"):
        backend.engines()


def test_a_list_of_many_jobs_is_larger_than_any_message_to_the_backend(server, backend):
    many = JobList((replace(JOB, request=replace(REQUEST, prompt="ä" * 32_000)),) * 150)
    assert len(codec.dumps(many).encode()) > 2 * codec.MAX_MESSAGE_BYTES
    server.json("GET", f"/v1/jobs?limit={LISTED_JOBS}", many)
    assert backend.recent_jobs() == many


def test_a_backend_that_is_not_there_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BackendUnreachable, match="Nothing answers at http"):
        HttpBackend(url, "t").hello()


def test_a_backend_that_is_silent_times_out(server):
    gate = threading.Event()
    server.on("GET", "/v1/hello", lambda handler: gate.wait(5))
    try:
        with pytest.raises(BackendTimeout):
            HttpBackend(server.url, "s3cret", timeout_s=0.2).hello()
    finally:
        gate.set()


def test_a_connection_that_breaks_in_the_answer_is_unreachable(server, backend):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True

    server.on("GET", "/v1/engines", half)
    with pytest.raises(BackendUnreachable):
        backend.engines()


@pytest.mark.parametrize("url", ["", "ftp://x", "127.0.0.1:8791", "http://", "http://h:99999"])
def test_an_address_that_is_none_is_a_matter_of_settings(url):
    with pytest.raises(ConfigError, match=r"backend.url|address"):
        HttpBackend(url, "t")


def test_a_token_that_http_cannot_carry_is_said(server):
    server.token = "a\nb"
    with pytest.raises(BackendUnreachable, match="token"):
        HttpBackend(server.url, "a\nb").hello()


def test_the_token_goes_over_the_connection_of_the_proof_and_no_other(server, backend):
    def prove_and_hang_up(handler):
        proof = proof_of("s3cret", handler.headers[NONCE_HEADER], "s")
        body = codec.dumps(Hello("1.0", "0", "s", proof=proof)).encode()
        send(handler, 200, body, Connection="close")
        handler.close_connection = True

    server.greet = prove_and_hang_up
    for ask in (backend.hello, lambda: backend.events("j", after=0)):
        with pytest.raises(BackendUnreachable):
            ask()
    assert server.requests == []


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.json("GET", "/v1/hello", Hello("1.0", "0", "s", 1))
    assert HttpBackend(server.url, "s3cret").hello().pid == 1


def test_events_come_in_order_with_signs_of_life(server, backend):
    server.on("GET", "/v1/jobs/j/events?after=4",
              stream(b": hi\n\n", wire(event(5)), wire(event(6, JobState.DONE))))  # fmt: skip
    feed = backend.events("j", after=4)
    assert list(feed) == [None, event(5), event(6, JobState.DONE)]
    assert server.requests[0][2]["Last-Event-ID"] == "4"


def test_an_event_may_be_cut_into_any_pieces(server, backend):
    data = wire(event(1))
    server.on("GET", "/v1/jobs/j/events?after=0",
              stream(*(data[i : i + 1] for i in range(len(data)))))  # fmt: skip
    assert list(backend.events("j", after=0)) == [event(1)]


def test_an_event_without_its_end_is_not_one(server, backend):
    server.on("GET", "/v1/jobs/j/events?after=0", stream(wire(event(1)), wire(event(2))[:-1]))
    assert list(backend.events("j", after=0)) == [event(1)]


def test_an_event_that_is_not_ours_is_malformed(server, backend):
    server.on("GET", "/v1/jobs/j/events?after=0", stream(b"data: {}\n\n"))
    with pytest.raises(MalformedMessage):
        list(backend.events("j", after=0))


def test_an_event_without_end_is_cut_off(server, backend):
    server.on("GET", "/v1/jobs/j/events?after=0", stream(b"data: " + b"x" * (1024 * 1024 + 9)))
    with pytest.raises(MalformedMessage, match="without end"):
        list(backend.events("j", after=0))


def test_what_is_not_an_event_stream_is_malformed(server, backend):
    server.on("GET", "/v1/jobs/j/events?after=0", stream(b"{}", content_type="application/json"))
    with pytest.raises(MalformedMessage, match="events"):
        backend.events("j", after=0)


def test_a_stream_that_breaks_is_unreachable(server, backend):
    def broken(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"ff\r\n: half")
        handler.wfile.flush()
        handler.close_connection = True

    server.on("GET", "/v1/jobs/j/events?after=0", broken)
    with pytest.raises(BackendUnreachable):
        list(backend.events("j", after=0))


def test_closing_a_feed_wakes_its_reader_at_once(server, backend):
    hold = threading.Event()
    server.on("GET", "/v1/jobs/j/events?after=0", stream(wire(event(1)), hold=hold))
    feed = backend.events("j", after=0)
    read = []
    reader = threading.Thread(target=lambda: read.extend(feed))
    reader.start()
    deadline = time.monotonic() + 5
    while not read and time.monotonic() < deadline:
        time.sleep(0.01)
    feed.close()
    reader.join(5)
    hold.set()
    assert not reader.is_alive()
    assert read == [event(1)]


TASK = ModelTask("t 1", "flux", ModelVerb.PULL, JobState.RUNNING, 1.0)


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        (
            lambda b: b.pull_model("a/../b", PullRequest(accept_licence=True)),
            "/v1/models/a%2F..%2Fb/pull",
            {"accept_licence": True},
        ),
        (lambda b: b.add_model(AddRequest("/in/x")), "/v1/models/add", {"path": "/in/x"}),
        (lambda b: b.verify_model("flux", ChangeRequest()), "/v1/models/flux/verify", {}),
        (lambda b: b.remove_model("flux", ChangeRequest()), "/v1/models/flux/remove", {}),
    ],
)
def test_work_on_models_is_posted_and_its_task_returned(server, backend, call, path, body):
    server.json("POST", path, TASK, 202)

    assert call(backend) == TASK
    assert json.loads(server.requests[0][3]) == body


def test_models_and_tasks_are_listed_and_tasks_cancelled(server, backend):
    models = ModelList((ModelInfo("flux", "FLUX", ModelState.MISSING),), ("/models",))
    server.json("GET", "/v1/models", models)
    server.json("GET", "/v1/models/tasks", ModelTaskList((TASK,)))
    server.json("POST", "/v1/models/tasks/t%201/cancel", TASK)

    assert backend.models() == models
    assert backend.model_tasks().tasks == (TASK,)
    assert backend.cancel_model_task("t 1") == TASK


def test_a_pull_that_is_refused_raises_what_the_backend_says(server, backend):
    refusal = InvalidRequest("FLUX has a licence that must be agreed to.", hint="Read it.")
    server.error("POST", "/v1/models/flux/pull", refusal, 422)

    with pytest.raises(InvalidRequest, match="agreed to"):
        backend.pull_model("flux", PullRequest())
