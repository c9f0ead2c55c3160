"""Finding the backend of this user on this machine: ``endpoint.json`` and the token."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genai_fill.adapters.http_backend import HttpBackend
from genai_fill.app.ports import SettingsSource
from genai_fill_contract import codec
from genai_fill_contract.errors import BackendUnreachable, MalformedMessage
from genai_fill_contract.settings import Settings
from genai_fill_contract.state_dir import ENDPOINT_FILE, TOKEN_FILE, state_folder

_MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """What a listening backend writes into ``endpoint.json``."""

    url: str
    pid: int
    server_id: str = ""


def state_dir(settings: Settings, environment: Mapping[str, str]) -> Path:
    """Return the state folder: the setting's, else the operating system's.

    Raises `ConfigError` for a field of the setting that has no value here.
    """
    told, home = settings.backend.state_dir, os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is no home
    return Path(state_folder(told, environment, sys.platform, home, platform.node()))


def read_endpoint(folder: Path) -> Endpoint | None:
    """Return the address that a backend left in its state folder, or None."""
    text = _read(folder / ENDPOINT_FILE)
    if text is None:
        return None
    try:
        return codec.loads(Endpoint, text, unknown="ignore")
    except MalformedMessage:
        return None  # half a file of a backend that died while writing it


def read_token(folder: Path) -> str:
    """Return the bearer token of a state folder; empty when there is none."""
    return (_read(folder / TOKEN_FILE) or "").strip()


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


class StateFolderFinder:
    """`genai_fill.app.ports.BackendFinder`: a set address, else the one in the state folder."""

    def __init__(self, settings: SettingsSource, environment: Mapping[str, str]) -> None:
        """Read nothing yet; every `find` looks again, since backends come and go."""
        self._settings = settings
        self._environment = environment

    def find(self) -> HttpBackend:
        """Return a client.

        Raises `BackendUnreachable` when no address is known, and `ConfigError`.
        """
        settings = self._settings.load()
        folder = state_dir(settings, self._environment)
        url = settings.backend.url
        if not url:
            endpoint = read_endpoint(folder)
            if endpoint is None:
                raise BackendUnreachable(
                    "No backend is running on this machine.",
                    hint="Start it with 'genai-fill serve', or set backend.url to another one.",
                )
            url = endpoint.url
        return HttpBackend(
            url,
            read_token(folder),
            timeout_s=settings.backend.request_timeout_s,
            found=not settings.backend.url,
        )
