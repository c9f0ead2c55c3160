"""The engines, for a command that needs no server: asked of a child process."""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap.children import child_starter, devices_of
from genai_fill_server.bootstrap.config import state_path, with_model_dirs
from genai_fill_server.executors.side_process import SideProcess
from genai_fill_server.service.engine_policy import under_policy
from genai_fill_server.store.state_dir import StateDir


def list_engines(
    settings: Settings, environment: Mapping[str, str]
) -> tuple[EngineDescription, ...]:
    """Return every engine under this studio's policy. Raises `WorkerDied`."""
    state = StateDir(state_path(settings, environment))
    settings = with_model_dirs(settings, environment)
    start_child = child_starter(settings, environment, state.log_dir)
    side = SideProcess(lambda: start_child("side", devices_of(settings)[0]))
    try:
        found = side.describe()
    finally:
        side.stop()
    return under_policy(found, allow_non_commercial=settings.models.allow_non_commercial)
