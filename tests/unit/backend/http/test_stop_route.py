import anyio
import httpx
import pytest
from fastapi import FastAPI

from genai_fill_contract import codec
from genai_fill_contract.errors import ForbiddenOrigin, MalformedMessage, VersionMismatch
from genai_fill_contract.hello import Hello
from genai_fill_server.cli.stop import _ask_to_stop
from genai_fill_server.http.security import require_same_machine
from genai_fill_server.http.server_routes import server_routes

HELLO = Hello("1.0", "0.1.0", "abc", 42)


def asked_from(client):
    """Ask an application of the real routes to stop; return the answer and the stops."""
    stops = []
    app = FastAPI()
    app.include_router(
        server_routes(HELLO, None, "cleanplate", token="t", stop=lambda: stops.append(1))
    )

    async def ask():
        transport = httpx.ASGITransport(app, client=(client, 50000), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1") as http:
            return await http.post("/v1/stop")

    try:
        return anyio.run(ask), stops
    except ForbiddenOrigin as error:
        return error, stops


@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.7", "::1", "10.0.0.1"])
def test_this_machine_may_stop_its_backend(client):
    answer, stops = asked_from(client)

    assert answer.status_code == 202
    assert codec.loads(Hello, answer.content) == HELLO
    assert stops == [1]


@pytest.mark.parametrize("client", ["10.0.0.9", "192.168.1.4", "fe80::1", ""])
def test_another_machine_may_not_even_with_the_token(client):
    refused, stops = asked_from(client)

    assert isinstance(refused, ForbiddenOrigin)
    assert "own machine" in refused.message
    assert stops == []


@pytest.mark.parametrize(
    ("client", "here"), [("testclient", "10.0.0.1"), ("", "10.0.0.1"), ("", "")]
)
def test_an_address_that_is_none_is_not_this_machine(client, here):
    with pytest.raises(ForbiddenOrigin):
        require_same_machine(client, here)


class OlderBackend:
    """A client of a release without the request: it answers that there is none."""

    def stop(self):
        raise MalformedMessage("There is no POST /v1/stop.", hint="Use the same release.")


def test_an_older_release_is_named_with_its_process():
    with pytest.raises(VersionMismatch, match=r"another release, 0\.1\.0") as caught:
        _ask_to_stop(OlderBackend(), HELLO)

    assert "process 42" in caught.value.hint
