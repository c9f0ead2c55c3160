"""A backend for one command: the one that runs, or a private one for the time being."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from genai_fill_contract.errors import (
    BackendStartFailed,
    BackendTimeout,
    BackendUnreachable,
)
from genai_fill_contract.settings import (
    Origin,
    ResolvedSettings,
    Settings,
    environment_name,
)
from genai_fill_contract.state_dir import as_told
from genai_fill_server.bootstrap.config import allowed_roots, state_path, with_model_dirs
from genai_fill_server.http.client import BackendClient
from genai_fill_server.store.state_dir import StateDir

_LOG = logging.getLogger(__name__)
_STOP_GRACE_S = 10.0


@contextmanager
def running_backend(settings: Settings, environment: Mapping[str, str]) -> Iterator[BackendClient]:
    """Connect to the backend that runs. Raises `BackendUnreachable` when none does."""
    client = find_backend(settings, environment)
    if client is None:
        raise BackendUnreachable(
            "No backend is running for this user on this machine.",
            hint="Start it with 'genai-fill serve', or set backend.url to another one.",
        )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def any_backend(
    resolved: ResolvedSettings,
    environment: Mapping[str, str],
    *,
    private: bool,
    touched: Iterable[Path],
) -> Iterator[BackendClient]:
    """Connect to the backend that runs, or start one for the time of the command.

    A private one may also touch the folders ``touched``, unless somebody chose the allowed
    roots on purpose: who runs the command can read and write them anyway.
    """
    client = None if private else find_backend(resolved.settings, environment)
    if client is not None:
        try:
            yield client
        finally:
            client.close()
        return
    with _private_backend(resolved, environment, touched) as started:
        yield started


def find_backend(settings: Settings, environment: Mapping[str, str]) -> BackendClient | None:
    """Return a client of the backend that runs; None when none does.

    Raises when ``backend.url`` names one and that one does not answer.
    """
    state = StateDir(state_path(settings, environment))
    url = settings.backend.url
    if not url:
        endpoint = state.read_endpoint()
        if endpoint is None:
            return None
        url = endpoint.url
    client = BackendClient(
        url,
        state.read_token(),
        timeout_s=settings.backend.request_timeout_s,
        found=not settings.backend.url,
    )
    try:
        client.hello()
    except (BackendUnreachable, BackendTimeout):
        client.close()
        if settings.backend.url:
            raise
        # The address was left by one that was killed; the port may be somebody else's now.
        return None
    except BaseException:
        client.close()
        raise
    return client


@contextmanager
def _private_backend(
    resolved: ResolvedSettings, environment: Mapping[str, str], touched: Iterable[Path]
) -> Iterator[BackendClient]:
    state = Path(tempfile.mkdtemp(prefix="genai-fill-"))
    process = _start(resolved, environment, state, touched)
    try:
        client = BackendClient(_address(process, state), StateDir(state).read_token())
        try:
            yield client
        finally:
            client.close()
    except BaseException:
        _stop(process)
        _LOG.warning("the logs of the private backend are kept in %s", state / "logs")
        raise
    _stop(process)
    shutil.rmtree(state, ignore_errors=True)


def _start(
    resolved: ResolvedSettings,
    environment: Mapping[str, str],
    state: Path,
    touched: Iterable[Path],
) -> subprocess.Popen[bytes]:
    settings = resolved.settings
    # The record of what was generated is the user's one, wherever the queue lived.
    audit = StateDir(state_path(settings, environment)).audit_path
    child = {**environment}
    if resolved.origins["server.allowed_roots"] is Origin.DEFAULT:
        roots = [*allowed_roots(settings), *(str(folder) for folder in touched)]
        child[environment_name("server.allowed_roots")] = ";".join(roots)
    if resolved.origins["models.dirs"] is Origin.DEFAULT:
        # Its state folder is a temporary one; the user's models are not in there.
        models = with_model_dirs(settings, environment).models
        child[environment_name("models.dirs")] = ";".join(models.dirs)
    command = [sys.executable, "-P", "-m", "genai_fill_server.cli", "serve"]
    command += ["--host", "127.0.0.1", "--port", "0", "--state-dir", as_told(str(state))]
    command += ["--audit-log", str(audit), "--until-stdin-closes"]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child,
        # Ctrl-C is for this command: it cancels the job, then ends the backend.
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _address(process: subprocess.Popen[bytes], state: Path) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()  # it says so once it listens, or ends
    endpoint = StateDir(state).read_endpoint()
    if endpoint is None:
        said = process.stderr.read().decode("utf-8", "replace").strip()
        raise BackendStartFailed(
            f"A backend for this command did not start: {said or 'it said nothing'}.",
            hint="Run 'genai-fill doctor'.",
        )
    return endpoint.url


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(_STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
