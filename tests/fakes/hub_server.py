"""A local HTTP server that answers what huggingface_hub asks of the hub for a download."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.fakes.model_hub import COMMIT


class HubServer(ThreadingHTTPServer):
    """Serves ``files`` as one repository; ``gated`` wants the token "right".

    ``hold`` (name, held, release) sends half of that file, sets ``held`` and waits.
    ``break_off`` names a file whose next whole sending ends half-way; ``ranges`` keeps which
    parts of files were asked for.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes], repository: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.files = files
        self.gated = False
        self.hold: tuple[str, threading.Event, threading.Event] | None = None
        self.break_off = ""
        self.ranges: list[tuple[str, str]] = []
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub_server(files: dict[str, bytes], repository: str = "org/model") -> Iterator[HubServer]:
    """Run a server until the block ends."""
    server = HubServer(files, repository)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.seen.append((self.command, path))
        api = f"/api/models/{self.server.repository}"
        if self.server.gated and self.headers.get("Authorization") != "Bearer right":
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        elif path in (f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            self._send(200, self._listing(), {"Content-Type": "application/json"})
        elif path.startswith(f"{api}/"):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(f"/{self.server.repository}/resolve/{COMMIT}/"):
            self._file(path.split(f"{COMMIT}/", 1)[1], with_body=with_body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _listing(self) -> bytes:
        siblings = []
        for name, data in self.server.files.items():
            entry: dict[str, object] = {
                "rfilename": name,
                "size": len(data),
                "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            }
            if name.endswith(".safetensors"):
                digest = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        return json.dumps(
            {"id": self.server.repository, "sha": COMMIT, "siblings": siblings}
        ).encode()

    def _file(self, name: str, *, with_body: bool) -> None:
        data = self.server.files.get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        hold = self.server.hold
        if hold is not None and hold[0] == name and with_body and self.command == "GET":
            self._half(data, headers, hold[1], hold[2])
            return
        asked = self.headers.get("Range", "")
        if with_body and self.command == "GET" and asked:
            self.server.ranges.append((name, asked))
            first = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self._send(206, data[first:], headers)
            return
        if with_body and self.command == "GET" and self.server.break_off == name:
            self.server.break_off = ""
            gone = threading.Event()
            gone.set()
            self._half(data, headers, gone, gone)
            return
        self._send(200, data, headers, with_body=with_body)

    def _half(
        self, data: bytes, headers: dict[str, str], held: threading.Event, release: threading.Event
    ) -> None:
        self._send(200, data, headers, with_body=False)
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        held.set()
        release.wait(60)
        self.close_connection = True

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body and self.command != "HEAD":
            self.wfile.write(body)
