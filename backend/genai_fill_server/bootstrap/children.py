"""How this server starts its child processes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap.config import allowed_roots, trusted_files
from genai_fill_server.executors.child_environment import (
    child_environment,
    fetching_environment,
)
from genai_fill_server.executors.child_process import ChildCommand, ChildProcess
from genai_fill_server.executors.protocol import Start

_WORKER_MODULE = "genai_fill_server.bootstrap.worker"
_MODEL_MODULE = "genai_fill_server.bootstrap.model_child"


def child_starter(
    settings: Settings, environment: Mapping[str, str], log_dir: Path
) -> Callable[[str, str], ChildProcess]:
    """Return a function (name, device) that starts a child, logging to ``<name>.log``."""
    roots, trusted = allowed_roots(settings), trusted_files(environment)
    child_env = child_environment(environment, settings.worker.threads)

    def start_child(name: str, device: str) -> ChildProcess:
        safe = re.sub(r"[^A-Za-z0-9_-]", "-", name)
        command = ChildCommand(
            # -P: a folder that the server happens to stand in is no place to import from.
            arguments=(sys.executable, "-P", "-m", _WORKER_MODULE),
            environment=child_env,
            log_path=log_dir / f"{safe}.log",
        )
        return ChildProcess(command, Start(settings, device, roots, trusted))

    return start_child


def model_child_starter(
    settings: Settings, environment: Mapping[str, str], log_dir: Path
) -> Callable[[bool], ChildProcess]:
    """Return a function that starts a model child; True lets it use the network."""
    roots = allowed_roots(settings)

    def start_child(may_fetch: bool) -> ChildProcess:
        command = ChildCommand(
            arguments=(sys.executable, "-P", "-m", _MODEL_MODULE),
            environment=fetching_environment(environment)
            if may_fetch
            else child_environment(environment, settings.worker.threads),
            log_path=log_dir / "models.log",
        )
        return ChildProcess(command, Start(settings, "", roots))

    return start_child


def devices_of(settings: Settings) -> tuple[str, ...]:
    """Return the devices that get a worker each: ``models.device``, split at commas."""
    return tuple(part.strip() for part in settings.models.device.split(",") if part.strip())
