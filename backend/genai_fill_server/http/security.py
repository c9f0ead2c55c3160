"""The gate before every route: who asks, through which name, speaking which contract."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genai_fill_contract.errors import (
    ForbiddenOrigin,
    GenAIFillError,
    MalformedMessage,
    WrongToken,
)
from genai_fill_contract.proof import NONCE_HEADER, is_nonce
from genai_fill_contract.version import CONTRACT_VERSION, require_same_major
from genai_fill_server.http.errors import to_http

CONTRACT_HEADER = "GenAI-Fill-Contract"
HELLO_PATH = "/v1/hello"
STOP_PATH = "/v1/stop"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


def allowed_host_names(listen_host: str, configured: Iterable[str]) -> frozenset[str]:
    """Return the names that requests may be addressed to, in lower case.

    Loopback always; the address listened on unless it stands for all; what is configured.
    """
    names = {*LOOPBACK_NAMES, *(name.lower() for name in configured)}
    if listen_host not in _WILDCARDS:
        names.add(listen_host.lower())
    return frozenset(names)


class Gate:
    """ASGI middleware: refuses what does not come from one of our own clients.

    The Host check stops a page whose name was re-pointed to loopback; the Origin check stops
    every page, as no page of ours exists; the token stops everybody else on the machine. One
    question needs no token: a greeting with a nonce, by which the backend proves itself first.
    """

    def __init__(self, app: ASGIApp, *, token: str, host_names: frozenset[str]) -> None:
        """Guard ``app``. An empty ``token`` would let everybody in and is refused."""
        if not token:
            raise ValueError("a backend without a token is open to everybody")
        self._app = app
        self._token = token.encode()
        self._host_names = host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with the error."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope["method"], scope["path"], Headers(scope=scope))
        except GenAIFillError as error:
            await _answer(error, send)
            return

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[CONTRACT_HEADER] = CONTRACT_VERSION
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_version)

    def _check(self, method: str, path: str, headers: Headers) -> None:
        host = _host_name("//" + headers.get("host", ""))
        if host not in self._host_names:
            raise ForbiddenOrigin(
                f"The backend is not called {host[:80]!r}.",
                hint="Use its loopback address, or add the name to server.allowed_hosts.",
            )
        origin = headers.get("origin")
        if origin is not None and _host_name(origin) not in self._host_names:
            raise ForbiddenOrigin(
                f"A web page of {origin[:80]!r} may not use the backend.",
                hint="The backend serves Nuke and the command line, no web pages.",
            )
        if not ((method, path) == ("GET", HELLO_PATH) and asks_for_proof(headers)):
            self._check_token(headers)
        theirs = headers.get(CONTRACT_HEADER.lower())
        if theirs is not None:
            require_same_major(theirs[:20], who="The client")

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Compared in constant time, so that its length of agreement cannot be measured.
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if scheme.lower() != "bearer" or not same:
            raise WrongToken(
                "The backend's token is missing or wrong.",
                hint="It stands in the file 'token' of the backend's state folder, readable "
                "by the user who started the backend.",
            )


def asks_for_proof(headers: Headers) -> bool:
    """Return whether a greeting comes with a nonce and without a token, right or wrong.

    Raises `MalformedMessage` when the nonce is not one.
    """
    nonce = headers.get(NONCE_HEADER.lower())
    if nonce is None or "authorization" in headers:
        return False
    if not is_nonce(nonce):
        raise MalformedMessage(
            f"The nonce of the greeting is {nonce[:40]!r}.",
            hint=f"{NONCE_HEADER} takes 32 to 128 hex characters, new ones for every greeting.",
        )
    return True


def require_same_machine(client: str, here: str) -> None:
    """Raise `ForbiddenOrigin` unless ``client`` is this machine.

    ``client`` is the address that a request came from, ``here`` the one it was sent to: from
    the machine itself they are the same, or the first is loopback. No address at all is
    nobody we know.
    """
    try:
        if client and (client == here or ipaddress.ip_address(client).is_loopback):
            return
    except ValueError:
        pass  # not an address
    raise ForbiddenOrigin(
        "The backend is stopped from its own machine only.",
        hint="Run 'genai-fill stop' there, as the user who started it.",
    )


def _host_name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


async def _answer(error: GenAIFillError, send: Send) -> None:
    status, body = to_http(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (CONTRACT_HEADER.lower().encode(), CONTRACT_VERSION.encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
