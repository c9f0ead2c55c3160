"""A real HTTP server on loopback that answers as a test tells it to.

It proves that it knows ``token`` to who greets it; only what comes after counts as a request.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from genai_fill_contract import codec
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.hello import Hello
from genai_fill_contract.proof import NONCE_HEADER, proof_of

TOKEN = "s3cret"


class Answers:
    """What the server says: (method, path) -> a function of the request handler."""

    def __init__(self) -> None:
        self.routes = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.token = TOKEN
        self.greet = self._prove
        self.url = ""
        self.fallback = None

    def _prove(self, handler) -> None:
        proof = proof_of(self.token, handler.headers[NONCE_HEADER], "s")
        send(handler, 200, codec.dumps(Hello("1.0", "0", "s", proof=proof)).encode())

    def on(self, method, path, answer) -> None:
        self.routes[(method, path)] = answer

    def json(self, method, path, message, status=200, **headers) -> None:
        self.on(method, path, lambda handler: send(handler, status, codec.dumps(message).encode(),
                                                   **headers))  # fmt: skip

    def error(self, method, path, error, status) -> None:
        self.json(method, path, ErrorReport.of(error), status)

    def raw(self, method, path, status, body, **headers) -> None:
        self.on(method, path, lambda handler: send(handler, status, body, **headers))


def send(handler, status, body, **headers) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def stream(*chunks, hold=None, content_type="text/event-stream"):
    """An answer in chunks, as a server-sent event stream comes; ``hold`` keeps it open."""

    def answer(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            handler.wfile.flush()
        if hold is not None:
            hold.wait(10)
        handler.wfile.write(b"0\r\n\r\n")

    return answer


@contextmanager
def serving():
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if NONCE_HEADER in self.headers and "Authorization" not in self.headers:
                answers.greet(self)
                return
            answers.requests.append((self.command, self.path, dict(self.headers), body))
            route = answers.routes.get((self.command, self.path))
            if route is None and answers.fallback:
                answers.fallback(self, body)
            elif route is None:
                send(self, 404, b"nothing here", Content_Type="text/plain")
            else:
                try:
                    route(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client hung up: its right

        do_GET = do_POST = _answer

        def log_message(self, *args) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address) -> None:
            pass  # a client that hangs up is what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
