"""The same API from the other side, for the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote

import httpx

from genai_fill_contract import CONTRACT_VERSION, codec
from genai_fill_contract.errors import (
    BackendLost,
    BackendTimeout,
    BackendUnreachable,
    GenAIFillError,
)
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.hello import EngineList, Hello, JobList
from genai_fill_contract.job import Job, JobEvent
from genai_fill_contract.version import require_same_major
from genai_fill_server.http.errors import from_http
from genai_fill_server.http.greeting import Greeting
from genai_fill_server.http.security import CONTRACT_HEADER, HELLO_PATH, STOP_PATH

T = TypeVar("T")

SILENCE_S = 30.0
"""How long a stream may be silent: three of the server's keep-alives."""

PATIENCE_S = 30.0
"""How long a backend may be gone before a follower gives its job up."""

_RETRY_S = 0.3


class BackendClient:
    """A client of one backend. Raises what the backend answers as `GenAIFillError`.

    Before each request the backend proves that it knows the token; only then it gets it.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 10.0,
        found: bool = False,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Talk to the backend at ``url``. No proxy is ever used, no redirect followed.

        ``found``: the address was left in the state folder, nobody chose it. Who cannot prove
        itself there counts as no backend (`BackendUnreachable`), not as one with another token.
        """
        self._url = url
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._sleep = sleep
        self._bearer = {"Authorization": f"Bearer {token}"}
        self._greeting = Greeting(url, token, found)
        # The token is none of its headers: each request adds it, once the backend is known.
        self._http = httpx.Client(
            base_url=url,
            headers={CONTRACT_HEADER: CONTRACT_VERSION},
            timeout=timeout_s,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def hello(self) -> Hello:
        """Return who answers. Raises `VersionMismatch` for another major version."""
        hello = self._get(HELLO_PATH, Hello)
        require_same_major(hello.contract_version, who="The backend")
        return hello

    def engines(self) -> EngineList:
        """Return every engine. The first time after an installation takes a few seconds."""
        return self._get("/v1/engines", EngineList, timeout_s=120.0)

    def submit(self, request: FillRequest, key: str = "") -> Job:
        """Queue a fill; the same ``key`` twice makes one job."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        body = codec.dumps(request).encode()
        answer = self._ask("POST", "/v1/jobs", content=body, headers=headers, timeout_s=120.0)
        return self._message(answer, Job)

    def jobs(self, limit: int) -> tuple[Job, ...]:
        """Return the newest jobs, newest first."""
        return self._get(f"/v1/jobs?limit={limit:d}", JobList).jobs

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return self._get(f"/v1/jobs/{_one(job_id)}", Job)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be cancelled."""
        return self._message(self._ask("POST", f"/v1/jobs/{_one(job_id)}/cancel"), Job)

    def stop(self) -> None:
        """Ask the backend to stop; it answers, and ends a moment later.

        Raises `ForbiddenOrigin` from another machine, `MalformedMessage` for a release that
        knows no such request.
        """
        answer = self._ask("POST", STOP_PATH)
        if not answer.is_success:
            raise from_http(answer.status_code, answer.content)

    def follow(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Yield a job's events as they come, until its end.

        A stream that breaks is taken up again after the last event seen. Raises
        `BackendLost` when the backend stays away.
        """
        gone_since: float | None = None
        while True:
            try:
                for event in self._stream(job_id, after):
                    gone_since, after = None, event.id
                    yield event
                if self.job(job_id).state.is_final:
                    return
            except (BackendUnreachable, BackendTimeout) as error:
                gone_since = gone_since or time.monotonic()
                if time.monotonic() - gone_since > self._patience_s:
                    raise BackendLost(
                        f"The backend at {self._url} went away while job {job_id} was running.",
                        hint="Start it again: the job resumes by itself.",
                        job=job_id,
                    ) from error
            self._sleep(_RETRY_S)

    def thumbnail(self, job_id: str, take_index: int, width_px: int = 320) -> bytes:
        """Return a PNG of a take's first finished frame."""
        path = f"/v1/jobs/{_one(job_id)}/takes/{take_index:d}/thumbnail.png"
        answer = self._ask("GET", f"{path}?width={width_px:d}", timeout_s=120.0)
        if answer.status_code != httpx.codes.OK:
            raise from_http(answer.status_code, answer.content)
        return answer.content

    def _stream(self, job_id: str, after: int) -> Iterator[JobEvent]:
        path = f"/v1/jobs/{_one(job_id)}/events"
        timeout = httpx.Timeout(self._timeout_s, read=SILENCE_S)
        headers = {**self._bearer, "Last-Event-ID": str(after)}
        with (
            self._talking(),
            self._http.stream("GET", path, headers=headers, timeout=timeout) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise from_http(answer.status_code, answer.read())
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield codec.loads(JobEvent, line[5:], unknown="ignore")

    def _get(self, path: str, cls: type[T], timeout_s: float | None = None) -> T:
        return self._message(self._ask("GET", path, timeout_s=timeout_s), cls)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        with self._talking():
            return self._http.request(
                method,
                path,
                content=content,
                headers={**self._bearer, **(headers or {})},
                timeout=timeout_s or self._timeout_s,
            )

    def _message(self, answer: httpx.Response, cls: type[T]) -> T:
        if answer.is_success:
            return codec.loads(
                cls, answer.content, unknown="ignore", max_bytes=codec.MAX_ANSWER_BYTES
            )
        raise from_http(answer.status_code, answer.content)

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Let the backend prove itself, then talk; the errors of the wire become ours."""
        try:
            self._greeting.through(self._http)
            yield
        except httpx.TimeoutException as error:
            raise BackendTimeout(
                f"The backend at {self._url} took too long to answer.",
                hint="Look at its log; backend.request_timeout_s sets how long to wait.",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> GenAIFillError:
        return BackendUnreachable(
            f"Nothing answers at {self._url}: {type(error).__name__}.",
            hint="Start the backend with 'genai-fill serve', or correct backend.url.",
        )


def _one(text: str) -> str:
    """Return ``text`` quoted, so that it can be nothing but one segment of a path."""
    return quote(text, safe="")
