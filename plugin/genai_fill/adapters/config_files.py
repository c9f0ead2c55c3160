"""Settings from the studio's file, the user's file and the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ConfigError
from genai_fill_contract.settings import (
    STUDIO_CONFIG_VARIABLE,
    USER_CONFIG_VARIABLE,
    Settings,
    resolve_settings,
)
from genai_fill_contract.state_dir import default_user_config

_MAX_CONFIG_BYTES = 1024 * 1024


def read_config(path: Path, *, required: bool) -> Mapping[str, Any]:
    """Return the tables of a TOML file; a file that need not be there may be missing.

    Raises `ConfigError` when it cannot be read or is not TOML.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CONFIG_BYTES)
    except FileNotFoundError:
        if not required:
            return {}
        raise ConfigError(
            f"The settings file {path} is not there.", hint="Correct the variable that names it."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read ({error.strerror}).",
            hint="Look at its permissions.",
        ) from error
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"The settings file {path} is not TOML: {error}.", hint="Mend the line it names."
        ) from error


class FileSettings:
    """`genai_fill.app.ports.SettingsSource`: read at every `load`, so edits count at once."""

    def __init__(self, environment: Mapping[str, str], platform: str, home: str) -> None:
        """``platform`` is `sys.platform`; ``home`` is the user's home folder."""
        self._environment = environment
        self._platform = platform
        self._home = home

    def load(self) -> Settings:
        """Return the settings; raises `ConfigError`."""
        studio = self._environment.get(STUDIO_CONFIG_VARIABLE, "")
        told = self._environment.get(USER_CONFIG_VARIABLE, "")
        user = told or default_user_config(self._environment, self._platform, self._home)
        return resolve_settings(
            environment=self._environment,
            studio=read_config(Path(studio), required=True) if studio else None,
            user=read_config(Path(user), required=bool(told)),
        ).settings
