"""The routes of the backend itself: hello, engines, stop."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from genai_fill_contract.hello import EngineList, Hello
from genai_fill_contract.proof import NONCE_HEADER, proof_of
from genai_fill_server.http.messages import json_response
from genai_fill_server.http.security import asks_for_proof, require_same_machine
from genai_fill_server.service.job_ports import EngineCatalogue

_LOG = logging.getLogger(__name__)
_ACCEPTED = 202


def server_routes(
    hello: Hello,
    engines: EngineCatalogue,
    default_engine_id: str,
    *,
    token: str,
    stop: Callable[[], None],
) -> APIRouter:
    """Return the routes. ``token`` is proved by the greeting, never told.

    ``stop`` begins to stop the server, as a signal does.
    """
    router = APIRouter(prefix="/v1")

    async def say_hello(request: Request) -> Response:
        if not asks_for_proof(request.headers):
            return json_response(hello)
        # To somebody unknown: what a client needs to judge the proof, and nothing else.
        proof = proof_of(token, request.headers[NONCE_HEADER], hello.server_id)
        return json_response(
            Hello(hello.contract_version, hello.product_version, hello.server_id, proof=proof)
        )

    async def list_engines() -> Response:
        found = await run_in_threadpool(engines.engines)
        return json_response(EngineList(found, default_engine_id))

    async def stop_server(request: Request) -> Response:
        client, here = request.scope.get("client"), request.scope.get("server")
        require_same_machine(client[0] if client else "", here[0] if here else "")
        _LOG.info("asked to stop")
        stop()  # what is being answered, this included, is answered first
        return json_response(hello, status=_ACCEPTED)

    router.add_api_route("/hello", say_hello, methods=["GET"], response_model=None)
    router.add_api_route("/engines", list_engines, methods=["GET"], response_model=None)
    router.add_api_route("/stop", stop_server, methods=["POST"], response_model=None)
    return router
