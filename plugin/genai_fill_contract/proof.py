"""How a backend proves that it knows the token before a client sends it the token.

An address outlives the backend that listened there; the port may be another user's program
by now. So a client first asks ``GET /v1/hello`` without the token and with a nonce, and the
backend answers with ``HMAC-SHA256(token, nonce + "\\n" + server_id)`` (RFC 2104), which only
who knows the token can compute and which is worth nothing for another nonce.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from genai_fill_contract.errors import BackendUnreachable, WrongToken
from genai_fill_contract.hello import Hello
from genai_fill_contract.version import require_same_major

NONCE_HEADER = "GenAI-Fill-Nonce"
MAX_GREETING_BYTES = 64 * 1024
"""No greeting is larger: nobody has shown yet who they are."""

_NONCE_BYTES = 32
_NONCE = re.compile(r"[0-9a-fA-F]{32,128}")


def new_nonce() -> str:
    """Return a fresh nonce, 64 hex characters; to be used once."""
    return secrets.token_hex(_NONCE_BYTES)


def is_nonce(text: str) -> bool:
    """Return whether ``text`` is 32 to 128 hex characters, what a backend answers to."""
    return _NONCE.fullmatch(text) is not None


def proof_of(token: str, nonce: str, server_id: str) -> str:
    """Return the proof that the backend ``server_id`` knows ``token``: 64 hex characters."""
    message = f"{nonce}\n{server_id}".encode("utf-8", "surrogatepass")
    return hmac.new(token.encode("utf-8", "surrogatepass"), message, hashlib.sha256).hexdigest()


def proves(hello: Hello, token: str, nonce: str) -> bool:
    """Return whether ``hello`` proves that who sent it knows ``token``.

    An empty token proves nothing: anybody can compute that.
    """
    expected = proof_of(token, nonce, hello.server_id)
    given = hello.proof.encode("utf-8", "surrogatepass")
    return bool(token) and hmac.compare_digest(expected.encode(), given)


def require_proof(hello: Hello | None, token: str, nonce: str, *, url: str, found: bool) -> None:
    """Raise unless ``hello`` (None: the answer was none) proves knowledge of ``token``.

    ``found`` says that ``url`` was left in the state folder by the last backend there, told
    by nobody: who listens there without a proof is then no backend of ours and the error is
    `BackendUnreachable`. Of an address that somebody chose it is `WrongToken`, and a
    `VersionMismatch` comes first, as its proof may be another one.
    """
    if hello is not None and proves(hello, token, nonce):
        return
    if found:
        raise BackendUnreachable(
            f"No backend is running: at {url}, the address the last one left, listens what "
            "does not know its token.",
            hint="Start one with 'genai-fill serve'; if one of an older release still runs, "
            "stop it first.",
        )
    if hello is not None:
        require_same_major(hello.contract_version, who="The backend")
    fault = (
        "there is no token in the state folder to ask it for"
        if not token
        else "it has another token"
        if hello is not None and hello.proof
        else "it gave no proof"
    )
    raise WrongToken(
        f"What answers at {url} did not prove that it knows the token: {fault}. Nothing was sent.",
        hint="Copy the file 'token' of the backend's state folder into yours, or correct "
        "backend.url; a backend of an older release gives no proof and must be updated.",
    )
