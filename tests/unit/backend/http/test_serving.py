"""The server's socket end: who a request comes from is what the connection says."""

import threading
from contextlib import contextmanager

import httpx
import pytest

from genai_fill_server.http.serving import HttpServer, listen, url_of


async def who(scope, receive, send):
    """An application that answers with the address and the scheme of the request."""
    body = f"{scope['client'][0]} {scope['scheme']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(app):
    listening = threading.Event()
    listener = listen("127.0.0.1", 0)
    server = HttpServer(app, listening.set, lambda: None)
    thread = threading.Thread(target=server.run, args=(listener,))
    thread.start()
    try:
        assert listening.wait(10)
        yield url_of(listener)
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("trusted", ["", "127.0.0.1", "*"])
def test_no_header_says_where_a_request_comes_from(monkeypatch, trusted):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    headers = {"X-Forwarded-For": "10.0.0.9", "X-Forwarded-Proto": "https"}
    with served(who) as url, httpx.Client(trust_env=False) as client:
        assert client.get(url, headers=headers).text == "127.0.0.1 http"
