"""The backend over HTTP: `genai_fill.app.ports.Backend` with the standard library.

No proxies, no redirects, no cookies; every answer has an upper size.
"""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

from genai_fill.adapters.greeting import CONTRACT_HEADER, HELLO_PATH, Greeting
from genai_fill.adapters.http_errors import answer_error, transport_error
from genai_fill.adapters.sse import SseFeed
from genai_fill_contract import CONTRACT_VERSION, codec
from genai_fill_contract.errors import BackendUnreachable, ConfigError, MalformedMessage
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import Job
from genai_fill_contract.models import (
    AddRequest,
    ChangeRequest,
    ModelList,
    ModelTask,
    ModelTaskList,
    PullRequest,
)
from genai_fill_contract.version import require_same_major

T = TypeVar("T")

MAX_PICTURE_BYTES = 8 * 1024 * 1024
LISTED_JOBS = 200
MODEL_PATIENCE_S = 75.0
"""How long a look at the models, or the beginning of work on one, may take."""
KEEPALIVE_PATIENCE_S = 30.0
"""How long a silent event stream counts as alive: three of the backend's keep-alives."""


class HttpBackend:
    """A client of one backend. Opens a connection a call, so any thread may use it.

    On each of them the backend proves that it knows the token before it gets it.
    """

    def __init__(
        self, url: str, token: str, *, timeout_s: float = 10.0, found: bool = False
    ) -> None:
        """Raises `ConfigError` when ``url`` is not an http or https address.

        ``found``: the address was left in the state folder, nobody chose it. Who cannot prove
        itself there counts as no backend (`BackendUnreachable`), not as one with another token.
        """
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(
                f"The backend's address {url!r} is not one.",
                hint="Set backend.url to something like http://127.0.0.1:8791, or leave it empty.",
            )
        self._url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._base = parts.path.rstrip("/")
        self._token = token
        self._greeting = Greeting(self._url, self._base, token, found)
        self._timeout_s = timeout_s

    def hello(self) -> Hello:
        """Return who answers; raises `VersionMismatch` for another major version."""
        hello = self._get(HELLO_PATH, Hello)
        require_same_major(hello.contract_version, who="the backend")
        return hello

    def engines(self) -> EngineList:
        """Return every engine of the backend."""
        return self._get("/v1/engines", EngineList)

    def submit(self, request: FillRequest, *, key: str) -> Job:
        """Post a fill; the same ``key`` twice makes one job."""
        body = codec.dumps(request).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._decode(Job, self._call("POST", "/v1/jobs", body=body, headers=headers))

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return self._get(f"/v1/jobs/{_quoted(job_id)}", Job)

    def recent_jobs(self) -> JobList:
        """Return its latest jobs, newest first."""
        return self._get(f"/v1/jobs?limit={LISTED_JOBS}", JobList)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be cancelled."""
        return self._decode(Job, self._call("POST", f"/v1/jobs/{_quoted(job_id)}/cancel", body=b""))

    def events(self, job_id: str, *, after: int) -> SseFeed:
        """Follow a job's events later than the id ``after``."""
        connection = self._connect(KEEPALIVE_PATIENCE_S)
        sock = connection.sock
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path = f"/v1/jobs/{_quoted(job_id)}/events?after={after}"
        response = self._ask(connection, "GET", path, None, headers)
        kind = response.headers.get_content_type()
        if kind != "text/event-stream":
            connection.close()
            raise MalformedMessage(
                f"The backend answered {kind} where events were asked for.",
                hint="Install the same GenAI Fill release for the plug-in and the backend.",
            )
        return SseFeed(connection, sock, response, self._url)

    def thumbnail(self, job_id: str, index: int, *, frame: int, width: int) -> bytes:
        """Return a PNG of one frame of a take."""
        path = f"/v1/jobs/{_quoted(job_id)}/takes/{index}/thumbnail.png"
        return self._call("GET", f"{path}?frame={frame}&width={width}", max_bytes=MAX_PICTURE_BYTES)

    def models(self) -> ModelList:
        """Return the models; the backend looks at their folders for it."""
        body = self._call("GET", "/v1/models", timeout_s=self._patience_s)
        return self._decode(ModelList, body)

    def model_tasks(self) -> ModelTaskList:
        """Return the latest work on models, newest first."""
        return self._get("/v1/models/tasks", ModelTaskList)

    def pull_model(self, model_id: str, request: PullRequest) -> ModelTask:
        """Begin to fetch a model; raises what keeps it from beginning."""
        return self._begin(f"{_quoted(model_id)}/pull", request)

    def add_model(self, request: AddRequest) -> ModelTask:
        """Begin to take a folder on the backend's disk into the store."""
        return self._begin("add", request)

    def verify_model(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to compare a model's files with what was recorded."""
        return self._begin(f"{_quoted(model_id)}/verify", request)

    def remove_model(self, model_id: str, request: ChangeRequest) -> ModelTask:
        """Begin to remove a model."""
        return self._begin(f"{_quoted(model_id)}/remove", request)

    def cancel_model_task(self, task_id: str) -> ModelTask:
        """Ask for a task to stop."""
        path = f"/v1/models/tasks/{_quoted(task_id)}/cancel"
        return self._decode(ModelTask, self._call("POST", path, body=b""))

    def _begin(self, path: str, request: PullRequest | AddRequest | ChangeRequest) -> ModelTask:
        """Post a task; the backend answers when it is under way or refused."""
        body = self._call(
            "POST",
            f"/v1/models/{path}",
            body=codec.dumps(request).encode(),
            headers={"Content-Type": "application/json"},
            timeout_s=self._patience_s,
        )
        return self._decode(ModelTask, body)

    @property
    def _patience_s(self) -> float:
        return max(self._timeout_s, MODEL_PATIENCE_S)

    def _get(self, path: str, cls: type[T]) -> T:
        return self._decode(cls, self._call("GET", path))

    def _decode(self, cls: type[T], body: bytes) -> T:
        return codec.loads(cls, body, unknown="ignore", max_bytes=codec.MAX_ANSWER_BYTES)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = codec.MAX_ANSWER_BYTES,
        timeout_s: float | None = None,
    ) -> bytes:
        connection = self._connect(timeout_s or self._timeout_s)
        try:
            response = self._ask(connection, method, path, body, headers or {})
            return self._read(response, max_bytes)
        finally:
            connection.close()

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return a connection to who has proved to know the token."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        try:
            self._greeting.on(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        """Send a request and return the answer's head; raises unless it is a success."""
        everything = {
            "Authorization": f"Bearer {self._token}",
            CONTRACT_HEADER: CONTRACT_VERSION,
            "Accept": "application/json",
            **headers,
        }
        try:
            connection.request(method, self._base + path, body=body, headers=everything)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise transport_error(error, self._url) from error
        except (UnicodeError, ValueError) as error:
            connection.close()
            raise BackendUnreachable(
                f"The backend at {self._url} cannot be asked: its address or token has a "
                "character that HTTP does not carry.",
                hint="Look at backend.url and at the token file in the state folder.",
            ) from error
        if response.status >= 300:
            detail = b""
            with suppress(OSError, http.client.HTTPException):
                detail = response.read(codec.MAX_MESSAGE_BYTES)
            connection.close()
            raise answer_error(response.status, detail, self._url)
        if theirs := response.headers.get(CONTRACT_HEADER):
            require_same_major(theirs, who="the backend")
        return response

    def _read(self, response: http.client.HTTPResponse, max_bytes: int) -> bytes:
        try:
            body = response.read(max_bytes + 1)
            if response.length and len(body) <= max_bytes:
                raise http.client.IncompleteRead(body, response.length)
        except (OSError, http.client.HTTPException) as error:
            raise transport_error(error, self._url) from error
        if len(body) > max_bytes:
            raise MalformedMessage(
                f"The backend at {self._url} answered more than {max_bytes} bytes.",
                hint="See whether the address belongs to a GenAI Fill backend.",
            )
        return body


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")
