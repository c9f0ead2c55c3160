"""`genai-fill stop`: end this user's backend in an orderly way, wherever it was started from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from genai_fill_contract.errors import (
    BackendStartFailed,
    BackendTimeout,
    BackendUnreachable,
    GenAIFillError,
    MalformedMessage,
    VersionMismatch,
)
from genai_fill_contract.hello import Hello

if TYPE_CHECKING:
    from genai_fill_server.http.client import BackendClient
    from genai_fill_server.store.state_dir import StateDir

_LOOK_EVERY_S = 0.1
_MAX_LISTED = 1000


def stop(
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for its end.", min=0.0, max=3600.0)
    ] = 30.0,
) -> None:
    """Stop the backend that runs.

    Jobs that are not done go on at their first missing frame when a backend is started
    again. Exit code 3 when none runs.
    """
    from genai_fill_server.bootstrap.config import load_settings, state_path
    from genai_fill_server.bootstrap.server import product_version
    from genai_fill_server.cli.connection import find_backend
    from genai_fill_server.store.state_dir import StateDir

    settings = load_settings(os.environ).settings
    state = StateDir(state_path(settings, os.environ))
    client = find_backend(settings, os.environ)
    if client is None:
        raise _none_runs(state)
    try:
        hello = client.hello()
        left = sum(not job.state.is_final for job in client.jobs(_MAX_LISTED))
        _ask_to_stop(client, hello)
        _wait_until(lambda: has_ended(client, state, hello), timeout, hello)
    finally:
        client.close()
    typer.echo(f"stopped backend {hello.product_version}, process {hello.pid}")
    if hello.product_version != product_version():
        typer.echo(f"it was of another release than this command, {product_version()}")
    if left:
        typer.echo(f"{left} job(s) go on when a backend is started again")


def has_ended(client: BackendClient, state: StateDir, hello: Hello) -> bool:
    """Return whether the backend is gone: it answers no more and its state folder is free."""
    try:
        if client.hello().server_id == hello.server_id:
            return False
    except GenAIFillError:
        pass  # nothing of its own answers there any more
    endpoint = state.read_endpoint()
    if endpoint is not None and endpoint.server_id != hello.server_id:
        return True  # the next one has the folder already
    return not _is_held(state)


def _is_held(state: StateDir) -> bool:
    try:
        state.lock().release()
    except BackendStartFailed:
        return True
    return False


def _ask_to_stop(client: BackendClient, hello: Hello) -> None:
    try:
        client.stop()
    except MalformedMessage as error:
        raise VersionMismatch(
            f"The backend that runs is of another release, {hello.product_version}, and cannot "
            "be stopped by this command.",
            hint=f"Stop it with the command of its own release, or end its process {hello.pid}.",
        ) from error


def _wait_until(ended: Callable[[], bool], timeout_s: float, hello: Hello) -> None:
    deadline = time.monotonic() + timeout_s
    while not ended():
        if time.monotonic() > deadline:
            raise BackendTimeout(
                f"The backend, process {hello.pid}, was told to stop and has not ended within "
                f"{timeout_s:g} s.",
                hint="Wait longer with --timeout, or look at logs/server.log in its state folder.",
            )
        time.sleep(_LOOK_EVERY_S)


def _none_runs(state: StateDir) -> GenAIFillError:
    """Return the error for a backend that does not answer: there is none, or it hangs."""
    with suppress(BackendStartFailed):
        state.lock().release()
        return BackendUnreachable(
            f"No backend runs with the state folder {state.path}, so none was stopped.",
            hint="Another user's, or one with another backend.state_dir, is stopped there.",
        )
    endpoint = state.read_endpoint()
    return BackendTimeout(
        f"A backend has the state folder {state.path} and does not answer.",
        hint=f"End its process{f' {endpoint.pid}' if endpoint else ''}; its jobs are kept.",
    )
