"""The files by which others find this backend: its lock, its token, its address."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import BackendStartFailed, ConfigError
from genai_fill_contract.state_dir import ENDPOINT_FILE, LOG_DIR, TOKEN_FILE
from genai_fill_server.store.os_files import (
    FileLock,
    is_private,
    make_private_dir,
    try_lock,
    write_private,
)

_LOCK_FILE = "server.lock"
_TOKEN_BYTES = 32
_MIN_TOKEN_CHARACTERS = 20
_MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where a backend listens."""

    url: str
    pid: int
    server_id: str


class StateDir:
    """A backend's state folder. Made on first use, for this user alone."""

    def __init__(self, path: Path) -> None:
        """Use the folder ``path``. Raises `ConfigError` when it cannot be made."""
        self.path = path
        try:
            make_private_dir(path)
            make_private_dir(path / LOG_DIR)
        except OSError as error:
            raise ConfigError(
                f"The state folder {path} cannot be used: {error.strerror}.",
                hint="Mend its permissions, or choose another one with backend.state_dir.",
            ) from error

    @property
    def jobs_path(self) -> Path:
        """The job database."""
        return self.path / "jobs.sqlite"

    @property
    def audit_path(self) -> Path:
        """The audit log."""
        return self.path / "audit.jsonl"

    @property
    def engines_path(self) -> Path:
        """What the engines said of themselves last."""
        return self.path / "engines.json"

    @property
    def log_dir(self) -> Path:
        """The folder of the logs."""
        return self.path / LOG_DIR

    @property
    def token_path(self) -> Path:
        """The file of the bearer token."""
        return self.path / TOKEN_FILE

    def lock(self) -> FileLock:
        """Take the folder for this process. Raises `BackendStartFailed` naming who has it."""
        try:
            lock = try_lock(self.path / _LOCK_FILE)
        except OSError as error:
            raise ConfigError(
                f"The state folder {self.path} cannot be locked: {error.strerror}.",
                hint="Choose one on a local disk with backend.state_dir.",
            ) from error
        if lock is None:
            other = self.read_endpoint()
            who = f": process {other.pid} at {other.url}" if other else ""
            raise BackendStartFailed(
                f"A backend already runs with the state folder {self.path}{who}.",
                hint="Use that one, stop it first, or choose another folder with --state-dir.",
            )
        return lock

    def ensure_token(self) -> str:
        """Return the token, made when missing, anew when others could have read it."""
        token = self.read_token()
        if token and is_private(self.token_path):
            return token
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        write_private(self.token_path, token + "\n")
        return token

    def read_token(self) -> str:
        """Return the token, or an empty text when there is none that can be used."""
        token = _read_small(self.token_path).strip()
        return token if len(token) >= _MIN_TOKEN_CHARACTERS else ""

    def write_endpoint(self, endpoint: Endpoint) -> None:
        """Tell where this backend listens."""
        text = json.dumps(
            {"url": endpoint.url, "pid": endpoint.pid, "server_id": endpoint.server_id}
        )
        write_private(self.path / ENDPOINT_FILE, text + "\n")

    def read_endpoint(self) -> Endpoint | None:
        """Return where a backend said it listens, if it did (it may be gone since)."""
        try:
            wire = json.loads(_read_small(self.path / ENDPOINT_FILE) or "null")
            return Endpoint(str(wire["url"]), int(wire["pid"]), str(wire["server_id"]))
        except (ValueError, KeyError, TypeError):
            return None

    def remove_endpoint(self, server_id: str) -> None:
        """Take back what `write_endpoint` told, unless another backend has written since."""
        endpoint = self.read_endpoint()
        if endpoint is not None and endpoint.server_id == server_id:
            (self.path / ENDPOINT_FILE).unlink(missing_ok=True)


def _read_small(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
