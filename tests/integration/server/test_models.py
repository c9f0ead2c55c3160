"""Models over the API: a real server, its real children, and a hub on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genai_fill_contract import codec
from genai_fill_contract.models import ModelList, ModelState, ModelTask, ModelTaskList
from genai_fill_server.bootstrap.model_folders import known_offers
from tests.fakes.backend_process import BackendProcess, is_running, wait_until
from tests.fakes.hub_server import HubServer, hub_server
from tests.fakes.model_hub import model_files, write_model

MODEL = "sd15-inpaint"
REPOSITORY = next(offer.repository for offer in known_offers() if offer.id == MODEL)
UNET = "unet/diffusion_pytorch_model.safetensors"
WHO = {"provenance": {"user": "ada", "show": "calc"}}


class Models:
    """A backend and what can be asked of its models."""

    def __init__(self, backend: BackendProcess) -> None:
        self.backend = backend
        self.store = backend.state_dir / "models"

    def listed(self) -> dict:
        with self.backend.http() as http:
            answer = http.get("/v1/models")
        assert answer.status_code == 200, answer.text
        return {model.id: model for model in codec.loads(ModelList, answer.content).models}

    def post(self, path: str, body: dict | None = None):
        with self.backend.http() as http:
            return http.post(f"/v1/models/{path}", content=json.dumps(body or {}))

    def begin(self, path: str, body: dict | None = None) -> ModelTask:
        answer = self.post(path, body)
        assert answer.status_code == 202, answer.text
        return codec.loads(ModelTask, answer.content)

    def task(self, task_id: str) -> ModelTask:
        with self.backend.http() as http:
            tasks = codec.loads(ModelTaskList, http.get("/v1/models/tasks").content).tasks
        return next(task for task in tasks if task.id == task_id)

    def ended(self, task: ModelTask) -> ModelTask:
        def final():
            now = self.task(task.id)
            return now if now.state.is_final else None

        return wait_until(final)

    def do(self, path: str, body: dict | None = None) -> ModelTask:
        return self.ended(self.begin(path, body))

    def audited(self) -> list[dict]:
        text = (self.backend.state_dir / "audit.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def running(folder: Path, engines_folder: Path, hub: HubServer) -> Iterator[Models]:
    process = BackendProcess(folder / "state", folder, engines_folder)
    process.environment["HF_ENDPOINT"] = hub.url
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        process.environment.pop(name, None)
    process.start()
    try:
        yield Models(process)
    finally:
        process.stop()


@pytest.fixture
def hub():
    with hub_server(model_files(), REPOSITORY) as server:
        yield server


@pytest.fixture
def models(engines_folder: Path, tmp_path: Path, hub: HubServer):
    with running(tmp_path, engines_folder, hub) as found:
        yield found


@pytest.fixture(scope="module")
def unchanged(engines_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """One backend for all tests that are refused, or only look."""
    folder = tmp_path_factory.mktemp("models")
    with (
        hub_server(model_files(), REPOSITORY) as hub,
        running(folder, engines_folder, hub) as found,
    ):
        found.hub, found.folder = hub, folder
        yield found


def test_every_known_model_is_listed_with_its_licence_and_nothing_asks_the_network(unchanged):
    listed = unchanged.listed()

    assert {offer.id for offer in known_offers()} == set(listed)
    sd15 = listed[MODEL]
    assert (sd15.state, sd15.can_pull, sd15.needs_agreement) == (ModelState.MISSING, True, True)
    blocked = listed["flux1-fill-dev"]
    assert not blocked.can_pull
    assert "allow_non_commercial" in blocked.what_to_do
    assert unchanged.hub.seen == []


def test_a_pulled_model_is_installed_recorded_audited_and_an_engine(models):
    task = models.do(f"{MODEL}/pull", {"accept_licence": True, **WHO})

    assert task.state.value == "done", task.error
    assert task.progress.fraction == 1.0
    model = models.listed()[MODEL]
    assert (model.state, model.engine_id) == (ModelState.INSTALLED, f"diffusers:{MODEL}")
    assert Path(model.folder) == models.store / MODEL
    engine = next(e for e in models.backend.client().engines().engines if e.id == model.engine_id)
    assert "Not installed" not in engine.unavailable_reason
    lines = [line for line in models.audited() if line["event"].startswith("model_")]
    assert [line["event"] for line in lines] == ["model_started", "model_ended"]
    assert lines[1]["who"] == {"user": "ada", "show": "calc"}
    assert (lines[1]["model"], lines[1]["accepted_licence"]) == (MODEL, True)


def test_engines_are_asked_again_after_a_removal(models):
    models.do(f"{MODEL}/pull", {"accept_licence": True})
    client = models.backend.client()
    reason = lambda: {e.id: e.unavailable_reason for e in client.engines().engines}  # noqa: E731
    assert "Not installed" not in reason()[f"diffusers:{MODEL}"]

    assert models.do(f"{MODEL}/remove").state.value == "done"

    assert "Not installed" in reason().get(f"diffusers:{MODEL}", "Not installed")
    assert models.listed()[MODEL].state is ModelState.MISSING
    assert not (models.store / MODEL).exists()


@pytest.mark.parametrize(
    ("model_id", "body", "code", "words"),
    [
        (MODEL, {}, "invalid_request", "must be agreed to"),
        ("flux1-fill-dev", {"accept_licence": True}, "invalid_request", "forbids commercial use"),
        ("sd15-inpant", {"accept_licence": True}, "model_missing", "no model"),
        ("..", {"accept_licence": True}, "malformed_message", ""),
        (MODEL, {"accept_license": True}, "malformed_message", "accept_license"),
    ],
)
def test_a_pull_that_may_not_be_is_refused_before_the_hub_is_asked(
    unchanged, model_id, body, code, words
):
    answer = unchanged.post(f"{model_id}/pull", body)

    assert answer.json()["code"] == code, answer.text
    assert words in answer.json()["message"]
    assert unchanged.hub.seen == []
    assert not (unchanged.store / f"{MODEL}.partial").exists()


def test_a_server_whose_environment_is_off_line_does_not_pull(shot, engines_folder, tmp_path, hub):
    process = BackendProcess(tmp_path / "state", tmp_path, engines_folder)
    process.environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "1"}
    process.start()
    try:
        answer = Models(process).post(f"{MODEL}/pull", {"accept_licence": True})
    finally:
        process.stop()
    assert answer.json()["code"] == "config_invalid"
    assert hub.seen == []


def test_a_cancelled_pull_leaves_what_came_and_goes_on_with_it(models, hub):
    held, release = threading.Event(), threading.Event()
    hub.hold = (UNET, held, release)
    task = models.begin(f"{MODEL}/pull", {"accept_licence": True})
    assert held.wait(30)
    again = models.post(f"{MODEL}/pull", {"accept_licence": True})
    assert "already" in again.json()["message"]

    models.post(f"tasks/{task.id}/cancel")
    assert models.ended(task).state.value == "cancelled"
    release.set()

    model = models.listed()[MODEL]
    assert (model.state, model.can_pull, model.can_remove) == (ModelState.PARTIAL, True, True)
    hub.hold = None
    hub.seen.clear()
    assert models.do(f"{MODEL}/pull", {"accept_licence": True}).state.value == "done"
    fetched = [path for method, path in hub.seen if method == "GET" and "/resolve/" in path]
    assert not [path for path in fetched if path.endswith("model_index.json")]
    assert [path for path in fetched if path.endswith(UNET)]


def test_the_children_of_a_server_that_stops_stop_too(models, hub):
    held, release = threading.Event(), threading.Event()
    hub.hold = (UNET, held, release)
    models.begin(f"{MODEL}/pull", {"accept_licence": True})
    assert held.wait(30)
    children = children_of(models.backend.process.pid)
    assert children

    models.backend.stop()

    release.set()
    wait_until(lambda: not any(map(is_running, children)))


def test_what_was_broken_off_can_be_given_up(models, hub):
    del hub.files[UNET]
    hub.files["unet/diffusion_pytorch_model.safetensors"] = b"not what the listing says"
    failed = models.do(f"{MODEL}/pull", {"accept_licence": True})
    assert failed.error.code.value == "model_unsafe"
    assert models.listed()[MODEL].state is ModelState.PARTIAL

    assert models.do(f"{MODEL}/remove").state.value == "done"

    assert models.listed()[MODEL].state is ModelState.MISSING


def test_a_folder_is_added_verified_and_found_changed(models, tmp_path):
    folder = write_model(tmp_path / "incoming" / "our-tune")
    added = models.do("add", {"path": str(folder)})
    assert (added.state.value, added.model_id) == ("done", "our-tune")
    assert models.do("our-tune/verify").message == "Every file is as it came."

    weights = models.store / "our-tune" / UNET
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")

    verdict = models.do("our-tune/verify")
    assert verdict.error.code.value == "model_unsafe"
    assert UNET in verdict.error.message


@pytest.mark.parametrize("path", ["/etc", "relative/folder", "", "/nul\0l"])
def test_only_folders_under_the_allowed_roots_are_added(unchanged, path):
    answer = unchanged.post("add", {"path": path})
    assert answer.json()["code"] in ("path_not_allowed", "invalid_request"), answer.text


def test_a_link_that_leads_out_of_the_allowed_roots_is_not_added(unchanged, tmp_path):
    outside = write_model(tmp_path / "model")
    (unchanged.folder / "link").symlink_to(outside)
    answer = unchanged.post("add", {"path": str(unchanged.folder / "link")})
    assert answer.json()["code"] == "path_not_allowed"


def test_an_unsafe_folder_is_refused_with_the_reason(unchanged):
    files = {**model_files(), UNET: b"\x80\x04 a pickle by another name"}
    folder = write_model(unchanged.folder / "bad", files)
    answer = unchanged.post("add", {"path": str(folder)})
    assert answer.json()["code"] == "model_unsafe", answer.text


def test_a_task_that_is_not_there_is_said_so(unchanged):
    answer = unchanged.post("tasks/nothing/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and "model_child" in (stat.parent / "cmdline").read_text():
            found.append(int(stat.parent.name))
    return found
