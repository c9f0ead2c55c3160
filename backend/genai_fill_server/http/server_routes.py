"""The routes that tell of the backend itself: hello, engines."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from genai_fill_contract.hello import EngineList, Hello
from genai_fill_server.http.messages import json_response
from genai_fill_server.service.job_ports import EngineCatalogue


def server_routes(hello: Hello, engines: EngineCatalogue, default_engine_id: str) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1")

    async def say_hello() -> Response:
        return json_response(hello)

    async def list_engines() -> Response:
        found = await run_in_threadpool(engines.engines)
        return json_response(EngineList(found, default_engine_id))

    router.add_api_route("/hello", say_hello, methods=["GET"], response_model=None)
    router.add_api_route("/engines", list_engines, methods=["GET"], response_model=None)
    return router
