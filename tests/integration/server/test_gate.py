"""Who may ask, and what may be asked, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from genai_fill_contract import codec
from genai_fill_contract.fill import OutputPlace
from genai_fill_contract.plate import ColourSettings, FrameRange, MatteRef, PlateRef

ROUTES = ["/v1/hello", "/v1/engines", "/v1/jobs", "/v1/jobs/x/events", "/v1/stop", "/nothing/here"]


def post(backend, body: str | bytes):
    with backend.http() as http:
        return http.post("/v1/jobs", content=body)


def submitted(backend, request):
    return post(backend, codec.dumps(request))


def code(answer: httpx.Response) -> str:
    return answer.json()["code"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("value", [None, "Bearer wrong", "Bearer", "Basic {token}", "{token}"])
def test_every_address_asks_for_the_token(backend, path, value):
    headers = {"Authorization": value.format(token=backend.token)} if value else {}
    answer = httpx.get(backend.url + path, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert code(answer) == "wrong_token"
    assert backend.token not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_a_request_to_another_host_name_is_refused(backend, host):
    with backend.http(Host=host) as http:
        answer = http.get("/v1/hello")
    assert (answer.status_code, code(answer)) == (403, "forbidden_origin")


@pytest.mark.parametrize("host", ["localhost:8791", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_loopback_names_are_answered(backend, host):
    with backend.http(Host=host) as http:
        assert http.get("/v1/hello").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://"])
def test_a_web_page_is_refused_even_with_the_token(backend, origin):
    with backend.http(Origin=origin) as http:
        answer = http.get("/v1/hello")
        assert (answer.status_code, code(answer)) == (403, "forbidden_origin")
        preflight = http.options("/v1/jobs")
    assert "access-control-allow-origin" not in preflight.headers


def test_configured_host_names_are_answered(backend_in):
    backend = backend_in(server_allowed_hosts="farm-01;FARM-02.studio")
    for host, status in (("farm-01:8791", 200), ("farm-02.studio", 200), ("farm-03", 403)):
        with backend.http(Host=host) as http:
            assert http.get("/v1/hello").status_code == status


def test_another_major_version_of_the_contract_is_refused_both_ways(backend):
    with backend.http(**{"GenAI-Fill-Contract": "2.0"}) as http:
        answer = http.get("/v1/hello")
    assert (answer.status_code, code(answer)) == (409, "version_mismatch")
    assert answer.headers["genai-fill-contract"] == "1.0"
    with backend.http(**{"GenAI-Fill-Contract": "1.7"}) as http:
        assert http.get("/v1/hello").status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/v2/hello", "/"])
def test_there_is_nothing_else_to_find(backend, path):
    with backend.http() as http:
        answer = http.get(path)
    assert (answer.status_code, code(answer)) == (404, "malformed_message")


def test_a_wrong_method_is_refused_in_our_own_words(backend):
    with backend.http() as http:
        assert http.delete("/v1/jobs").status_code == 405
        assert code(http.put("/v1/hello")) == "malformed_message"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"plate": 3}', b"{}", b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "bytes", "kind", "missing", "deep"],
)
def test_a_malformed_body_is_named_as_such(backend, body):
    answer = post(backend, body)
    assert (answer.status_code, code(answer)) == (400, "malformed_message")


def test_an_unknown_field_is_refused_not_dropped(backend, request_for):
    wire = codec.encode(request_for())
    answer = post(backend, json.dumps({**wire, "strength": 0.5}))
    assert answer.status_code == 400
    assert "strength" in answer.json()["message"]


def test_half_a_character_is_refused_before_it_reaches_a_file(backend, request_for):
    wire = json.dumps({**codec.encode(request_for()), "prompt": "half \ud83d"})
    answer = post(backend, wire)
    assert (answer.status_code, code(answer)) == (400, "malformed_message")
    assert "half a character" in answer.json()["message"]


def test_a_body_beyond_the_limit_is_refused(backend):
    answer = post(backend, b" " * (codec.MAX_MESSAGE_BYTES + 1))
    assert (answer.status_code, code(answer)) == (400, "malformed_message")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=99999999999999999999999", "limit=-1", "limit=1e3"]
)
def test_a_bad_query_is_refused(backend, query):
    with backend.http() as http:
        assert http.get(f"/v1/jobs?{query}").status_code == 400


@pytest.mark.parametrize("path", ["", "/cancel", "/events", "/takes/0/thumbnail.png"])
def test_an_unknown_job_is_not_found(backend, path):
    with backend.http() as http:
        method = "POST" if path == "/cancel" else "GET"
        answer = http.request(method, f"/v1/jobs/0123456789abcdef{path}")
    assert (answer.status_code, code(answer)) == (404, "job_not_found")


OUTSIDE = "/etc/passwd"


@pytest.mark.parametrize(
    "changes",
    [
        {"plate": PlateRef("/etc/plate.%04d.exr", FrameRange(1, 9))},
        {"matte": MatteRef("/etc/matte.exr", FrameRange(1, 9))},
        {"output": OutputPlace("/etc/takes", "fill")},
        {"colour": ColourSettings(ocio_config="/etc/config.ocio")},
        {"options": {"memory_folder": OUTSIDE}},
    ],
    ids=["plate", "matte", "output", "ocio", "option"],
)
def test_every_path_must_lie_under_the_allowed_roots(backend, request_for, changes):
    answer = submitted(backend, request_for(**changes))
    assert (answer.status_code, code(answer)) == (403, "path_not_allowed")


def test_dots_do_not_lead_out_of_the_roots(backend, request_for, shot):
    place = OutputPlace(f"{shot}/../../../../../../etc", "fill")
    assert code(submitted(backend, request_for(output=place))) == "path_not_allowed"


def test_a_linked_folder_does_not_lead_out_of_the_roots(backend, request_for, shot, tmp_path):
    link = shot / f"{tmp_path.name}-link"
    link.symlink_to("/etc")
    for changes in (
        {"output": OutputPlace(f"{link}/takes", "fill")},
        {"plate": PlateRef(f"{link}/plate.%04d.exr", FrameRange(1, 9))},
    ):
        assert code(submitted(backend, request_for(**changes))) == "path_not_allowed"
    assert not Path("/etc/takes").exists()


def test_one_linked_frame_does_not_lead_out_of_the_roots(backend, request_for, shot, tmp_path):
    folder = shot / f"{tmp_path.name}-frames"
    folder.mkdir()
    for frame in range(1001, 1005):
        (folder / f"plate.{frame}.exr").symlink_to(shot / f"plate.{frame}.exr")
    pattern = f"{folder}/plate.%04d.exr"
    inside = PlateRef(pattern, FrameRange(1001, 1004))
    assert submitted(backend, request_for(plate=inside)).status_code == 201
    (folder / "plate.1003.exr").unlink()
    (folder / "plate.1003.exr").symlink_to(OUTSIDE)
    assert code(submitted(backend, request_for(plate=inside))) == "path_not_allowed"


def test_a_relative_path_is_refused(backend, request_for):
    relative = PlateRef("plate.%04d.exr", FrameRange(1001, 1004))
    assert code(submitted(backend, request_for(plate=relative))) == "invalid_request"


def test_an_absurd_range_is_refused_before_any_work(backend, request_for):
    answer = submitted(backend, request_for(frames=(0, 2**60)))
    assert code(answer) == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"engine_id": "studio:pant"}, "unknown_engine"),
        ({"engine_id": "studio:absent"}, "model_missing"),
        ({"engine_id": "studio:forbidden"}, "licence_forbids"),
        ({"engine_id": "studio:wordy"}, "invalid_request"),
        ({"options": {"delay_s": 99.0}}, "invalid_option"),
        ({"options": {"dealy_s": 1.0}}, "invalid_option"),
        ({"options": {"delay_s": "1"}}, "invalid_option"),
    ],
)
def test_what_the_engine_cannot_do_is_said_at_once(backend, request_for, shot, changes, expected):
    before = set((shot / "takes").glob("*/*"))
    answer = submitted(backend, request_for(**changes))
    assert (answer.status_code, code(answer)) == (422, expected)
    # Folders of earlier tests' failed jobs may go meanwhile; none may come.
    assert set((shot / "takes").glob("*/*")) <= before


def test_a_non_commercial_engine_runs_only_where_the_studio_says_so(backend_in, request_for):
    backend = backend_in(models_allow_non_commercial=1)
    assert submitted(backend, request_for(engine_id="studio:forbidden")).status_code == 201


def test_engines_are_listed_with_the_broken_and_the_blocked_ones(backend):
    listed = {engine.id: engine for engine in backend.client().engines().engines}
    assert listed["studio:paint"].available
    assert not listed["studio_broken"].available
    assert "this one never loads" in listed["studio_broken"].unavailable_reason
    assert not listed["studio:forbidden"].available
    assert "models.allow_non_commercial" in listed["studio:forbidden"].unavailable_reason
    assert "another disk" in listed["studio:absent"].unavailable_reason


def test_the_state_folder_is_this_users_alone(backend):
    assert backend.state_dir.stat().st_mode & 0o777 == 0o700
    for name in ("token", "endpoint.json", "jobs.sqlite"):
        assert (backend.state_dir / name).stat().st_mode & 0o777 == 0o600, name


def test_the_token_is_kept_but_made_anew_when_others_could_have_read_it(backend_in):
    first = backend_in()
    token = first.token
    first.stop()
    second = backend_in()
    assert second.token == token
    second.stop()
    (second.state_dir / "token").chmod(0o644)
    third = backend_in()
    assert third.token != token
    assert (third.state_dir / "token").stat().st_mode & 0o777 == 0o600
