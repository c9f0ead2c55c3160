"""The client against a server that misbehaves."""

from __future__ import annotations

import http.server
import json
import threading
from dataclasses import replace

import pytest

from genai_fill_contract import codec
from genai_fill_contract.errors import (
    BackendLost,
    BackendTimeout,
    BackendUnreachable,
    MalformedMessage,
    VersionMismatch,
)
from genai_fill_contract.hello import Hello, JobList
from genai_fill_contract.job import EventKind, Job, JobEvent, JobState
from genai_fill_contract.proof import NONCE_HEADER, proof_of
from genai_fill_server.http.client import BackendClient
from genai_fill_server.http.event_stream import as_sse


def event(number: int, state: JobState = JobState.RUNNING) -> JobEvent:
    return JobEvent(number, "j", EventKind.STATE, 1.0, state)


class Script(http.server.BaseHTTPRequestHandler):
    """Proves to know "secret", then answers what the test scripted, one after the other."""

    answers: list = []  # noqa: RUF012 - replaced by each test's own subclass
    asked: list = []  # noqa: RUF012

    def do_GET(self):
        if NONCE_HEADER in self.headers and "Authorization" not in self.headers:
            proof = proof_of("secret", self.headers[NONCE_HEADER], "s")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(codec.dumps(Hello("1.0", "0", "s", proof=proof)).encode())
            return
        self.asked.append((self.path, self.headers.get("Last-Event-ID")))
        status, body = self.answers.pop(0)
        if status == "wait":
            body.wait(5)
            return
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def scripted():
    """Start a server that gives ``answers`` one after the other; return its client."""
    running = []

    def start(*answers, **options):
        handler = type("Scripted", (Script,), {"answers": list(answers), "asked": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        client = BackendClient(url, "secret", sleep=lambda _: None, **options)
        running.append((server, thread, client))
        return client, handler.asked

    yield start
    for server, thread, client in running:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def job_json(state: str) -> bytes:
    from pathlib import Path

    from tests.fakes.job_stores import request_in

    return codec.dumps(Job("j", JobState(state), request_in(Path("/x")), (), 1.0)).encode()


def test_a_broken_stream_is_taken_up_after_the_last_event_seen(scripted):
    client, asked = scripted(
        (200, as_sse(event(3)) + as_sse(event(5))),
        (200, job_json("running")),
        (503, b"down for a moment"),
        (200, b": still here\n\n" + as_sse(event(9, JobState.DONE))),
        (200, job_json("done")),
    )
    assert [e.id for e in client.follow("j")] == [3, 5, 9]
    streams = [last for path, last in asked if path.endswith("/events")]
    assert streams == ["0", "5", "5"]


def test_a_backend_that_stays_away_is_lost(scripted):
    client, _ = scripted(*[(503, b"")] * 5, patience_s=0.0)
    with pytest.raises(BackendLost, match="job j"):
        list(client.follow("j"))


def test_nothing_listening_is_unreachable():
    client = BackendClient("http://127.0.0.1:9", "secret")
    with pytest.raises(BackendUnreachable, match="127"):
        client.hello()
    client.close()


def test_a_silent_backend_times_out(scripted):
    stop = threading.Event()
    client, _ = scripted(("wait", stop), timeout_s=0.2)
    with pytest.raises(BackendTimeout):
        client.hello()
    stop.set()


def test_another_major_version_is_refused(scripted):
    client, _ = scripted((200, codec.dumps(Hello("2.0", "9", "s", 1)).encode()))
    with pytest.raises(VersionMismatch):
        client.hello()


def test_a_later_minor_version_is_understood(scripted):
    client, _ = scripted(
        (
            200,
            b'{"contract_version": "1.9", "product_version": "2", "server_id": "s", '
            b'"pid": 1, "new": true}',
        )
    )
    assert client.hello().contract_version == "1.9"


def test_an_answer_that_is_no_message_is_malformed(scripted):
    client, _ = scripted((200, b"<html>"))
    with pytest.raises(MalformedMessage):
        client.hello()


def test_a_list_of_many_jobs_is_larger_than_any_message_to_the_backend(scripted):
    job = codec.decode(Job, json.loads(job_json("done")))
    long = replace(job, request=replace(job.request, prompt="ä" * 32_000))
    text = codec.dumps(JobList((long,) * 150)).encode()
    assert len(text) > 2 * codec.MAX_MESSAGE_BYTES
    client, _ = scripted((200, text))
    assert client.jobs(200) == (long,) * 150


def test_a_job_id_cannot_lead_to_another_address(scripted):
    client, asked = scripted((200, job_json("done")))
    client.job("../hello?x=1#y")
    assert asked[0][0] == "/v1/jobs/..%2Fhello%3Fx%3D1%23y"
