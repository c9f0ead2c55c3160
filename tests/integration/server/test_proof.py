"""A backend proves itself before it gets the token: both clients, real and false backends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from genai_fill.adapters.config_files import FileSettings
from genai_fill.adapters.http_backend import HttpBackend
from genai_fill.adapters.state_files import StateFolderFinder
from genai_fill_contract.errors import (
    BackendUnreachable,
    ForbiddenOrigin,
    GenAIFillError,
    MalformedMessage,
    VersionMismatch,
    WrongToken,
)
from genai_fill_contract.proof import MAX_GREETING_BYTES, NONCE_HEADER, new_nonce, proof_of
from genai_fill_server.cli.connection import find_backend
from genai_fill_server.http.client import BackendClient
from tests.fakes import rogue

TOKEN = "the-token-of-this-user-and-of-nobody-else"
FALSE_ANSWERS = [
    rogue.without_a_proof,
    rogue.wants_the_token,
    rogue.by_another_token,
    rogue.replaying(TOKEN),
]
NO_ANSWERS = [rogue.no_message, rogue.elsewhere]


def name(answer) -> str:
    return answer.__qualname__.split(".")[0]


def greet(backend, headers: dict[str, str], path: str = "/v1/hello") -> httpx.Response:
    return httpx.get(backend.url + path, headers=headers, trust_env=False)


def settings_of(folder: Path, url: str = ""):
    environment = {"GENAI_FILL_BACKEND_STATE_DIR": str(folder), "GENAI_FILL_BACKEND_URL": url}
    return FileSettings(environment, "linux", str(folder)), environment


def by_the_plug_in(folder: Path, url: str = ""):
    return StateFolderFinder(*settings_of(folder, url)).find().hello()


def by_the_command(folder: Path, url: str = ""):
    source, environment = settings_of(folder, url)
    client = find_backend(source.load(), environment)
    if client is None:
        raise BackendUnreachable("No backend is running.", hint="-")
    client.close()
    return client


@pytest.fixture(params=[by_the_plug_in, by_the_command], ids=["plug-in", "command"])
def find(request):
    return request.param


@pytest.fixture
def folder(tmp_path) -> Path:
    state = tmp_path / "left"
    state.mkdir(mode=0o700)
    (state / "token").write_text(TOKEN + "\n")
    (state / "token").chmod(0o600)
    return state


def leave(folder: Path, url: str) -> None:
    endpoint = {"url": url, "pid": 1, "server_id": "s"}
    (folder / "endpoint.json").write_text(json.dumps(endpoint))


@pytest.mark.parametrize("answer", FALSE_ANSWERS + NO_ANSWERS, ids=name)
def test_who_took_the_port_of_a_killed_backend_gets_no_token(find, folder, answer):
    with rogue.rogue_at(0, answer) as other:
        leave(folder, other.url)
        with pytest.raises(BackendUnreachable, match="No backend is running"):
            find(folder)
    assert other.heard
    assert other.heard_nothing_of(TOKEN)


@pytest.mark.parametrize("answer", FALSE_ANSWERS, ids=name)
def test_a_chosen_address_without_a_proof_is_refused_in_words(find, folder, answer):
    with rogue.rogue_at(0, answer) as other, pytest.raises(WrongToken) as caught:
        find(folder, other.url)
    assert other.heard_nothing_of(TOKEN)
    assert other.url in caught.value.message
    assert "state folder" in caught.value.hint
    assert "older release" in caught.value.hint
    gave_one = answer not in (rogue.without_a_proof, rogue.wants_the_token)
    assert ("another token" if gave_one else "no proof") in caught.value.message


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=name)
def test_a_chosen_address_of_no_backend_gets_no_token(find, folder, answer):
    with rogue.rogue_at(0, answer) as other, pytest.raises(GenAIFillError):
        find(folder, other.url)
    assert other.heard_nothing_of(TOKEN)
    assert len(other.heard) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda b: b.hello(),
        lambda b: b.engines(),
        lambda b: b.job("j"),
        lambda b: b.cancel("j"),
        lambda b: list(b.follow("j") if hasattr(b, "follow") else b.events("j", after=0)),
        lambda b: (
            b.thumbnail("j", 0, frame=1, width=64)
            if isinstance(b, HttpBackend)
            else b.thumbnail("j", 0)
        ),
    ],
    ids=["hello", "engines", "job", "cancel", "events", "thumbnail"],
)
@pytest.mark.parametrize("client", [HttpBackend, BackendClient])
def test_no_request_gives_the_token_away(client, ask):
    with rogue.rogue_at(0, rogue.by_another_token) as other:
        backend = client(other.url, TOKEN)
        with pytest.raises(WrongToken):
            ask(backend)
        getattr(backend, "close", lambda: None)()
    assert [path for path, _ in other.heard] == ["/v1/hello"]
    assert other.heard_nothing_of(TOKEN)


def test_every_greeting_has_a_nonce_of_its_own(find, folder):
    with rogue.rogue_at(0, rogue.without_a_proof) as other:
        leave(folder, other.url)
        for _ in range(3):
            with pytest.raises(BackendUnreachable):
                find(folder)
    assert len(set(other.nonces)) == len(other.nonces) == 3


def test_a_greeting_without_end_is_not_read_to_its_end(find, folder):
    def endless(nonce: str) -> tuple[int, bytes]:
        proof = proof_of(TOKEN, nonce, "s")
        return 200, b" " * (2 * MAX_GREETING_BYTES) + rogue.hello_of(proof=proof)

    with rogue.rogue_at(0, endless) as other, pytest.raises(MalformedMessage):
        find(folder, other.url)
    assert other.heard_nothing_of(TOKEN)


@pytest.mark.parametrize("client", [HttpBackend, BackendClient])
def test_an_empty_token_proves_nothing(client):
    def empty(nonce: str) -> tuple[int, bytes]:
        return 200, rogue.hello_of(proof=proof_of("", nonce, "s"))

    with rogue.rogue_at(0, empty) as other:
        backend = client(other.url, "")
        with pytest.raises(WrongToken, match="no token in the state folder"):
            backend.hello()
        getattr(backend, "close", lambda: None)()


def test_another_major_version_at_a_chosen_address_is_said_to_be_that(find, folder):
    def later(nonce: str) -> tuple[int, bytes]:
        return 200, rogue.hello_of().replace(b'"1.0"', b'"2.0"')

    with rogue.rogue_at(0, later) as other, pytest.raises(VersionMismatch):
        find(folder, other.url)
    assert other.heard_nothing_of(TOKEN)


def test_a_name_that_the_backend_does_not_have_is_said_to_be_that(find, backend_in):
    backend = backend_in(server_host="0.0.0.0")
    named = backend.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(ForbiddenOrigin, match=r"127\.0\.0\.2"):
        find(backend.state_dir, named)


def test_the_backend_that_runs_is_found_by_both(find, backend):
    assert find(backend.state_dir)
    assert find(backend.state_dir, backend.url)


def test_the_greeting_without_the_token_tells_nothing_but_versions_id_and_proof(backend):
    nonce = new_nonce()
    told = greet(backend, {NONCE_HEADER: nonce}).json()
    assert set(told) == {"contract_version", "product_version", "server_id", "proof"}
    assert told["proof"] == proof_of(backend.token, nonce, told["server_id"])
    assert greet(backend, {NONCE_HEADER: new_nonce()}).json()["proof"] != told["proof"]


@pytest.mark.parametrize("nonce", ["", "ab", "ab" * 15, "g" * 32, "ab" * 65, "ab" * 16 + "\t-"])
def test_a_nonce_that_is_none_is_refused(backend, nonce):
    answer = greet(backend, {NONCE_HEADER: nonce})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_message")
    assert "proof" not in answer.text


@pytest.mark.parametrize("path", ["/v1/engines", "/v1/jobs", "/v1/models", "/v1/hello/", "/"])
def test_a_nonce_opens_nothing_but_the_greeting(backend, path):
    answer = greet(backend, {NONCE_HEADER: new_nonce()}, path)
    assert answer.status_code == 401
    posted = httpx.post(
        backend.url + "/v1/hello", headers={NONCE_HEADER: new_nonce()}, trust_env=False
    )
    assert posted.status_code == 401


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Bearer", "Basic x"])
def test_a_wrong_token_is_refused_whatever_the_nonce(backend, given):
    answer = greet(backend, {NONCE_HEADER: new_nonce(), "Authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_token")


@pytest.mark.parametrize(
    "page", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_no_web_page_gets_a_proof(backend, page):
    answer = greet(backend, {NONCE_HEADER: new_nonce(), **page})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_origin")
    assert "proof" not in answer.text


def test_a_client_of_another_major_version_gets_no_proof(backend):
    answer = greet(backend, {NONCE_HEADER: new_nonce(), "GenAI-Fill-Contract": "2.0"})
    assert (answer.status_code, answer.json()["code"]) == (409, "version_mismatch")


def test_a_second_request_on_a_connection_does_not_wait_for_the_network_to_idle(backend):
    def took_s(http: httpx.Client) -> float:
        began = time.perf_counter()
        http.get("/v1/hello")
        return time.perf_counter() - began

    with backend.http() as http:
        took_s(http)
        # Unsent halves of answers wait for an acknowledgement that is delayed by 40 ms.
        assert min(took_s(http) for _ in range(20)) < 0.03
