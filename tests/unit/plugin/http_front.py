"""The fake backend behind the real HTTP API, so that bootstrap's own wiring can reach it."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.unit.plugin.http_server import TOKEN, send, serving


class Front:
    """Routes of the API onto a fake backend."""

    def __init__(self, backend) -> None:
        self._backend = backend
        self._codec = importlib.import_module("genai_fill_contract.codec")
        self._errors = importlib.import_module("genai_fill_contract.errors")
        self._fill = importlib.import_module("genai_fill_contract.fill")

    def __call__(self, handler, body) -> None:
        assert handler.headers["Authorization"] == f"Bearer {TOKEN}"
        path = urlsplit(handler.path).path
        plain = {"/v1/hello": self._backend.hello, "/v1/engines": self._backend.engines}
        if path in plain:
            self._reply(handler, plain[path])
        elif path == "/v1/jobs":
            request = self._codec.loads(self._fill.FillRequest, body)
            key = handler.headers["Idempotency-Key"]
            self._reply(handler, lambda: self._backend.submit(request, key=key))
        else:
            found = re.fullmatch(r"/v1/jobs/(\w+)(/cancel|/events|/takes/.*)?", path)
            self._of_job(handler, found[1], found[2])

    def _of_job(self, handler, job_id, verb) -> None:
        if verb == "/events":
            self._follow(handler, job_id, int(handler.headers["Last-Event-ID"]))
        elif verb == "/cancel":
            self._reply(handler, lambda: self._backend.cancel(job_id))
        elif verb:
            send(handler, 200, b"\x89PNG", Content_Type="image/png")
        else:
            self._reply(handler, lambda: self._backend.job(job_id))

    def _reply(self, handler, call) -> None:
        try:
            message, status = call(), 200
        except self._errors.GenAIFillError as error:
            message, status = self._errors.ErrorReport.of(error), 404
        send(handler, status, self._codec.dumps(message).encode())

    def _follow(self, handler, job_id, after) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for event in self._backend.events(job_id, after=after):
            alive = event is None
            text = ": alive\n\n" if alive else f"data: {self._codec.dumps(event)}\n\n"
            handler.wfile.write(text.encode())
            handler.wfile.flush()


@contextmanager
def backend_over_http(state_dir, make_backend):
    """Serve ``make_backend(fakes)``; leaves endpoint.json and token in ``state_dir``."""
    backend = make_backend(importlib.import_module("tests.unit.plugin.fakes"))
    with serving() as server:
        server.fallback = Front(backend)
        state_dir.mkdir(parents=True, exist_ok=True)
        (state_dir / "token").write_text(TOKEN)
        (state_dir / "endpoint.json").write_text(json.dumps({"url": server.url, "pid": 1}))
        yield backend
