"""The first words to a backend: it proves that it knows the token. None has been sent by then."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from genai_fill_contract import codec
from genai_fill_contract.errors import MalformedMessage
from genai_fill_contract.hello import Hello
from genai_fill_contract.proof import MAX_GREETING_BYTES, NONCE_HEADER, new_nonce, require_proof
from genai_fill_server.http.errors import from_http
from genai_fill_server.http.security import HELLO_PATH


@dataclass(frozen=True)
class Greeting:
    """Whom to greet: the address and the token to be proved.

    ``found`` tells an address left in the state folder from one that somebody chose.
    """

    url: str
    token: str
    found: bool

    def through(self, http: httpx.Client) -> None:
        """Greet through ``http``, which must not hold the token among its headers.

        Raises what `require_proof` does, and the errors of the wire.
        """
        nonce = new_nonce()
        with http.stream("GET", HELLO_PATH, headers={NONCE_HEADER: nonce}) as answer:
            body = b""
            for piece in answer.iter_bytes(MAX_GREETING_BYTES):
                body += piece
                if len(body) > MAX_GREETING_BYTES:
                    break
            hello = self._hello(answer.status_code, body[:MAX_GREETING_BYTES])
        require_proof(hello, self.token, nonce, url=self.url, found=self.found)

    def _hello(self, status: int, body: bytes) -> Hello | None:
        """Return the answer, None for one without a greeting of a backend that may be ours."""
        try:
            if status < 300:
                return codec.loads(Hello, body, unknown="ignore")
        except MalformedMessage:
            if not self.found:
                raise
        # 401: a release that knows no proof wants the token first.
        if self.found or status == 401:
            return None
        raise from_http(status, body)
