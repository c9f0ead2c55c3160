"""The first words on every connection: the backend proves that it knows the token.

No token has been sent by then. Because the proof and the request that carries the token share
one connection, nobody can take the port between the two.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from genai_fill.adapters.http_errors import answer_error, transport_error
from genai_fill_contract import CONTRACT_VERSION, codec
from genai_fill_contract.errors import MalformedMessage
from genai_fill_contract.hello import Hello
from genai_fill_contract.proof import MAX_GREETING_BYTES, NONCE_HEADER, new_nonce, require_proof

CONTRACT_HEADER = "GenAI-Fill-Contract"
HELLO_PATH = "/v1/hello"


@dataclass(frozen=True)
class Greeting:
    """Whom to greet: the address and the token to be proved.

    ``found`` tells an address left in the state folder from one that somebody chose.
    """

    url: str
    base: str
    token: str
    found: bool

    def on(self, connection: http.client.HTTPConnection) -> None:
        """Connect and greet; afterwards this connection, and no new one, may carry the token.

        Raises what `require_proof` does, and the errors of the wire. The caller closes.
        """
        nonce = new_nonce()
        headers = {
            NONCE_HEADER: nonce,
            CONTRACT_HEADER: CONTRACT_VERSION,
            "Accept": "application/json",
        }
        try:
            connection.request("GET", self.base + HELLO_PATH, headers=headers)
            response = connection.getresponse()
            body = response.read(MAX_GREETING_BYTES)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            # UnicodeError: a host name that is none.
            raise transport_error(error, self.url) from error
        hello = self._hello(response.status, body)
        require_proof(hello, self.token, nonce, url=self.url, found=self.found)
        # Closed by the backend meanwhile, it must not be opened again: who would answer then?
        connection.auto_open = 0

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
        raise answer_error(status, body, self.url)
