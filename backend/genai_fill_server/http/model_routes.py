"""The routes of models: list, pull, add, verify, remove, and the tasks that do it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from genai_fill_contract.models import AddRequest, ChangeRequest, ModelTask, PullRequest
from genai_fill_server.http.messages import json_response, read_message
from genai_fill_server.service.model_tasks import ModelTasks

_ACCEPTED = 202


class ModelRoutes:
    """The handlers. Beginning a task waits, in the thread pool, until it is under way."""

    def __init__(self, tasks: ModelTasks) -> None:
        """Answer with what the verbs return."""
        self._tasks = tasks

    async def models(self) -> Response:
        """List every model."""
        return json_response(await run_in_threadpool(self._tasks.models))

    async def tasks(self) -> Response:
        """List the latest tasks."""
        return json_response(self._tasks.tasks())

    async def pull(self, model_id: str, request: Request) -> Response:
        """Begin to fetch a model."""
        wanted = await read_message(request, PullRequest)
        return _begun(await run_in_threadpool(self._tasks.pull, model_id, wanted))

    async def add(self, request: Request) -> Response:
        """Begin to take a folder into the store."""
        wanted = await read_message(request, AddRequest)
        return _begun(await run_in_threadpool(self._tasks.add, wanted))

    async def verify(self, model_id: str, request: Request) -> Response:
        """Begin to compare a model's files with what was recorded."""
        wanted = await read_message(request, ChangeRequest)
        return _begun(await run_in_threadpool(self._tasks.verify, model_id, wanted))

    async def remove(self, model_id: str, request: Request) -> Response:
        """Begin to remove a model."""
        wanted = await read_message(request, ChangeRequest)
        return _begun(await run_in_threadpool(self._tasks.remove, model_id, wanted))

    async def cancel(self, task_id: str) -> Response:
        """Ask for a task to stop."""
        return json_response(self._tasks.cancel(task_id))


def model_routes(tasks: ModelTasks) -> APIRouter:
    """Return the routes."""
    routes = ModelRoutes(tasks)
    router = APIRouter(prefix="/v1/models")
    for path, handler, method in (
        ("", routes.models, "GET"),
        ("/add", routes.add, "POST"),
        ("/tasks", routes.tasks, "GET"),
        ("/tasks/{task_id}/cancel", routes.cancel, "POST"),
        ("/{model_id}/pull", routes.pull, "POST"),
        ("/{model_id}/verify", routes.verify, "POST"),
        ("/{model_id}/remove", routes.remove, "POST"),
    ):
        router.add_api_route(path, handler, methods=[method], response_model=None)
    return router


def _begun(task: ModelTask) -> Response:
    return json_response(task, status=_ACCEPTED)
