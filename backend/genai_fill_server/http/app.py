"""The routes of the backend, and what they hand on to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from genai_fill_contract.errors import ErrorReport, GenAIFillError, Internal, MalformedMessage
from genai_fill_contract.hello import Hello
from genai_fill_server.http.errors import to_http
from genai_fill_server.http.event_stream import EventStreams
from genai_fill_server.http.job_routes import job_routes
from genai_fill_server.http.messages import json_response
from genai_fill_server.http.model_routes import model_routes
from genai_fill_server.http.security import Gate
from genai_fill_server.http.server_routes import server_routes
from genai_fill_server.service.cancel_job import CancelJob
from genai_fill_server.service.job_ports import EngineCatalogue, JobStore, ThumbnailMaker
from genai_fill_server.service.live_previews import LivePreviews
from genai_fill_server.service.model_tasks import ModelTasks
from genai_fill_server.service.submit_job import SubmitJob

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """What the routes need; the composition root fills it in."""

    hello: Hello
    store: JobStore
    engines: EngineCatalogue
    submit: SubmitJob
    cancel: CancelJob
    thumbnails: ThumbnailMaker
    streams: EventStreams
    previews: LivePreviews
    models: ModelTasks
    default_engine_id: str
    stop: Callable[[], None]


def build_app(backend: Backend, *, token: str, host_names: frozenset[str]) -> ASGIApp:
    """Return the whole application, its gate included."""
    app = FastAPI(title="GenAI Fill", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(
        server_routes(
            backend.hello,
            backend.engines,
            backend.default_engine_id,
            token=token,
            stop=backend.stop,
        )
    )
    app.include_router(
        job_routes(
            backend.store,
            backend.submit,
            backend.cancel,
            backend.thumbnails,
            backend.streams,
            backend.previews,
        )
    )
    app.include_router(model_routes(backend.models))
    app.add_exception_handler(GenAIFillError, _fill_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _fault)
    return Gate(app, token=token, host_names=host_names)


async def _fill_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GenAIFillError)
    status, body = to_http(error)
    _LOG.info("%s %s: %s", request.method, request.url.path, error.code.value)
    return Response(body, status_code=status, media_type="application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer for an address or a method that is not there."""
    assert isinstance(error, HTTPException)
    strange = MalformedMessage(
        f"There is no {request.method} {request.url.path[:80]}.",
        hint="Use the same GenAI Fill release on both sides.",
    )
    return json_response(ErrorReport.of(strange), status=error.status_code)


async def _fault(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s: fault", request.method, request.url.path, exc_info=error)
    fault = Internal("The backend had a fault.", hint="Report this with the backend's log.")
    status, body = to_http(fault)
    return Response(body, status_code=status, media_type="application/json")
