"""Another user's program at the port where a backend listened: it writes down what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from genai_fill_contract import codec
from genai_fill_contract.hello import Hello
from genai_fill_contract.proof import NONCE_HEADER, proof_of

Answer = Callable[[str], tuple[int, bytes]]
"""From the nonce (empty for none) to status and body."""


def hello_of(**fields: str) -> bytes:
    return codec.dumps(Hello("1.0", "0.1.0", "s", **fields)).encode()


def without_a_proof(nonce: str) -> tuple[int, bytes]:
    """As a release answers that knows no proof and asks nobody for the token."""
    return 200, hello_of()


def wants_the_token(nonce: str) -> tuple[int, bytes]:
    """As a release answers that knows no proof: the token first."""
    return 401, b'{"code": "wrong_token", "message": "The token is missing.", "hint": "Send it."}'


def by_another_token(nonce: str) -> tuple[int, bytes]:
    return 200, hello_of(proof=proof_of("another-token-of-another-user", nonce, "s"))


def replaying(token: str) -> Answer:
    """Answer every nonce with a true proof that was overheard, of one nonce."""
    overheard = proof_of(token, "ab" * 32, "s")
    return lambda nonce: (200, hello_of(proof=overheard))


def no_message(nonce: str) -> tuple[int, bytes]:
    return 200, b"<html>hello</html>"


def elsewhere(nonce: str) -> tuple[int, bytes]:
    return 302, b""


class Rogue:
    """``heard`` holds path and headers of every request, ``nonces`` those asked with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[tuple[str, dict[str, str]]] = []

    @property
    def nonces(self) -> list[str]:
        return [headers[NONCE_HEADER] for _, headers in self.heard if NONCE_HEADER in headers]

    def heard_nothing_of(self, secret: str) -> bool:
        return not any(
            "Authorization" in headers or secret in f"{path}{headers}"
            for path, headers in self.heard
        )


@contextmanager
def rogue_at(port: int, answer: Answer) -> Iterator[Rogue]:
    """Listen on ``port`` (0: a free one) and answer everything with ``answer``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            rogue.heard.append((self.path, dict(self.headers)))
            status, body = answer(self.headers.get(NONCE_HEADER, ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", rogue.url)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *args) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address) -> None:
            pass  # a client that has heard enough may hang up

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    rogue = Rogue(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield rogue
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
